"""Copies of deliveries for shadows: written beside the live path without delaying it.

A copy is a ``DELIVER`` frame like that to an instance, and nobody answers. What the socket does not take at once is dropped. The
number of an item counts the deliveries of the graph that this worker has handed over since it knows the shadow, so that gaps tell
how many were not copied.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence

from pypes.ingest import protocol
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.delivery import Spooled
from pypes.ingest.protocol import Item

#: Bodies that are copied at a time, in bytes: a memory copy of this size does not keep anything live waiting.
COPY_BYTES = 1 << 18


class Line:
    """One shadow. Raises ``OSError`` if nobody listens at ``path``."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self._loop = loop
        self._seen = 0
        self._unsent = memoryview(b"")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def copy(self, leases: Sequence[Lease]) -> bool:
        """Write as many as fit; False if the other side is gone."""
        first, self._seen = self._seen, self._seen + len(leases)
        if self._unsent:
            return True
        items, bodies, size = [], [], 0
        for number, lease in enumerate(leases, first):
            body = lease.body if lease.decoded is None else lease.decoded
            if isinstance(body, Spooled) or size + len(body) > COPY_BYTES or lease.is_suspect or lease.crashes or lease.rerun:
                continue
            size += len(body)
            items.append(Item(number, lease.id, lease.header, len(body), lease.decoded is not None))
            bodies.append(body)
        return not items or self._write(b"".join((protocol.deliver(items, size), *bodies)))

    def _write(self, data: bytes) -> bool:
        try:
            count = self._socket.send(data)
        except BlockingIOError:
            return True  # nothing of it has gone, so all of it may be dropped
        except OSError:
            return False
        if count < len(data):
            # the rest of a frame that has begun must follow
            self._unsent = memoryview(data)[count:]
            self._loop.add_writer(self._socket.fileno(), self._write_rest)
        return True

    def _write_rest(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = memoryview(b"")
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()


class Copies:
    """The shadows that this worker serves, by graph. False while there are none: then nothing else of it is touched."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lines: dict[str, Line] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def apply(self, shadows: Mapping[str, str]) -> None:
        """Take up which shadows there are: graph → socket."""
        for graph, line in list(self._lines.items()):
            if shadows.get(graph) != line.path:
                self._end(graph)
        for graph, path in shadows.items():
            if graph not in self._lines:
                try:
                    self._lines[graph] = Line(path, self._loop)
                except OSError:
                    continue  # it ended just now

    def copy(self, graph: str, leases: Sequence[Lease]) -> None:
        """Copy deliveries of a graph that are handed over for the first time, if it has a shadow. Does not block."""
        line = self._lines.get(graph)
        if line is not None and not line.copy(leases):
            self._end(graph)

    def _end(self, graph: str) -> None:
        self._lines.pop(graph).close()

    def close(self) -> None:
        for graph in list(self._lines):
            self._end(graph)
