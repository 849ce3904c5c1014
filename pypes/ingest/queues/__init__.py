"""The embedded queue and its parts, one for each of :mod:`pypes.ingest.contracts`, and leasing over a network."""
