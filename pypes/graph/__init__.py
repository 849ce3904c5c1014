"""What a graph is, how it is written down, and what is wrong with one. Nothing here runs a graph."""
