"""The SQLite file under an embedded queue: one row per group commit, so that its cost does not grow with the deliveries.

All methods block; one thread commits, another reads. A whole turn (append what arrived, remove what was
acknowledged, keep its receipts) is **one** SQL statement on a view with a trigger: each statement that Python steps
gives up the interpreter lock and must win it back from a busy event loop, which costs more than the work itself.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from pypes.errors import StoreError
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter

#: Format of the store; a store of a higher one is refused, a lower one upgraded.
FORMAT = 1

_PAGE_BYTES = 32768
_WAL_PAGES = 1024  # 32 MiB: what is acknowledged soon after it arrived is overwritten in the log and never reaches the table
_VACUUM_BYTES = 256 << 20

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE commits (key INTEGER PRIMARY KEY, salt INTEGER, entries INTEGER, size INTEGER, spools TEXT, data BLOB);
CREATE TABLE progress (key INTEGER PRIMARY KEY, data TEXT);
CREATE TABLE receipts (key INTEGER PRIMARY KEY, salt INTEGER, entries INTEGER, data TEXT);
CREATE TABLE crashes (key INTEGER, position INTEGER, count INTEGER, PRIMARY KEY (key, position)) WITHOUT ROWID;
CREATE TABLE dead_letters (id TEXT PRIMARY KEY, receipt TEXT, letter BLOB, header BLOB, spool TEXT) WITHOUT ROWID;
"""

_TURN = """
CREATE TEMP VIEW turn AS SELECT
  0 AS key, 0 AS salt, 0 AS entries, 0 AS size, 0 AS spools, 0 AS data, 0 AS done, 0 AS receipts, 0 AS progressed, 0 AS progress;
CREATE TEMP TRIGGER turn_insert INSTEAD OF INSERT ON turn BEGIN
  INSERT INTO commits SELECT NEW.key, NEW.salt, NEW.entries, NEW.size, NEW.spools, NEW.data WHERE NEW.key IS NOT NULL;
  DELETE FROM commits WHERE key IN (SELECT value FROM json_each(NEW.done));
  INSERT OR REPLACE INTO receipts SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]') FROM json_each(NEW.receipts);
  DELETE FROM progress WHERE key IN (SELECT value FROM json_each(NEW.progressed));
  INSERT OR REPLACE INTO progress SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(NEW.progress);
END;
"""

_INSERT = "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_TURN = "INSERT INTO turn VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NO_ROW = (None, None, None, None, None, None)

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
    """A commit as the store holds it."""

    key: int
    entries: list[Entry]


class Found(NamedTuple):
    """What opening a store finds of a commit, without reading bodies; ``done``: position → counts of what was acknowledged."""

    key: int
    salt: int
    entries: int
    size: int
    spools: list[str]
    done: dict[int, list[int]]
    crashes: dict[int, int]


@dataclass(slots=True)
class Turn:
    """Everything one transaction writes."""

    row: tuple[int, int, int, int, str | None, bytes] | None = None
    done: list[int] = field(default_factory=list)
    receipts: list[tuple[int, int, int, list[int]]] = field(default_factory=list)
    progressed: list[int] = field(default_factory=list)
    progress: list[tuple[int, dict[str, list[int]]]] = field(default_factory=list)
    crashes: list[tuple[int, int, int]] = field(default_factory=list)
    dead: list[tuple[DeadLetter, str, Header | None, str | None]] = field(default_factory=list)
    redriven: list[str] = field(default_factory=list)


def pack(entries: Iterable[tuple[Header, bytes | Spooled]]) -> bytes:
    """Encode what a commit holds: length of the index, index (header, size, spool file), bodies one after another."""
    index: list[tuple[Header, int, str | None]] = []
    bodies = []
    for header, body in entries:
        if isinstance(body, Spooled):
            index.append((header, body.size, body.name))
        else:
            index.append((header, len(body), None))
            bodies.append(body)
    encoded = _index_encoder.encode(index)
    return b"".join([len(encoded).to_bytes(4, "little"), encoded, *bodies])


def unpack(data: bytes) -> list[Entry]:
    """Inverse of :func:`pack`; raises :class:`StoreError` if the row is damaged."""
    offset = 4 + int.from_bytes(data[:4], "little")
    try:
        index = _index_decoder.decode(memoryview(data)[4:offset])
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"a row of the queue is damaged ({error}); restore the shard from a copy", code="store.damaged"
        ) from error
    entries = []
    for header, size, spool in index:
        if spool is None:
            entries.append(Entry(header, data[offset : offset + size], None, size))
            offset += size
        else:
            entries.append(Entry(header, b"", spool, size))
    return entries


class Store:
    """One shard's file. ``connect`` is ``sqlite3.connect`` unless a test injects faults."""

    def __init__(
        self,
        path: Path,
        durability: str = "always",
        *,
        version: str = "",
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self.path = path
        self._durability = durability
        self._synchronous = {"always": "FULL", "interval": "NORMAL", "never": "OFF"}[durability]
        try:
            self._writer = self._connect(connect)
            self._prepare(version)
            self._reader = self._connect(connect)
            self._reader.execute("PRAGMA query_only = 1")
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _connect(self, connect: Callable[..., sqlite3.Connection]) -> sqlite3.Connection:
        connection = connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        connection.execute("PRAGMA secure_delete = 0")  # Debian builds it in: every removed body would be overwritten with zeros
        connection.execute(f"PRAGMA journal_size_limit = {2 * _WAL_PAGES * _PAGE_BYTES}")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        if sys.platform == "darwin":  # there, fsync alone leaves the data in the drive's cache
            connection.execute("PRAGMA fullfsync = 1")
            connection.execute("PRAGMA checkpoint_fullfsync = 1")
        return connection

    def _prepare(self, version: str) -> None:
        (found,) = self._writer.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            (written_by,) = self._writer.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() or ("",)
            self._writer.close()
            raise StoreError(
                f"the queue has format {found}, this version reads up to {FORMAT}; run Pypes {written_by or '(later)'} or newer",
                code="store.too_new",
                where=str(self.path),
            )
        if found == 0:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA.strip().split(";\n"):
                    self._writer.execute(statement)
                self._writer.execute("INSERT INTO meta VALUES ('version', ?)", (version,))
                self._writer.execute(f"PRAGMA user_version = {FORMAT}")
                self._writer.execute("COMMIT")
            except sqlite3.Error:
                self._rollback()
                raise
        else:
            self._shrink()
        self._writer.executescript(_TURN)

    def _shrink(self) -> None:
        (pages,) = self._writer.execute("PRAGMA page_count").fetchone()
        (free,) = self._writer.execute("PRAGMA freelist_count").fetchone()
        if free * _PAGE_BYTES > _VACUUM_BYTES and free > pages // 2:  # a backlog that was worked off
            self._writer.execute("VACUUM")

    def scan(self) -> list[Found]:
        """Every commit not wholly acknowledged, in order; reads no bodies."""
        done = dict(self._writer.execute("SELECT key, data FROM progress"))
        crashes: dict[int, dict[int, int]] = {}
        for key, position, count in self._writer.execute("SELECT key, position, count FROM crashes"):
            crashes.setdefault(key, {})[position] = count
        rows = self._writer.execute("SELECT key, salt, entries, size, spools FROM commits ORDER BY key")
        return [
            Found(
                key,
                salt,
                entries,
                size,
                orjson.loads(spools) if spools else [],
                {int(position): counts for position, counts in orjson.loads(done.get(key, "{}")).items()},
                crashes.get(key, {}),
            )
            for key, salt, entries, size, spools in rows
        ]

    def last_key(self) -> int:
        """The greatest commit key ever used that is still known."""
        (key,) = self._writer.execute(
            "SELECT max(coalesce((SELECT max(key) FROM commits), 0), coalesce((SELECT max(key) FROM receipts), 0))"
        ).fetchone()
        return int(key)

    def spools_of_dead_letters(self) -> list[str]:
        return [name for (name,) in self._writer.execute("SELECT spool FROM dead_letters WHERE spool IS NOT NULL")]

    def count_receipts(self) -> int:
        return int(self._writer.execute("SELECT coalesce(sum(entries), 0) FROM receipts").fetchone()[0])

    def count_dead_letters(self) -> int:
        return int(self._writer.execute("SELECT count(*) FROM dead_letters").fetchone()[0])

    def commit(self, turn: Turn) -> None:
        """Write a turn in one transaction; durable on return when durability is ``always``. Raises :class:`StoreError`."""
        try:
            if turn.dead or turn.crashes or turn.redriven:
                self._writer.execute("BEGIN IMMEDIATE")
                self._commit_rare(turn)
                self._commit_turn(turn)
                self._writer.execute("COMMIT")
            else:
                self._commit_turn(turn)
        except sqlite3.Error as error:
            self._rollback()
            raise self._failure(error) from error

    def _commit_turn(self, turn: Turn) -> None:
        if turn.done or turn.progress:
            acknowledged = (
                orjson.dumps(turn.done).decode(),
                orjson.dumps(turn.receipts).decode(),
                orjson.dumps(turn.progressed).decode() if turn.progressed else None,
                orjson.dumps(turn.progress).decode() if turn.progress else None,
            )
            self._writer.execute(_INSERT_TURN, (turn.row or _NO_ROW) + acknowledged)
        elif turn.row is not None:
            self._writer.execute(_INSERT, turn.row)

    def _commit_rare(self, turn: Turn) -> None:
        write = self._writer.execute
        for letter_id in turn.redriven:
            write("DELETE FROM dead_letters WHERE id = ?", (letter_id,))
        for letter, receipt, header, spool in turn.dead:
            write(
                "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?)",
                (letter.id, receipt, msgspec.msgpack.encode(letter), header.encode() if header else None, spool),
            )
        for crash in turn.crashes:
            write("INSERT OR REPLACE INTO crashes VALUES (?, ?, ?)", crash)
        for key in turn.done:
            write("DELETE FROM crashes WHERE key = ?", (key,))

    def sync(self) -> None:
        """Commit with a sync, covering all that was committed before: the beat of ``interval``, and the probe after a failure."""
        try:
            if self._durability != "never":
                self._writer.execute("PRAGMA synchronous = FULL")
            try:
                self._writer.execute("INSERT OR REPLACE INTO meta VALUES ('synced', strftime('%s', 'now'))")
            finally:
                self._writer.execute(f"PRAGMA synchronous = {self._synchronous}")
        except sqlite3.Error as error:
            self._rollback()
            raise self._failure(error) from error

    def prune(self, before_key: int, surplus: int) -> int:
        """Forget receipts older than ``before_key``, and the oldest ones until ``surplus`` are gone; returns how many went."""
        gone = 0
        try:
            rows = self._writer.execute("SELECT key, entries FROM receipts ORDER BY key LIMIT 5000").fetchall()
            last = None
            for key, entries in rows:
                if key >= before_key and gone >= surplus:
                    break
                last, gone = key, gone + entries
            if last is not None:
                self._writer.execute("DELETE FROM receipts WHERE key <= ?", (last,))
        except sqlite3.Error as error:
            self._rollback()
            raise self._failure(error) from error
        return gone

    def load(self, first: int, last: int) -> list[Row]:
        """Read the commits from ``first`` to ``last``, bodies included."""
        return [
            Row(key, unpack(data))
            for key, data in self._read("SELECT key, data FROM commits WHERE key BETWEEN ? AND ? ORDER BY key", (first, last))
        ]

    def receipt(self, key: int) -> tuple[int, list[int]] | None:
        """Salt and counts (five per delivery) of a finished commit."""
        rows = self._read("SELECT salt, data FROM receipts WHERE key = ?", (key,))
        return (rows[0][0], orjson.loads(rows[0][1])) if rows else None

    def dead_letters(self, limit: int, after: str) -> list[DeadLetter]:
        rows = self._read("SELECT letter FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
        return [msgspec.msgpack.decode(letter, type=DeadLetter) for (letter,) in rows]

    def dead_delivery(self, id: str) -> tuple[Header, bytes, str | None] | None:
        """Header, body and spool file of a whole delivery among the dead letters."""
        for letter, header, spool in self._read("SELECT letter, header, spool FROM dead_letters WHERE id = ?", (id,)):
            if header is not None:
                return Header.decode(header), msgspec.msgpack.decode(letter, type=DeadLetter).packet, spool
        return None

    def close(self) -> None:
        """Close; the log is folded into the file unless the disk fails."""
        self._reader.close()
        self._writer.close()

    def _read(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _rollback(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:  # SQLite had rolled back by itself; whether it works again is what the next sync() shows
            return

    def _failure(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"the queue cannot use its disk: {error}; free some space or replace the disk", where=str(self.path))
