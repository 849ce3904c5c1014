"""Folding: the accounts of finished commits leave their rows for blocks, one graph each. All functions block."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterator
from typing import NamedTuple

import orjson

from pypes.ingest.accounts import Counts, count, decode
from pypes.ingest.store.blocks import DETAIL_BYTES, MOST, SPAN, Entry, Packed, pack

#: Bytes of rows and details that are read for one fold.
_READ_BYTES = 4 << 20

_INSERT = (
    "INSERT INTO blocks (graph, first, last, entries, failed, bytes, keys, data, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_COUNT = """INSERT INTO totals VALUES (?, ?, ?, ?, ?) ON CONFLICT (graph) DO UPDATE SET accepted = accepted + excluded.accepted,
  published = published + excluded.published, dropped = dropped + excluded.dropped, failed = failed + excluded.failed"""

#: The size of a row of blocks besides its parts, roughly.
BLOCK_BYTES = 128


class Fold(NamedTuple):
    """Blocks that take the place of the rows of ``keys``, which have so many ``entries`` and ``bytes``.

    ``unreadable`` are rows that stay where they are, because they are damaged.
    """

    keys: list[int]
    entries: int
    bytes: int
    blocks: list[Packed]
    counts: dict[str, Counts]
    unreadable: list[int]


def read(connection: sqlite3.Connection, before: int, passed_over: Container[int]) -> Fold | None:
    """The oldest rows below the key ``before`` as blocks, about one of them; ``None`` if there are none. Changes nothing."""
    keys: list[int] = []
    unreadable: list[int] = []
    by_graph: dict[str, list[Entry]] = {}
    counts: dict[str, Counts] = {}
    entries = size = 0
    rows = connection.execute("SELECT key, salt, entries, bytes, data FROM receipts WHERE key < ? ORDER BY key", (before,))
    for key, salt, number, own, data in rows:
        if key in passed_over:
            continue
        try:
            accounts = decode(data)
        except ValueError:
            unreadable.append(key)
            continue
        count(accounts, counts)
        for position, account in enumerate(accounts):
            of_graph = by_graph.get(account.kind.graph)
            if of_graph is None:
                of_graph = by_graph[account.kind.graph] = []
            of_graph.append(Entry(key, position, salt, account))
        keys.append(key)
        entries, size = entries + number, size + own
        if entries >= MOST or size >= _READ_BYTES:
            break
    if not keys and not unreadable:
        return None
    details: dict[tuple[int, int], bytes] = {}
    if keys:
        sql = "SELECT key, position, data FROM details WHERE key BETWEEN ? AND ?"
        details = {(key, position): data for key, position, data in connection.execute(sql, (keys[0], keys[-1]))}
    blocks = [block for graph, own in by_graph.items() for block in _cut(graph, own, details)]
    return Fold(keys, entries, size, blocks, counts, unreadable)


def _cut(graph: str, entries: list[Entry], details: dict[tuple[int, int], bytes]) -> Iterator[Packed]:
    """Blocks of the entries of one graph, within the bounds of a block."""
    start = size = 0
    own: dict[int, bytes] = {}
    for at, entry in enumerate(entries):
        detail = details.get((entry.key, entry.position)) if details else None
        added = 0 if detail is None else len(detail)
        is_far = entry.key // SPAN != entries[start].key // SPAN
        if at > start and (at - start == MOST or is_far or size + added > DETAIL_BYTES):
            yield pack(graph, entries[start:at], own)
            start, size, own = at, 0, {}
        if detail is not None:
            own[at - start] = detail
            size += added
    yield pack(graph, entries[start:], own)


def write(connection: sqlite3.Connection, fold: Fold) -> None:
    """Put blocks in the place of the rows that they were made of, in the caller's transaction."""
    gone = orjson.dumps(fold.keys).decode()
    connection.executemany(_INSERT, [(*block[:5], BLOCK_BYTES + block.size, *block[5:]) for block in fold.blocks])
    connection.execute("DELETE FROM details WHERE key IN (SELECT value FROM json_each(?))", (gone,))
    connection.execute("DELETE FROM receipts WHERE key IN (SELECT value FROM json_each(?))", (gone,))
    connection.executemany(_COUNT, [(graph, *counts) for graph, counts in fold.counts.items()])
