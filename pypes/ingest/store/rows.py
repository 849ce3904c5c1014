"""Format of the row that holds the deliveries of a commit: a checksum, an index of headers, the bodies.

The index has an entry for each delivery. In a row that was written anew, a number stands for so many deliveries one after the
other that were finished and left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from isal.isal_zlib import crc32  # PERF: as zlib's, in a tenth of the time

from pypes.errors import StoreError
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.receipt import MAX_INDEX

#: Header, size of the body, spool file.
Place = tuple[Header, int, str | None]
# the range of the number is checked below: msgspec 0.22 reads wild memory when one of a union with a tuple is constrained
_index_decoder = msgspec.msgpack.Decoder(list[Place | int])
_index_encoder = msgspec.msgpack.Encoder()

#: In the place of a delivery that was left out.
_GONE: Place = (Header(""), 0, None)


class Entry(NamedTuple):
    """A delivery as the store holds it: its body inline, or the name of the spool file with it.

    One that was finished and left out has an empty header and no body.
    """

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


def pack(entries: Iterable[tuple[Header, bytes | Spooled] | None]) -> bytes:
    """Encode the deliveries of a commit: length of the index, index, bodies one after another; ``None`` leaves one out."""
    index: list[Place | int] = []
    bodies = []
    left_out = 0
    for entry in entries:
        if entry is None:
            left_out += 1
            continue
        if left_out:
            index.append(left_out)
            left_out = 0
        header, body = entry
        if isinstance(body, Spooled):
            index.append((header, body.size, body.name))
        else:
            index.append((header, len(body), None))
            bodies.append(body)
    if left_out:
        index.append(left_out)
    encoded = _index_encoder.encode(index)
    return b"".join([len(encoded).to_bytes(4, "little"), encoded, *bodies])


def checksum(data: bytes) -> int:
    return crc32(data)


def index_bytes(prefix: bytes) -> int:
    """Bytes of the index of a row, its length field included, from the first four bytes."""
    return 4 + int.from_bytes(prefix[:4], "little")


def unpack_index(data: bytes | memoryview) -> list[Place]:
    """The index of a row by position, from its first :func:`index_bytes`; raises :class:`StoreError` if it is damaged."""
    try:
        index = _index_decoder.decode(memoryview(data)[4 : index_bytes(bytes(data[:4]))])
    except ValueError as error:
        raise StoreError(f"a row of the queue is damaged: {error}", code="store.damaged") from error
    if int not in map(type, index):
        return index  # type: ignore[return-value]
    places: list[Place] = []
    for place in index:
        if not isinstance(place, int):
            places.append(place)
        elif 0 < place <= MAX_INDEX + 1 - len(places):
            places += [_GONE] * place
        else:
            raise StoreError(f"a row of the queue is damaged: it leaves out {place} deliveries", code="store.damaged")
    return places


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
