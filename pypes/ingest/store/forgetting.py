"""Forgetting of receipts: blocks that are too old, or too many, with what else is known of their deliveries."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import orjson

from pypes.errors import StoreError
from pypes.ingest.store.blocks import Block

#: Blocks that go in one transaction.
_AT_ONCE = 64


class Forgotten(NamedTuple):
    """Numbers of receipts and bytes of a graph that went, and the greatest key among them."""

    receipts: int
    bytes: int
    last: int


def forget(connection: sqlite3.Connection, graph: str, before: int, surplus: int) -> Forgotten:
    """Forget blocks of a graph: those that end before a key, and the oldest until ``surplus`` bytes are gone.

    A few at a time, in the caller's transaction; nothing is left to be done once none went. The horizon moves along.
    """
    rows = connection.execute(
        "SELECT id, first, last, entries, bytes FROM blocks WHERE graph = ? ORDER BY last LIMIT ?", (graph, _AT_ONCE)
    ).fetchall()
    gone: list[tuple[int, int, int]] = []
    receipts = size = 0
    for id, first, last, entries, own in rows:
        if last >= before and size >= surplus:
            break
        gone.append((id, first, last))
        receipts, size = receipts + entries, size + own
    if not gone:
        return Forgotten(0, 0, 0)
    _forget_replays(connection, gone)
    ids = orjson.dumps([id for id, _, _ in gone]).decode()
    connection.execute("DELETE FROM blocks WHERE id IN (SELECT value FROM json_each(?))", (ids,))
    (horizon,) = connection.execute("SELECT coalesce(max(value), 0) FROM meta WHERE name = 'forgotten'").fetchone()
    last = gone[-1][2]
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('forgotten', ?)", (max(horizon, last),))
    return Forgotten(receipts, size, last)


def forget_traces(connection: sqlite3.Connection, before: int, surplus: int) -> int:
    """Forget traces of deliveries before a key, and the oldest until ``surplus`` bytes are gone; returns the bytes that went.

    A few at a time, in the caller's transaction; nothing is left to be done once none went. Their own horizon moves along.
    """
    rows = connection.execute(
        "SELECT rowid, key, length(data) FROM traces ORDER BY key, position LIMIT ?", (_AT_ONCE,)
    ).fetchall()
    gone: list[int] = []
    size = last = 0
    for id, key, own in rows:
        if key >= before and size >= surplus:
            break
        gone.append(id)
        size, last = size + own, key
    if gone:
        connection.executemany("DELETE FROM traces WHERE rowid = ?", [(id,) for id in gone])
        (horizon,) = connection.execute("SELECT coalesce(max(value), 0) FROM meta WHERE name = 'traces_forgotten'").fetchone()
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('traces_forgotten', ?)", (max(horizon, last),))
    return size


def _forget_replays(connection: sqlite3.Connection, blocks: Sequence[tuple[int, int, int]]) -> None:
    """Forget of which deliveries those in these blocks are replays."""
    for id, first, last in blocks:
        found = connection.execute("SELECT key, position FROM replays WHERE key BETWEEN ? AND ?", (first, last)).fetchall()
        if not found:
            continue
        keys, data = connection.execute("SELECT keys, data FROM blocks WHERE id = ?", (id,)).fetchone()
        block = Block(first, keys, data)
        with suppress(StoreError):  # nothing is known of a block that is damaged: all that may be in it go
            found = [(key, position) for key, position in found if block.ordinal(key, position) is not None]
        connection.executemany("DELETE FROM replays WHERE key = ? AND position = ?", found)
