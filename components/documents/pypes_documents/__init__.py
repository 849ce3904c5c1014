"""Adapters that read files, one per module; each is found through the entry point that bears its name."""
