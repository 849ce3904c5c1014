"""Nodes that answer for each other: which there are, and the links between them (decision 0089)."""
