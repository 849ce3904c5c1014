"""Assignment of the commits of a store to streams, read from their indexes at its opening. All functions block."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from pypes.errors import StoreError
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.store.rows import Place, index_bytes, unpack_index

#: Rows up to here are read whole, many in one query: they lie within one page. Of others only the index is read.
_SMALL_BYTES = 8192


class FoundPart(NamedTuple):
    """The unfinished deliveries of one stream in a commit: positions (``None``: all that are), number, bytes, documents."""

    stream: Stream
    positions: list[int] | None
    deliveries: int
    bytes: int
    documents: int = 0


def scan_parts(
    connection: sqlite3.Connection, commits: Iterable[tuple[int, int, int]], done: Mapping[int, Container[int]]
) -> dict[int, list[FoundPart]]:
    """The parts of commits, given as key, entries and size; ``done`` has the positions of finished deliveries by key.

    A commit whose index cannot be read is one part of no graph's stream: whoever reads it then finds it damaged.
    """
    small: dict[int, bytes] = {}
    query = "SELECT key, data FROM commits WHERE length(data) <= ?"
    with suppress(sqlite3.DatabaseError):
        for key, data in connection.execute(query, (_SMALL_BYTES,)):
            small[key] = data[: index_bytes(data[:4])]
    found: dict[int, list[FoundPart]] = {}
    for key, entries, size in commits:
        finished = done.get(key, ())
        try:
            start = small.get(key) or _start_of(connection, key)
            parts = parts_of(unpack_index(start), finished)
        except (sqlite3.Error, StoreError):
            unfinished = sum(1 for position in range(entries) if position not in finished)
            parts = [FoundPart(Stream("", False), None, unfinished, size)]
        found[key] = parts
    return found


def _start_of(connection: sqlite3.Connection, key: int) -> bytes:
    try:
        with connection.blobopen("commits", "data", key, readonly=True) as blob:
            prefix = blob.read(4)
            return prefix + blob.read(index_bytes(prefix) - 4)
    except OverflowError:
        # Python up to 3.11.3 takes no rowid of more than 32 bits there: read the row whole
        (data,) = connection.execute("SELECT data FROM commits WHERE key = ?", (key,)).fetchone()
        return bytes(data[: index_bytes(data[:4])])


def parts_of(index: Iterable[Place], finished: Container[int]) -> list[FoundPart]:
    """The parts of a commit, from its index."""
    positions: dict[Stream, list[int]] = {}
    sizes: dict[Stream, int] = {}
    documents: dict[Stream, int] = {}
    for position, (header, size, _) in enumerate(index):
        if position not in finished:
            stream = Stream(header.graph, header.is_bulk)
            positions.setdefault(stream, []).append(position)
            sizes[stream] = sizes.get(stream, 0) + size
            documents[stream] = documents.get(stream, 0) + header.documents
    is_one = len(positions) == 1
    return [
        FoundPart(stream, None if is_one else own, len(own), sizes[stream], documents[stream])
        for stream, own in positions.items()
    ]
