"""What an ingest worker does besides HTTP: its shards, the other workers, callbacks, sources."""
