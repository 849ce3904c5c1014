"""Size of the history in a store, read at its opening; what cannot be read counts as nothing."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from pypes.ingest.accounts import Counts, count_encoded
from pypes.ingest.store.keys import Span
from pypes.ingest.store.write_batch import Amount, History


def read_history(
    connection: sqlite3.Connection, letters: list[tuple[str, int, int]], keys: dict[Span, dict[str, int]]
) -> History:
    """The history of a store; ``letters`` and ``keys`` are passed on.

    Takes about a second for a million receipts that are not in blocks, which is some minutes' worth at most; the others are
    added up from an index.
    """
    counts: dict[str, Counts] = {}
    blocks: dict[str, Amount] = {}
    receipts = size = 0
    with suppress(sqlite3.DatabaseError):
        for graph, *documents in connection.execute("SELECT graph, accepted, published, dropped, failed FROM totals"):
            counts[graph] = Counts(*documents)
    with suppress(sqlite3.DatabaseError):
        sql = "SELECT graph, sum(entries), sum(bytes) FROM blocks INDEXED BY blocks_graph GROUP BY graph"
        for graph, entries, own in connection.execute(sql):
            blocks[graph] = Amount(entries, own)
    with suppress(sqlite3.DatabaseError):
        for entries, own, data in connection.execute("SELECT entries, bytes, data FROM receipts"):
            receipts, size = receipts + entries, size + own
            with suppress(ValueError):
                count_encoded(data, counts)
    traces = 0
    with suppress(sqlite3.DatabaseError):
        (traces,) = connection.execute("SELECT coalesce(sum(length(data)), 0) FROM traces").fetchone()
    return History(Amount(receipts, size), blocks, counts, letters, keys, traces)
