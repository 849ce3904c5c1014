"""A frozen writer of the store as format 1 had it: its tables and encodings as data, nothing of it from the code under test."""

from __future__ import annotations

import json
import sqlite3
import uuid
from pathlib import Path

import msgspec

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE commits (key INTEGER PRIMARY KEY, salt INTEGER, entries INTEGER, size INTEGER, spools TEXT, data BLOB);
CREATE TABLE progress (key INTEGER PRIMARY KEY, data TEXT);
CREATE TABLE receipts (key INTEGER PRIMARY KEY, salt INTEGER, entries INTEGER, data TEXT);
CREATE TABLE crashes (key INTEGER, position INTEGER, count INTEGER, PRIMARY KEY (key, position)) WITHOUT ROWID;
CREATE TABLE dead_letters (id TEXT PRIMARY KEY, receipt TEXT, letter BLOB, header BLOB, spool TEXT) WITHOUT ROWID;
"""

NODE, SHARD = 1, 0
FIRST_KEY = 1_700_000_000_000 << 6


def receipt_id(key: int, position: int, salt: int) -> str:
    """The id of a delivery (UUIDv7 whose free bits lead to it)."""
    number = (key >> 6) << 80 | 7 << 76 | (key & 0x3F) << 70 | (NODE >> 26) << 64
    number |= 2 << 62 | (NODE & 0x3FFFFFF) << 36 | SHARD << 28 | position << 14 | salt
    return str(uuid.UUID(int=number))


def header(length: int, documents: int = 1) -> list[object]:
    """Graph, method, content type, encoding, route, id, file name, documents, length."""
    return ["g", "POST", "application/json", "", None, None, None, documents, length]


def pack(entries: list[tuple[list[object], bytes, str | None]]) -> bytes:
    index = msgspec.msgpack.encode([[head, head[8], spool] for head, _, spool in entries])
    return len(index).to_bytes(4, "little") + index + b"".join(body for _, body, spool in entries if spool is None)


class Writer:
    """Writes commits, receipts, progress, crashes and dead letters; ``close`` checkpoints."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA page_size = 32768")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("BEGIN")
        for statement in _SCHEMA.strip().split(";\n"):
            self._connection.execute(statement)
        self._connection.execute("INSERT INTO meta VALUES ('version', '2.0.0a1')")
        self._connection.execute("PRAGMA user_version = 1")
        self._key = FIRST_KEY

    def _next(self) -> int:
        self._key += 64
        return self._key

    def commit(self, bodies: list[bytes], salt: int = 77) -> list[str]:
        """A commit of queued deliveries; returns their receipts."""
        key = self._next()
        data = pack([(header(len(body)), body, None) for body in bodies])
        self._connection.execute(
            "INSERT INTO commits VALUES (?, ?, ?, ?, NULL, ?)", (key, salt, len(bodies), sum(map(len, bodies)), data)
        )
        return [receipt_id(key, position, salt) for position in range(len(bodies))]

    def finish(self, position: int, counts: list[int]) -> None:
        """A delivery of the last commit was acknowledged: accepted, published, dropped, failed, ms."""
        self._connection.execute("INSERT INTO progress VALUES (?, ?)", (self._key, json.dumps({str(position): counts})))

    def crash(self, position: int, count: int) -> None:
        self._connection.execute("INSERT INTO crashes VALUES (?, ?, ?)", (self._key, position, count))

    def receipts(self, counts: list[list[int]], salt: int = 77) -> list[str]:
        """A commit of which everything was acknowledged; returns its receipts."""
        key = self._next()
        flat = [count for each in counts for count in each]
        self._connection.execute("INSERT INTO receipts VALUES (?, ?, ?, ?)", (key, salt, len(counts), json.dumps(flat)))
        return [receipt_id(key, position, salt) for position in range(len(counts))]

    def dead_letter(self, receipt: str, filter: str, packet: bytes, *, whole: list[object] | None = None) -> None:
        """One with a packet, or of a ``whole`` delivery: then ``packet`` is its body."""
        id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{receipt}/{filter}"))
        letter = [id, [0], "g", 3, filter, "F", "component.failed", "boom", "trace", 2, packet, 1_700_000_000.5]
        encoded = msgspec.msgpack.encode(letter)
        self._connection.execute(
            "INSERT INTO dead_letters VALUES (?, ?, ?, ?, NULL)",
            (id, receipt, encoded, msgspec.msgpack.encode(whole) if whole else None),
        )

    def close(self) -> None:
        self._connection.execute("COMMIT")
        self._connection.close()
