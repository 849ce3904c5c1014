"""Format of the row that holds the deliveries of a commit: a checksum, an index of headers, the bodies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

import msgspec

from pypes.errors import StoreError
from pypes.ingest.delivery import Header, Spooled

_Index = list[tuple[Header, int, str | None]]
_index_decoder = msgspec.msgpack.Decoder(_Index)
_index_encoder = msgspec.msgpack.Encoder()


class Entry(NamedTuple):
    """A delivery as the store holds it: its body inline, or the name of the spool file with it."""

    header: Header
    body: bytes
    spool: str | None
    size: int


class Row(NamedTuple):
    """A commit as the store holds it.

    ``entries`` is None if it cannot be read, for the reason in ``damage``; ``headers`` are then those of its index, if that
    can be.
    """

    key: int
    entries: list[Entry] | None
    damage: str = ""
    headers: list[Header] | None = None


def pack(entries: Iterable[tuple[Header, bytes | Spooled]]) -> bytes:
    """Encode the deliveries of a commit: length of the index, index (header, size, spool file), bodies one after another."""
    index: _Index = []
    bodies = []
    for header, body in entries:
        if isinstance(body, Spooled):
            index.append((header, body.size, body.name))
        else:
            index.append((header, len(body), None))
            bodies.append(body)
    encoded = _index_encoder.encode(index)
    return b"".join([len(encoded).to_bytes(4, "little"), encoded, *bodies])


def checksum(data: bytes) -> int:
    return crc32(data)


def index_bytes(prefix: bytes) -> int:
    """Bytes of the index of a row, its length field included, from the first four bytes."""
    return 4 + int.from_bytes(prefix[:4], "little")


def unpack_index(data: bytes | memoryview) -> _Index:
    """The index of a row, from its first :func:`index_bytes`; raises :class:`StoreError` if it is damaged."""
    try:
        return _index_decoder.decode(memoryview(data)[4 : index_bytes(bytes(data[:4]))])
    except ValueError as error:
        raise StoreError(f"a row of the queue is damaged: {error}", code="store.damaged") from error


def salvage(data: bytes) -> list[Header] | None:
    """The headers of a damaged row, if its index can be read."""
    try:
        return [header for header, _, _ in unpack_index(data[: index_bytes(data)])]
    except StoreError:
        return None


def unpack(data: bytes, crc: int | None = None) -> list[Entry]:
    """Inverse of :func:`pack`; raises :class:`StoreError` if the row is damaged (``crc`` is None in rows of format 1)."""
    if crc is not None and crc32(data) != crc:
        raise StoreError("a row of the queue is damaged: its checksum does not match", code="store.damaged")
    offset = index_bytes(data[:4])
    entries = []
    for header, size, spool in unpack_index(data):
        if spool is None:
            entries.append(Entry(header, data[offset : offset + size], None, size))
            offset += size
        else:
            entries.append(Entry(header, b"", spool, size))
    if offset != len(data):
        raise StoreError(f"a row of the queue is damaged: it has {len(data)} bytes instead of {offset}", code="store.damaged")
    return entries
