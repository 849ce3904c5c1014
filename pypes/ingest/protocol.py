"""What ingest workers and instances say to each other over a unix socket.

A frame is its kind (1 byte), the lengths of head and body (4 bytes each, big-endian), the head (msgpack) and the body (raw)::

    worker → instance   DELIVER   Items: many deliveries; the body holds theirs one after the other
                        PRESSURE  the window is full and more waits: let go of what components hold
    instance → worker   ACKS      Acks: deliveries that are done, one frame per epoch
                        BEGIN     a delivery now runs alone: its number, or -1 for one of another worker
                        END       the lone run is over
                        GOODBYE   nothing sent since the last acknowledgement was begun, nor will it be

Both sides live on one machine and come from one installation, so there is no version in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import msgspec

from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome

DELIVER, PRESSURE, ACKS, BEGIN, END, GOODBYE = range(1, 7)

#: Most that is read from a socket at once, in bytes.
READ_BYTES = 1 << 18

_PREFIX = struct.Struct("!BII")
PREFIX_BYTES = _PREFIX.size


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


class Acks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``published`` are deliveries whose one document was published; all others come with their outcome."""

    published: list[int]
    outcomes: list[tuple[int, Outcome]]


_encode = msgspec.msgpack.Encoder().encode
_decode_items = msgspec.msgpack.Decoder(list[Item]).decode
_decode_acks = msgspec.msgpack.Decoder(Acks).decode
_decode_number = msgspec.msgpack.Decoder(int).decode


def deliver(items: list[Item], body_bytes: int) -> bytes:
    """Prefix and head of a ``DELIVER`` frame; the bodies follow it."""
    head = _encode(items)
    return _PREFIX.pack(DELIVER, len(head), body_bytes) + head


def acks(published: list[int], outcomes: list[tuple[int, Outcome]]) -> bytes:
    head = _encode(Acks(published, outcomes))
    return _PREFIX.pack(ACKS, len(head), 0) + head


def begin(number: int) -> bytes:
    head = _encode(number)
    return _PREFIX.pack(BEGIN, len(head), 0) + head


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


def read_begin(head: bytes) -> int:
    return _decode_number(head)


Frame = tuple[int, bytes, bytes | memoryview]


class FrameReader:
    """Puts frames together from what a socket gave, whatever its portions; joins a long frame only once."""

    __slots__ = ("_chunks", "_missing")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> Sequence[Frame]:
        """Take what was read; returns the frames that are complete now."""
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
