"""A link: the connection of an ingest worker to one instance, with the deliveries in flight on it."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from pypes.ingest import protocol
from pypes.ingest.contracts.leasing import Lease, Leasing, Stream
from pypes.ingest.delivery import Spooled
from pypes.ingest.dispatch.window import Window
from pypes.ingest.protocol import FrameReader, Item, Rerun

#: Up to here the parts of a write are copied into one; beyond, the copy would cost more than the system call with many parts.
_JOIN_BYTES = 1 << 18
_IOV_MAX = 1024
_window_of = attrgetter("window")


#: The window of what was not sent yet.
_NO_WINDOW = Window()


class Sent(msgspec.Struct, eq=False):
    """A delivery that was handed over: its lease and where it came from, what it weighs, and whether it must run alone.

    ``rerun`` is what is known of earlier runs, ``window`` that of its stream on the link that has it. It came back
    ``returned`` times from instances that ended, or let go of its graph.
    """

    leasing: Leasing
    stream: Stream
    lease: Lease
    weight: int
    is_alone: bool
    rerun: Rerun | None
    window: Window = _NO_WINDOW
    returned: int = 0


class Link:
    """One connection, on a bare non-blocking socket.

    Not a transport: when writing fails because the instance is dead, a transport throws away what that had still said, and a
    BEGIN among it decides who is charged with the crash. Here reading goes on until the end.

    ``on_frame(link, kind, head)`` for every frame; ``on_end(link)`` once, when the connection ends from the other side.
    Raises ``OSError`` if nobody listens at ``path``.
    """

    __slots__ = (
        "_loop",
        "_on_end",
        "_on_frame",
        "_reader",
        "_socket",
        "_unsent",
        "begun",
        "bodies",
        "held",
        "id",
        "is_open",
        "is_retiring",
        "items",
        "left",
        "load",
        "outstanding",
        "takes_more",
        "was_flush_requested",
        "windows",
    )

    def __init__(
        self,
        id: int,
        path: str,
        loop: asyncio.AbstractEventLoop,
        on_frame: Callable[[Link, int, bytes], None],
        on_end: Callable[[Link], None],
    ) -> None:
        self.id = id
        self.outstanding: dict[int, Sent] = {}
        self.windows: dict[Stream, Window] = {}
        #: Weight of what is outstanding, in bytes.
        self.load = 0
        #: Number of what runs alone there: one of ours, -1 for another worker's, ``None`` while many may run.
        self.begun: int | None = None
        #: Ordered graphs in which it still works on what an earlier owner of our queues sent; ``None`` until it has said so.
        self.held: frozenset[str] | None = None
        #: Graphs that it has let go of; it never takes one up again.
        self.left: set[str] = set()
        self.is_open = True
        self.is_retiring = False
        self.takes_more = True
        self.was_flush_requested = False
        self.items: list[Item] = []
        self.bodies: list[bytes] = []
        self._loop = loop
        self._on_frame = on_frame
        self._on_end = on_end
        self._reader = FrameReader()
        self._unsent: deque[memoryview] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        loop.add_reader(self._socket.fileno(), self._read)

    # -- writing ----------------------------------------------------------------------------------------

    def window(self, stream: Stream) -> Window:
        window = self.windows.get(stream)
        if window is None:
            self.windows[stream] = window = Window()
        return window

    def take(self, number: int) -> Sent | None:
        """Removes a delivery from the set of those handed over, and returns it; None for an unknown number."""
        sent = self.outstanding.pop(number, None)
        if sent is not None:
            window = sent.window
            window.count -= 1
            window.load -= sent.weight
            self.load -= sent.weight
        return sent

    def take_all(self, numbers: Sequence[int], now: float) -> list[Sent | None]:
        """As :meth:`take`, for deliveries that were acknowledged at this time."""
        take = self.outstanding.pop
        taken = [take(number, None) for number in numbers]
        for window, own in groupby([sent for sent in taken if sent is not None], _window_of):
            weights = [sent.weight for sent in own]
            load = sum(weights)
            window.leave(len(weights), load, now)
            self.load -= load
        return taken

    def add(self, first: int, given: Sequence[Sent], now: float) -> None:
        """Put deliveries of one stream into the batch that :meth:`flush` writes, under numbers from ``first`` on."""
        window = self.window(given[0].stream)
        if not window.count:
            window.moved_at = now
        window.was_flush_requested = False
        window.count += len(given)
        load = 0
        for number, sent in enumerate(given, first):
            self.outstanding[number] = sent
            sent.window = window
            load += sent.weight
            lease = sent.lease
            body, decoded = lease.body, lease.decoded
            if isinstance(body, Spooled):
                self.items.append(Item(number, lease.id, lease.header, 0, False, sent.is_alone, body.path, sent.rerun))
                continue
            if decoded is not None:
                body = decoded
            size = len(body)
            self.items.append(Item(number, lease.id, lease.header, size, decoded is not None, sent.is_alone, "", sent.rerun))
            self.bodies.append(body)
        window.load += load
        self.load += load

    def flush(self) -> None:
        """Write the batch as one frame."""
        items, bodies = self.items, self.bodies
        self.items, self.bodies = [], []
        size = sum(map(len, bodies))
        head = protocol.deliver(items, size)
        if size <= _JOIN_BYTES:
            self.write(b"".join((head, *bodies)))
        else:
            self.write(head, *bodies)

    def write(self, *parts: bytes) -> None:
        """Write as much as the socket takes now, and the rest later. A dead peer is noticed by reading."""
        if not self.is_open:
            return
        if self._unsent:
            self._unsent.extend(map(memoryview, parts))
            return
        try:
            if len(parts) == 1:
                count = self._socket.send(parts[0])
                if count == len(parts[0]):
                    return
            else:
                count = self._socket.sendmsg(parts[:_IOV_MAX])
        except BlockingIOError:
            count = 0
        except OSError:
            return
        self._unsent.extend(map(memoryview, parts))
        self._advance(count)
        if self._unsent:
            self._loop.add_writer(self._socket.fileno(), self._write_rest)

    def _advance(self, count: int) -> None:
        unsent = self._unsent
        while unsent and count >= len(unsent[0]):
            count -= len(unsent.popleft())
        if count:
            unsent[0] = unsent[0][count:]

    def _write_rest(self) -> None:
        try:
            while self._unsent:
                parts = [self._unsent[i] for i in range(min(len(self._unsent), _IOV_MAX))]
                self._advance(self._socket.sendmsg(parts))
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        self._loop.remove_writer(self._socket.fileno())

    # -- reading ----------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            data = self._socket.recv(protocol.READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self.close()
            self._on_end(self)

    def _take(self, data: bytes) -> None:
        for kind, head, _ in self._reader.feed(data):
            self._on_frame(self, kind, head)
            if not self.is_open:
                return

    def read_rest(self) -> None:
        """Read all that an instance known to be dead has said, and close."""
        while self.is_open:
            try:
                data = self._socket.recv(protocol.READ_BYTES)
            except OSError:  # "would block" included: a grandchild may still hold the other end, but it says nothing
                data = b""
            if not data:
                self.close()
                return
            self._take(data)

    def close(self) -> None:
        if not self.is_open:
            return
        self.is_open = self.takes_more = False
        self._unsent.clear()
        fd: Any = self._socket.fileno()
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        self._socket.close()
