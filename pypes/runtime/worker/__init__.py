"""The ingest worker without its HTTP: its shards, the other workers, callbacks, sources."""
