"""A connection of an instance: one ingest worker, and what is on its way to it."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from pypes.ingest import protocol
from pypes.ingest.outcome import Outcome
from pypes.ingest.protocol import FrameReader, Published


class Connection:
    """One ingest worker, seen from the instance. Acknowledgements gather in ``published`` and ``outcomes``."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.reader = FrameReader()
        self.published: dict[tuple[str, int, tuple[str, ...]], Published] = {}
        self.outcomes: list[tuple[int, Outcome]] = []
        self.unsent = bytearray()
        self.is_open = True
        #: Graphs that it was told to be held; ``None`` before it was told anything.
        self.held: frozenset[str] | None = None

    def gather(self) -> None:
        """Turn the gathered acknowledgements into a frame."""
        if self.published or self.outcomes:
            self.unsent += protocol.acks(list(self.published.values()), self.outcomes)
            self.published, self.outcomes = {}, []

    def published_by(self, graph: str, version: int, takers: tuple[str, ...]) -> Published:
        """The list that gathers deliveries of one document which these publishers of ``graph`` have committed."""
        found = self.published.get((graph, version, takers))
        if found is None:
            found = self.published[graph, version, takers] = Published(version, takers, [], [])
        return found

    def committed(self, number: int, publisher: str, documents: Iterable[int], version: int) -> None:
        """Tell of documents of a delivery that is not done yet. Does not block: what the socket does not take goes later."""
        self.unsent += protocol.committed(number, publisher, documents, version)
        self.flush()

    def flush(self) -> None:
        """Write as much as the socket takes; a dead worker is noticed by reading."""
        if self.unsent and self.is_open:
            try:
                count = self.socket.send(self.unsent)
            except BlockingIOError:
                return
            except OSError:
                count = len(self.unsent)
            if count == len(self.unsent):
                self.unsent = bytearray()
            else:
                del self.unsent[:count]

    def close(self) -> None:
        self.is_open = False
        self.unsent.clear()
        self.socket.close()
