"""The files of a shard: its SQLite file and the rows in it, the bodies beside it, the lock on its folder."""
