"""One command per claim; both sides of a ratio in one run."""
