"""Graphs that are tried out in processes of their own: one document at once, or copies of live deliveries."""
