"""Rights on a node: clients, their tokens, and the file in which those are kept."""
