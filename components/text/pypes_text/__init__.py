"""Components that work on text, one per module; each is found through the entry point that bears its name."""
