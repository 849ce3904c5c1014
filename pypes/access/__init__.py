"""Rights on a node: clients, their tokens, the file in which those are kept, and the log of what was changed with them."""
