"""Idempotency keys in a store: a table for each span of time, which is dropped as a whole when its keys are old enough.

A row is small, for a node may remember millions: the hash of the key's name, the beginning of the digest of the request, and the
commit and place of its delivery. Keys of deliveries that wait for longer than keys are remembered go to a table of their own.
All functions block.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from pypes.ingest.contracts.intake import DIGEST_BYTES
from pypes.ingest.receipt import MAX_SALT, ReceiptId

_NAME_BYTES = 16
_SALT_BITS = MAX_SALT.bit_length()
_COLUMNS = "(name BLOB PRIMARY KEY, digest BLOB, key INTEGER, place INTEGER) WITHOUT ROWID"
#: Time for which one table is filled, unless told otherwise.
SPAN_MS = 600_000

#: Table of keys that outlived their span, because their deliveries wait.
_WAITING = "keys_waiting"
#: ``spans`` has how many keys of each graph there are in the table of a span of time, in ms of the node.
TABLES = f"""
CREATE TABLE {_WAITING} {_COLUMNS};
CREATE TABLE spans (start INTEGER, end INTEGER, graph TEXT, keys INTEGER, PRIMARY KEY (start, end, graph)) WITHOUT ROWID;
"""


_UPGRADED_AT_ONCE = 10_000

#: Name, digest, key and place.
Stored = tuple[bytes, bytes, int, int]


class KeyRow(NamedTuple):
    """An idempotency key as it is stored: name, digest of its request, place of its delivery, and the graph."""

    name: bytes
    digest: bytes
    key: int
    place: int
    graph: str


class Span(NamedTuple):
    """A span of the node's time, from ``start`` until before ``end``, in ms."""

    start: int
    end: int

    @property
    def table(self) -> str:
        return f"keys_{self.start}_{self.end}"


def name_of(name: str) -> bytes:
    """The name of a key as it is stored."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_NAME_BYTES).digest()


def key_row(name: str, digest: bytes, key: int, position: int, salt: int, graph: str) -> KeyRow:
    """The row of the key that came with the delivery at a position of a commit."""
    return KeyRow(name_of(name), digest[:DIGEST_BYTES], key, position << _SALT_BITS | salt, graph)


class KeyTables:
    """The tables of one store. ``span_ms`` is how long each is filled; the commit of a key decides.

    Changed by whoever writes, in the caller's transaction; :attr:`spans` is replaced when that is through.
    """

    def __init__(self, connection: sqlite3.Connection, span_ms: int) -> None:
        self._connection = connection
        self._span_ms = span_ms
        self.spans: tuple[Span, ...] = ()
        self.read_spans()

    def read_spans(self) -> None:
        """Find out which tables there are."""
        found = self._connection.execute("SELECT DISTINCT start, end FROM spans ORDER BY start DESC, end DESC")
        self.spans = tuple(Span(*row) for row in found)

    def counts(self) -> dict[Span, dict[str, int]]:
        """Numbers of keys by span and graph."""
        found: dict[Span, dict[str, int]] = {}
        for start, end, graph, keys in self._connection.execute("SELECT start, end, graph, keys FROM spans"):
            found.setdefault(Span(start, end), {})[graph] = keys
        return found

    def span_of(self, key: int) -> Span:
        """The span to which a commit belongs."""
        start = (key >> 6) // self._span_ms * self._span_ms
        return Span(start, start + self._span_ms)

    def add(self, rows: Iterable[KeyRow]) -> None:
        """Store keys."""
        by_span: dict[Span, list[KeyRow]] = {}
        for row in rows:
            by_span.setdefault(self.span_of(row.key), []).append(row)
        for span, own in by_span.items():
            fill(self._connection, span, own)

    def find(self, connection: sqlite3.Connection, name: str) -> tuple[bytes, int, int, int] | None:
        """The digest of a key's request, and the commit, the position and the salt of its delivery, if it is known.

        May be called in another thread than that of whoever writes.
        """
        while True:
            spans = self.spans
            tables = [*(span.table for span in spans), _WAITING]
            sql = " UNION ALL ".join(f"SELECT digest, key, place FROM {table} WHERE name = ?1" for table in tables)
            try:
                found = connection.execute(f"{sql} LIMIT 1", (name_of(name),)).fetchall()
            except sqlite3.OperationalError:
                if spans is self.spans:
                    raise
                continue  # a table has been dropped meanwhile
            for digest, key, place in found:
                return digest, key, place >> _SALT_BITS, place & MAX_SALT
            return None

    def rescue(self, rows: Iterable[Stored]) -> None:
        """Keep keys whose span is about to go."""
        self._connection.executemany(f"INSERT OR IGNORE INTO {_WAITING} VALUES (?, ?, ?, ?)", rows)

    def drop(self, span: Span) -> dict[str, int]:
        """Forget the keys of a span, and of those that were rescued the ones whose commits are done by now.

        Returns how many of the span there were of each graph; those that are rescued count no more.
        """
        # nobody looks there any more before it is gone
        self.spans = tuple(each for each in self.spans if each != span)
        gone = dict(self._connection.execute("SELECT graph, keys FROM spans WHERE start = ? AND end = ?", span))
        self._connection.execute(f"DROP TABLE {span.table}")
        self._connection.execute("DELETE FROM spans WHERE start = ? AND end = ?", span)
        self._connection.execute(f"DELETE FROM {_WAITING} WHERE key NOT IN (SELECT key FROM commits)")
        return gone


def waiting(connection: sqlite3.Connection, span: Span) -> list[Stored]:
    """The keys of a span whose commits are not done."""
    sql = f"SELECT name, digest, key, place FROM {span.table} WHERE key IN (SELECT key FROM commits)"
    return connection.execute(sql).fetchall()


def fill(connection: sqlite3.Connection, span: Span, rows: list[KeyRow]) -> None:
    """Put keys into the table of a span, which is made if need be."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS {span.table} {_COLUMNS}")
    connection.executemany(f"INSERT OR REPLACE INTO {span.table} VALUES (?, ?, ?, ?)", [row[:4] for row in rows])
    graphs: dict[str, int] = {}
    for row in rows:
        graphs[row.graph] = graphs.get(row.graph, 0) + 1
    connection.executemany(
        "INSERT INTO spans VALUES (?, ?, ?, ?) ON CONFLICT (start, end, graph) DO UPDATE SET keys = keys + excluded.keys",
        [(*span, graph, count) for graph, count in graphs.items()],
    )


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring the keys of format 2 into the table of one span."""
    first, last = connection.execute("SELECT min(key), max(key) FROM keys").fetchone()
    if first is not None:
        span = Span(first >> 6, (last >> 6) + 1)
        found = connection.execute("SELECT name, digest, key, receipt FROM keys")
        while some := found.fetchmany(_UPGRADED_AT_ONCE):
            fill(connection, span, [_upgraded(*row) for row in some])
    connection.execute("DROP TABLE keys")


def _upgraded(name: str, digest: bytes, key: int, receipt: str) -> KeyRow:
    place = ReceiptId.parse(receipt)
    return key_row(name, digest, key, place.position, place.salt, name.partition("\0")[0])
