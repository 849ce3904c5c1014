"""The queues of :mod:`pypes.ingest.queue`: what all of them do alike, the one in memory, the embedded one and its parts."""
