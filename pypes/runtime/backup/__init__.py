"""Backups: a copy of a data directory that is made while its node runs, and a data directory made of the copy."""
