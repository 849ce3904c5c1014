"""Protocol between ingest workers and instances, over a unix socket.

A frame is its kind (1 byte), the lengths of head and body (4 bytes each, big-endian), the head (msgpack) and the body (raw)::

    worker → instance   DELIVER   Items: many deliveries; the body holds theirs one after the other
                        FLUSH     the window is full and more waits: let go of what components hold
                        TRIGGER   run a source once, from its cursor on
                        MORE      what the source fetched is stored: it may go on
                        ENOUGH    nobody takes what the source fetches any more
                        TAP       show packets that go over a wire; without its name, say which wires there are
                        UNTAP     nobody looks there any more
    instance → worker   ACKS      Acks: deliveries that are done, one frame per epoch
                        BEGIN     a delivery now runs alone: its number, or -1 for one of another worker
                        END       the lone run is over
                        COMMITTED a publisher has committed documents of a delivery that is not done yet
                        HELD      ordered graphs that still work on deliveries of workers that are gone; the first frame
                                  of all, and again whenever it becomes shorter
                        FETCHED   what a source fetched, and its cursor behind it
                        ENDED     the source has run
                        GOODBYE   nothing sent since the last acknowledgement was begun, nor will it be
                        LEFT      the same of one graph, which this instance runs no more: the numbers of what waited
                        TAPPED    the wires of a graph, in answer to TAP; then packets that went over the one that was named

Both sides live on one machine and come from one installation, so there is no version in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pypes.ingest.delivery import Header
from pypes.ingest.ordering import Overtaken
from pypes.ingest.outcome import Outcome, Poison, spans_of

DELIVER, FLUSH, ACKS, BEGIN, END, GOODBYE, COMMITTED, HELD, TRIGGER, MORE, FETCHED, ENDED, ENOUGH, LEFT = range(1, 15)
TAP, UNTAP, TAPPED = range(15, 18)

#: Most that is read from a socket at once, in bytes. PERF: for 128 KiB or more the allocator asks the kernel, each time anew.
READ_BYTES = 120 << 10

_PREFIX = struct.Struct("!BII")
PREFIX_BYTES = _PREFIX.size


class Rerun(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """History of a delivery that has run before.

    ``poisons``: documents that are dead-lettered at once. ``committed``: publisher → ordinals of documents that it has
    committed in an earlier run and must not be given again; ``version`` is that of the graph which ran then, 0 if there were
    several. ``superseded``: of which documents newer ones were taken while
    this delivery waited in the bulk lane; those it holds of them are dropped.
    """

    poisons: tuple[Poison, ...] = ()
    committed: dict[str, tuple[int, ...]] = {}
    superseded: Overtaken = Overtaken()
    version: int = 0


class Item(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One delivery of a ``DELIVER`` frame.

    ``number`` is the worker's for this hand-over; ``size`` the bytes it has in the frame's body, decompressed already
    if ``is_decoded``; a spooled body has ``path`` instead. ``is_alone`` asks for a run with nothing beside it.
    """

    number: int
    receipt: str
    header: Header
    size: int
    is_decoded: bool = False
    is_alone: bool = False
    path: str = ""
    rerun: Rerun | None = None


class Published(msgspec.Struct, array_like=True, gc=False):
    """Deliveries of one document each that all publishers in ``takers`` have committed, in one version of one graph.

    ``ids`` is as long as ``numbers``, or empty if no document has an id.
    """

    version: int
    takers: tuple[str, ...]
    numbers: list[int]
    ids: list[str | None]

    def add(self, number: int, id: str | None) -> None:
        """Gather one more delivery; ``id`` is its document's."""
        numbers, ids = self.numbers, self.ids
        if id is not None or ids:
            while len(ids) < len(numbers):  # until now none had one
                ids.append(None)
            ids.append(id)
        numbers.append(number)

    def add_all(self, numbers: Sequence[int], found: Sequence[str | None] | None) -> None:
        """As :meth:`add` for several; ``found`` are the ids of their documents, ``None`` if none has one."""
        if found is not None or self.ids:
            self.ids += [None] * (len(self.numbers) - len(self.ids))  # until now none had one
            self.ids += found or [None] * len(numbers)
        self.numbers += numbers


class Acks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``published`` are deliveries whose one document was published, the usual case; all others come with their outcome."""

    published: list[Published]
    outcomes: list[tuple[int, Outcome]]


class Committed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A publisher has committed documents of a delivery under a version of the graph: first, count, first, count, …"""

    number: int
    publisher: str
    spans: tuple[int, ...]
    version: int


class Trigger(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Run the source ``filter`` of a graph once; ``number`` is the worker's for this run.

    ``cursor`` is where it stopped last (JSON text; empty: it has never run). Without ``filter``, all filters that no wire
    leads to. ``is_confirmed``: it may delete however much it finds gone.
    """

    number: int
    graph: str
    filter: str = ""
    cursor: str = ""
    is_confirmed: bool = False


class Fetched(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Documents that a source has fetched: ``documents`` packets in ``body`` (see ``codecs.packets``), and their cursor."""

    number: int
    documents: int
    body: bytes
    cursor: str


class Ended(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A source has run; ``error`` says why it did not get to its end, ``code`` which error of Pypes that is, if one."""

    number: int
    error: str = ""
    code: str = ""


class Left(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An instance has let go of a graph: these deliveries were not begun, and no run of a source goes on."""

    graph: str
    numbers: list[int]


class Tap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A look at one wire of a graph; ``number`` is the worker's for it. Without ``wire``, only the names are asked for."""

    number: int
    graph: str
    wire: str


class Tapped(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Packets that went over a wire, each as JSON; ``missed`` others went before the first of them.

    The answer to ``TAP`` has ``wires`` instead, the names of all wires of the graph: none if the instance does not run it. An
    ``error`` is the end of the tap.
    """

    number: int
    packets: list[bytes]
    missed: int = 0
    wires: list[str] | None = None
    error: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode_items = msgspec.msgpack.Decoder(list[Item]).decode
_decode_acks = msgspec.msgpack.Decoder(Acks).decode
_decode_committed = msgspec.msgpack.Decoder(Committed).decode
_decode_graphs = msgspec.msgpack.Decoder(frozenset[str]).decode
_decode_number = msgspec.msgpack.Decoder(int).decode
_decode_trigger = msgspec.msgpack.Decoder(Trigger).decode
_decode_fetched = msgspec.msgpack.Decoder(Fetched).decode
_decode_ended = msgspec.msgpack.Decoder(Ended).decode
_decode_left = msgspec.msgpack.Decoder(Left).decode
_decode_tap = msgspec.msgpack.Decoder(Tap).decode
_decode_tapped = msgspec.msgpack.Decoder(Tapped).decode


def deliver(items: list[Item], body_bytes: int) -> bytes:
    """Prefix and head of a ``DELIVER`` frame; the bodies follow it."""
    head = _encode(items)
    return _PREFIX.pack(DELIVER, len(head), body_bytes) + head


def acks(published: list[Published], outcomes: list[tuple[int, Outcome]]) -> bytes:
    head = _encode(Acks(published, outcomes))
    return _PREFIX.pack(ACKS, len(head), 0) + head


def committed(number: int, publisher: str, documents: Iterable[int], version: int) -> bytes:
    """A ``COMMITTED`` frame; ``documents`` are ascending ordinals."""
    head = _encode(Committed(number, publisher, spans_of(documents), version))
    return _PREFIX.pack(COMMITTED, len(head), 0) + head


def begin(number: int) -> bytes:
    head = _encode(number)
    return _PREFIX.pack(BEGIN, len(head), 0) + head


def held(graphs: Iterable[str]) -> bytes:
    head = _encode(sorted(graphs))
    return _PREFIX.pack(HELD, len(head), 0) + head


def trigger(number: int, graph: str, filter: str, cursor: str, *, is_confirmed: bool = False) -> bytes:
    head = _encode(Trigger(number, graph, filter, cursor, is_confirmed))
    return _PREFIX.pack(TRIGGER, len(head), 0) + head


def more(number: int) -> bytes:
    head = _encode(number)
    return _PREFIX.pack(MORE, len(head), 0) + head


def enough(number: int) -> bytes:
    head = _encode(number)
    return _PREFIX.pack(ENOUGH, len(head), 0) + head


def fetched(number: int, documents: int, body: bytes, cursor: str) -> bytes:
    head = _encode(Fetched(number, documents, body, cursor))
    return _PREFIX.pack(FETCHED, len(head), 0) + head


def ended(number: int, error: str = "", code: str = "") -> bytes:
    head = _encode(Ended(number, error, code))
    return _PREFIX.pack(ENDED, len(head), 0) + head


def left(graph: str, numbers: list[int]) -> bytes:
    head = _encode(Left(graph, numbers))
    return _PREFIX.pack(LEFT, len(head), 0) + head


def tap(number: int, graph: str, wire: str) -> bytes:
    head = _encode(Tap(number, graph, wire))
    return _PREFIX.pack(TAP, len(head), 0) + head


def untap(number: int) -> bytes:
    head = _encode(number)
    return _PREFIX.pack(UNTAP, len(head), 0) + head


def tapped(said: Tapped) -> bytes:
    head = _encode(said)
    return _PREFIX.pack(TAPPED, len(head), 0) + head


def signal(kind: int) -> bytes:
    """A frame that is nothing but its kind."""
    return _PREFIX.pack(kind, 0, 0)


def read_items(head: bytes, body: bytes | memoryview) -> Iterator[tuple[Item, bytes]]:
    """Deliveries of a ``DELIVER`` frame, each with its body (empty for a spooled one)."""
    start = 0
    for item in _decode_items(head):
        end = start + item.size
        yield item, bytes(body[start:end])
        start = end


def read_acks(head: bytes) -> Acks:
    return _decode_acks(head)


def read_committed(head: bytes) -> Committed:
    return _decode_committed(head)


def read_begin(head: bytes) -> int:
    return _decode_number(head)


def read_held(head: bytes) -> frozenset[str]:
    return _decode_graphs(head)


def read_trigger(head: bytes) -> Trigger:
    return _decode_trigger(head)


def read_more(head: bytes) -> int:
    return _decode_number(head)


def read_fetched(head: bytes) -> Fetched:
    return _decode_fetched(head)


def read_ended(head: bytes) -> Ended:
    return _decode_ended(head)


def read_left(head: bytes) -> Left:
    return _decode_left(head)


def read_tap(head: bytes) -> Tap:
    return _decode_tap(head)


def read_untap(head: bytes) -> int:
    return _decode_number(head)


def read_tapped(head: bytes) -> Tapped:
    return _decode_tapped(head)


Frame = tuple[int, bytes, bytes | memoryview]


class FrameReader:
    """Assembles frames from the bytes of a socket, whatever their portions; joins a long frame only once."""

    __slots__ = ("_chunks", "_missing")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> Sequence[Frame]:
        """Add bytes that were read; returns the frames that are complete now."""
        if self._chunks:
            self._chunks.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return ()
            data = b"".join(self._chunks)
            self._chunks.clear()
        frames: list[Frame] = []
        start, end = 0, len(data)
        while start + PREFIX_BYTES <= end:
            kind, head_bytes, body_bytes = _PREFIX.unpack_from(data, start)
            head_end = start + PREFIX_BYTES + head_bytes
            stop = head_end + body_bytes
            if stop > end:
                break
            # a slice of a memoryview copies nothing; whoever keeps a body copies it
            frames.append((kind, data[start + PREFIX_BYTES : head_end], memoryview(data)[head_end:stop] if body_bytes else b""))
            start = stop
        if start < end:
            self._chunks.append(data[start:])
            if start + PREFIX_BYTES <= end:
                self._missing = stop - end
            else:
                self._missing = start + PREFIX_BYTES - end
        return frames
