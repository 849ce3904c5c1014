"""Rewrites the row of a commit without the bodies of finished deliveries."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

import orjson

from pypes.errors import StoreError
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.store.rows import checksum, pack, unpack

#: Smaller rows share a page with others: little would be won.
_LEAST_BYTES = 512


def rewrite(connection: sqlite3.Connection, key: int, done: Collection[int]) -> None:
    """Remove finished deliveries from a commit, in the caller's transaction; the rest stays unchanged.

    Positions stay, so receipts lead where they did. Not done while more than half of the row is still needed, nor to a row that
    is damaged. That these positions are done must be in the store, or come with the same transaction: their bodies are gone then.
    """
    found = connection.execute("SELECT salt, entries, data, crc FROM commits WHERE key = ?", (key,)).fetchone()
    if found is None or len(found[2]) < _LEAST_BYTES:
        return
    salt, count, data, crc = found
    try:
        entries = unpack(data, crc)
    except StoreError:
        return  # whoever reads it next finds it damaged
    left: list[tuple[Header, bytes | Spooled] | None] = []
    size = 0
    spools = []
    for position, (header, body, spool, length) in enumerate(entries):
        if position in done:
            left.append(None)
            continue
        size += length
        if spool is not None:
            spools.append(spool)
        left.append((header, Spooled(spool, length) if spool is not None else body))
    packed = pack(left)
    if 2 * len(packed) > len(data):
        return
    names = orjson.dumps(spools).decode() if spools else None
    # not an UPDATE: SQLite merges pages that have become empty for the most part only where something is deleted
    connection.execute("DELETE FROM commits WHERE key = ?", (key,))
    row = (key, salt, count, size, names, packed, checksum(packed))
    connection.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?)", row)
