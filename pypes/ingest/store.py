"""The SQLite file under an embedded queue: one row per group commit, so that its cost does not grow with the deliveries.

All methods block; one thread commits, another reads. A whole turn (append what arrived, remove what was
acknowledged, keep its receipts) is **one** SQL statement on a view with a trigger: each statement that Python steps
gives up the interpreter lock and must win it back from a busy event loop, which costs more than the work itself.
What is rarer than a delivery whose one document was published (dead letters, details, keys, callbacks, crashes) goes by
statements of its own in the same transaction.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from pypes.errors import StoreError, StoreFull
from pypes.ingest.accounts import Account, decode_some
from pypes.ingest.outcome import Blame, DeadLetter
from pypes.ingest.partition import FoundPart, scan_parts
from pypes.ingest.rows import Row, checksum, salvage, unpack
from pypes.ingest.schema import (
    FORMAT,
    INSERT_BODY,
    INSERT_LETTER,
    INSERT_PACKET,
    TURN,
    create,
    letter_row,
    upgrade,
)
from pypes.ingest.wal import LogIndex, Tail

_PAGE_BYTES = 32768
_WAL_PAGES = 1024  # 32 MiB: what is acknowledged soon after it arrived is overwritten in the log and never reaches the table
_VACUUM_BYTES = 256 << 20

_INSERT = "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_TURN = "INSERT INTO turn VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NO_ROW = (None, None, None, None, None, None)


class Found(NamedTuple):
    """What opening a store finds of a commit, without reading bodies; ``done``: position → account of what was acknowledged."""

    key: int
    salt: int
    entries: int
    size: int
    spools: list[str]
    done: dict[int, Account]
    crashes: dict[int, int]
    parts: list[FoundPart]


class Totals(NamedTuple):
    """What the store keeps besides deliveries; receipts are counted by delivery, bytes roughly."""

    receipts: int
    receipt_bytes: int
    letters: int
    letter_bytes: int


class Remains(NamedTuple):
    """What a delivery leaves behind when documents of it failed: its dead letters, its header, and its body if it is kept.

    ``is_needed``: the dead letters do not hold all there was. ``body`` is None if it is in the file ``spool``, or not kept.
    """

    receipt: str
    letters: tuple[DeadLetter, ...]
    header: bytes | None
    body: bytes | None
    spool: str | None
    size: int
    is_needed: bool

    @property
    def has_body(self) -> bool:
        return self.body is not None or self.spool is not None


#: Key, salt, count, size, names of spool files, data.
CommitRow = tuple[int, int, int, int, str | None, bytes]


@dataclass(slots=True)
class Turn:
    """Everything one transaction writes."""

    row: CommitRow | None = None
    done: list[int] = field(default_factory=list)
    #: Key, salt, entries, 1 if anything failed, bytes, accounts.
    receipts: list[tuple[int, int, int, int, int, str]] = field(default_factory=list)
    progressed: list[int] = field(default_factory=list)
    progress: list[tuple[int, str]] = field(default_factory=list)
    #: Key, position, encoded details.
    details: list[tuple[int, int, bytes]] = field(default_factory=list)
    #: Key, position, count, encoded blames.
    crashes: list[tuple[int, int, int, bytes | None]] = field(default_factory=list)
    recovered: list[int] = field(default_factory=list)
    dead: list[Remains] = field(default_factory=list)
    #: Commits whose row cannot be read: they stay where they are, marked. Key, reason.
    damaged: list[tuple[int, str]] = field(default_factory=list)
    #: Ids of dead letters that go.
    removed: list[str] = field(default_factory=list)
    #: Packet, id.
    edited: list[tuple[bytes, str]] = field(default_factory=list)
    #: Name, digest, key, receipt.
    keys: list[tuple[str, bytes, int, str]] = field(default_factory=list)
    #: Receipt, URL, due.
    callbacks: list[tuple[str, str, float]] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    #: Due, receipt.
    postponed: list[tuple[float, str]] = field(default_factory=list)
    #: Graph, order key, commit key.
    fresh: list[tuple[str, int, int]] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    @property
    def is_rare(self) -> bool:
        return bool(
            self.details
            or self.dead
            or self.crashes
            or self.recovered
            or self.keys
            or self.callbacks
            or self.called
            or self.postponed
            or self.removed
            or self.edited
            or self.fresh
            or self.stale
            or self.damaged
        )


class Result(NamedTuple):
    """What a commit changed: dead letters and their bytes, which of those to be removed or edited there were, files to remove."""

    letters: int = 0
    letter_bytes: int = 0
    removed: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    spools: tuple[str, ...] = ()


_NOTHING = Result()


class Store:
    """One shard's file. ``connect`` is ``sqlite3.connect`` unless a test injects faults."""

    def __init__(
        self,
        path: Path,
        durability: str = "always",
        *,
        version: str = "",
        born: int = 0,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self.path = path
        self._durability = durability
        self._synchronous = {"always": "FULL", "interval": "NORMAL", "never": "OFF"}[durability]
        self._connections: list[sqlite3.Connection] = []
        self._index: LogIndex | None = None
        try:
            self._writer = self._connect(connect)
            (found,) = self._writer.execute("PRAGMA user_version").fetchone()
            self._index = LogIndex(path)
            #: What was found behind the last commit of the log when it was opened.
            self.tail: Tail = self._index.tail()
            self._prepare(found, version, born)
            self._reader = self._connect(connect)
            self._reader.execute("PRAGMA query_only = 1")
        except BaseException as error:
            self.close()
            if isinstance(error, sqlite3.Error):
                raise failure(error, self.path) from error
            raise

    def _connect(self, connect: Callable[..., sqlite3.Connection]) -> sqlite3.Connection:
        connection = connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
        self._connections.append(connection)
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

    def _prepare(self, found: int, version: str, born: int) -> None:
        refuse_newer(self._writer, found, self.path)
        if found < FORMAT:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                if found == 0:
                    create(self._writer, version, born)
                else:
                    upgrade(self._writer, version)
                self._writer.execute("COMMIT")
            except BaseException:
                self._rollback()
                raise
        else:
            self._shrink()
        self._writer.executescript(TURN)

    def _shrink(self) -> None:
        (pages,) = self._writer.execute("PRAGMA page_count").fetchone()
        (free,) = self._writer.execute("PRAGMA freelist_count").fetchone()
        if free * _PAGE_BYTES > _VACUUM_BYTES and free > pages // 2:  # a backlog that was worked off
            with suppress(sqlite3.DatabaseError):  # of a damaged file no copy can be made; what is intact is served all the same
                self._writer.execute("VACUUM")

    # -- opening -----------------------------------------------------------------------------------------

    def scan(self) -> tuple[list[Found], list[str]]:
        """Every commit not wholly acknowledged, in order, without bodies; and what cannot be read, in words."""
        done = dict(self._writer.execute("SELECT key, data FROM progress"))
        crashes: dict[int, dict[int, int]] = {}
        for key, position, count in self._writer.execute("SELECT key, position, count FROM crashes"):
            crashes.setdefault(key, {})[position] = count
        rows, problems = scan_commits(self._writer)
        accounts = {key: decode_some(data) for key, data in done.items()}
        parts = scan_parts(self._writer, [(key, entries, size) for key, _, entries, size, _ in rows], accounts)
        return [
            Found(
                key,
                salt,
                entries,
                size,
                orjson.loads(spools) if spools else [],
                accounts.get(key, {}),
                crashes.get(key, {}),
                parts[key],
            )
            for key, salt, entries, size, spools in rows
        ], problems

    def last_key(self, found: Iterable[Found]) -> int:
        """The greatest commit key ever used that is still known; ``found`` is what the scan found."""
        # not asked of the table of commits: its last page may be the one that is damaged
        (receipts,) = self._writer.execute("SELECT coalesce(max(key), 0) FROM receipts").fetchone()
        (damaged,) = self._writer.execute("SELECT coalesce(max(key), 0) FROM damaged").fetchone()
        return max(int(receipts), int(damaged), self.horizon()[1], max((each.key for each in found), default=0))

    def horizon(self) -> tuple[int, int]:
        """The least key that may have been given out here, and the greatest of a receipt that was forgotten."""
        found = dict(self._writer.execute("SELECT name, value FROM meta WHERE name IN ('born', 'forgotten')"))
        return int(found.get("born", 0)), int(found.get("forgotten", 0))

    def blames(self) -> list[tuple[int, int, bytes]]:
        """Key, position and encoded blames of every delivery that has any."""
        return self._writer.execute("SELECT key, position, blames FROM crashes WHERE blames IS NOT NULL").fetchall()

    def fresh(self) -> list[tuple[str, int, int]]:
        """Graph, order key and commit key of what was taken while bulk deliveries of its graph waited."""
        return self._writer.execute("SELECT graph, hash, key FROM fresh").fetchall()

    def kept_spools(self) -> list[str]:
        """Names of the spool files kept for dead letters, or named by a row that is marked as damaged."""
        names = [name for (name,) in self._writer.execute("SELECT spool FROM bodies WHERE spool IS NOT NULL")]
        for (spools,) in self._writer.execute("SELECT spools FROM commits WHERE key IN (SELECT key FROM damaged)"):
            names += orjson.loads(spools) if spools else []
        return names

    def totals(self) -> Totals:
        receipts, receipt_bytes = self._writer.execute("SELECT total(entries), total(bytes) FROM receipts").fetchone()
        letters, letter_bytes = self._writer.execute("SELECT count(*), total(size) FROM dead_letters").fetchone()
        (body_bytes,) = self._writer.execute("SELECT total(size) FROM bodies").fetchone()
        return Totals(int(receipts), int(receipt_bytes), letters, int(letter_bytes + body_bytes))

    # -- committing --------------------------------------------------------------------------------------

    def commit(self, turn: Turn) -> Result:
        """Write a turn in one transaction; durable on return when durability is ``always``. Raises :class:`StoreError`."""
        try:
            if not turn.is_rare:
                self._commit_turn(turn)
                return _NOTHING
            self._writer.execute("BEGIN IMMEDIATE")
            result = self._commit_rare(turn)
            self._commit_turn(turn)
            self._writer.execute("COMMIT")
            return result
        except sqlite3.Error as error:
            self._rollback()
            raise failure(error, self.path) from error

    def _commit_turn(self, turn: Turn) -> None:
        row = _NO_ROW if turn.row is None else turn.row
        crc = checksum(turn.row[5]) if turn.row is not None else None
        if turn.receipts or turn.progress:
            acknowledged = (
                orjson.dumps(turn.done).decode(),
                orjson.dumps(turn.receipts).decode(),
                orjson.dumps(turn.progressed).decode() if turn.progressed else None,
                orjson.dumps(turn.progress).decode() if turn.progress else None,
            )
            self._writer.execute(_INSERT_TURN, (*row, crc, *acknowledged))
        elif turn.row is not None:
            self._writer.execute(_INSERT, (*row, crc))

    def _commit_rare(self, turn: Turn) -> Result:
        write, many = self._writer.execute, self._writer.executemany
        many("INSERT OR REPLACE INTO details VALUES (?, ?, ?)", turn.details)
        many("INSERT OR REPLACE INTO crashes VALUES (?, ?, ?, ?)", turn.crashes)
        many("DELETE FROM crashes WHERE key = ?", [(key,) for key in turn.recovered])
        many("INSERT OR REPLACE INTO damaged VALUES (?, ?)", turn.damaged)
        many("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)", turn.keys)
        many("INSERT OR REPLACE INTO callbacks VALUES (?, ?, ?, 0)", turn.callbacks)
        many("UPDATE callbacks SET attempts = attempts + 1, due = ? WHERE receipt = ?", turn.postponed)
        many("DELETE FROM callbacks WHERE receipt = ?", [(receipt,) for receipt in turn.called])
        many("DELETE FROM fresh WHERE graph = ?", [(graph,) for graph in turn.stale])
        many("INSERT OR REPLACE INTO fresh VALUES (?, ?, ?)", turn.fresh)
        letters = size = 0
        edited = []
        for packet, id in turn.edited:
            for (before,) in write("SELECT coalesce(length(packet), 0) FROM packets WHERE id = ?", (id,)).fetchall():
                write("UPDATE packets SET packet = ? WHERE id = ?", (packet, id))
                write("UPDATE dead_letters SET is_edited = 1, size = size + ? WHERE id = ?", (len(packet) - before, id))
                size += len(packet) - before
                edited.append(id)
        removed, spools, freed = self._remove(turn.removed)
        letters -= len(removed)
        size -= freed
        for remains in turn.dead:
            added, added_bytes = self._bury(remains)
            letters += added
            size += added_bytes
        return Result(letters, size, tuple(removed), tuple(edited), tuple(spools))

    def _bury(self, remains: Remains) -> tuple[int, int]:
        write = self._writer.execute
        letters = size = 0
        receipt = remains.receipt
        for letter in remains.letters:
            row = letter_row(letter, receipt, len(letter.packet))
            for (before,) in write("SELECT size FROM dead_letters WHERE id = ?", (letter.id,)).fetchall():
                letters, size = letters - 1, size - before
            write(INSERT_LETTER, row)
            write(INSERT_PACKET, (letter.id, letter.traceback, letter.packet))
            letters, size = letters + 1, size + row[-1]  # type: ignore[operator]
        if remains.header is not None:
            (before,) = write("SELECT total(size) FROM bodies WHERE receipt = ?", (receipt,)).fetchone()
            kept = remains.size if remains.has_body else 0
            write(INSERT_BODY, (receipt, remains.is_needed, kept, remains.spool, remains.header, remains.body))
            size += kept - int(before)
        return letters, size

    def _remove(self, ids: Iterable[str]) -> tuple[list[str], list[str], int]:
        """Remove dead letters, and the body of a receipt with its last one; returns their ids, spool files and bytes."""
        write = self._writer.execute
        removed: list[str] = []
        spools: list[str] = []
        size = 0
        for id in ids:
            for receipt, letter_bytes in write("SELECT receipt, size FROM dead_letters WHERE id = ?", (id,)).fetchall():
                write("DELETE FROM dead_letters WHERE id = ?", (id,))
                write("DELETE FROM packets WHERE id = ?", (id,))
                removed.append(id)
                size += letter_bytes
                # its letters lie together: their ids begin with the receipt
                others = "SELECT 1 FROM dead_letters WHERE id > ? AND id < ? LIMIT 1"
                if not write(others, (f"{receipt}-", f"{receipt}.")).fetchall():
                    for spool, body_bytes in write("SELECT spool, size FROM bodies WHERE receipt = ?", (receipt,)).fetchall():
                        size += body_bytes
                        if spool:
                            spools.append(spool)
                    write("DELETE FROM bodies WHERE receipt = ?", (receipt,))
        return removed, spools, size

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
            raise failure(error, self.path) from error

    def prune(self, before_key: int, surplus: int, surplus_bytes: int) -> tuple[int, int, int]:
        """Forget receipts older than ``before_key``, and the oldest ones until the surplus is gone.

        What belongs to them (details, idempotency keys) goes with them, and the horizon moves in the same transaction.
        Returns how many receipts and bytes went, and the horizon (0: nothing went).
        """
        gone = gone_bytes = last = 0
        try:
            rows = self._writer.execute("SELECT key, entries, bytes FROM receipts ORDER BY key LIMIT 5000").fetchall()
            for key, entries, size in rows:
                if key >= before_key and gone >= surplus and gone_bytes >= surplus_bytes:
                    break
                last, gone, gone_bytes = key, gone + entries, gone_bytes + size
            if last:
                self._writer.execute("BEGIN IMMEDIATE")
                for table in ("details", "keys"):
                    # what waits for longer than receipts are kept has not been acknowledged, and nothing of it is forgotten
                    self._writer.execute(
                        f"DELETE FROM {table} WHERE key <= ? AND key NOT IN (SELECT key FROM commits WHERE key <= ?)",
                        (last, last),
                    )
                self._writer.execute("DELETE FROM receipts WHERE key <= ?", (last,))
                (before,) = self._writer.execute("SELECT coalesce(max(value), 0) FROM meta WHERE name = 'forgotten'").fetchone()
                last = max(last, before)
                self._writer.execute("INSERT OR REPLACE INTO meta VALUES ('forgotten', ?)", (last,))
                self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            raise failure(error, self.path) from error
        return gone, gone_bytes, last

    # -- reading -----------------------------------------------------------------------------------------

    def load(self, keys: list[int]) -> list[Row]:
        """Read commits with their bodies; a row that is damaged says so and holds up no other. Raises :class:`StoreError`."""
        return load_rows(self._reader, keys, self.path)

    def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Rows of a query, on the connection for reading. Raises :class:`StoreError`."""
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise failure(error, self.path) from error

    def row_start(self, key: int, size: int) -> bytes | None:
        """The first ``size`` bytes of a commit's row, without its bodies; ``None`` if there is no such commit."""
        rows = self.read("SELECT substr(data, 1, ?) FROM commits WHERE key = ?", (size, key))
        return rows[0][0] if rows else None

    def close(self) -> None:
        """Close; the log is folded into the file unless the disk fails."""
        for connection in reversed(self._connections):
            connection.close()
        if self._index is not None:
            self._index.close()

    def _rollback(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:  # SQLite had rolled back by itself; whether it works again is what the next sync() shows
            return


def decode_blames(data: bytes) -> tuple[Blame, ...]:
    return msgspec.msgpack.decode(data, type=tuple[Blame, ...])


def refuse_newer(connection: sqlite3.Connection, found: int, path: Path) -> None:
    """Raise :class:`StoreError` with the version needed if the store has a later format."""
    if found > FORMAT:
        (written_by,) = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() or ("",)
        raise StoreError(
            f"the queue has format {found}, this version reads up to {FORMAT}; run Pypes {written_by or '(later)'} or newer",
            code="store.too_new",
            where=str(path),
        )


_SCANNED = "SELECT key, salt, entries, size, spools FROM commits"


def scan_commits(connection: sqlite3.Connection) -> tuple[list[tuple[int, int, int, int, str | None]], list[str]]:
    """What :meth:`Store.scan` reads of the commits. Around a damaged page it reads from both ends."""
    marked = {key for (key,) in connection.execute("SELECT key FROM damaged")}
    rows: list[tuple[int, int, int, int, str | None]] = []
    problems: list[str] = []
    try:
        for row in connection.execute(f"{_SCANNED} ORDER BY key"):
            rows.append(row)
    except sqlite3.DatabaseError as error:
        first = rows[-1][0] if rows else -1
        behind: list[tuple[int, int, int, int, str | None]] = []
        with suppress(sqlite3.DatabaseError):
            for row in connection.execute(f"{_SCANNED} WHERE key > ? ORDER BY key DESC", (first,)):
                behind.append(row)
        last = behind[-1][0] if behind else None
        until = f"before commit {last}" if last is not None else "to the end"
        problems.append(f"commits after {first if rows else 'the start'} and {until} cannot be read ({error})")
        rows += reversed(behind)
    return [row for row in rows if row[0] not in marked], problems


def load_rows(connection: sqlite3.Connection, keys: list[int], path: Path) -> list[Row]:
    """What :meth:`Store.load` does, on any connection."""
    try:
        found = connection.execute(
            "SELECT key, data, crc FROM commits WHERE key IN (SELECT value FROM json_each(?))", (orjson.dumps(keys).decode(),)
        ).fetchall()
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise failure(error, path) from error
        found = []
    data = {key: (blob, crc) for key, blob, crc in found}
    rows = []
    for key in keys:
        try:
            blob, crc = data[key] if key in data else _load_row(connection, key)
        except StoreError as error:
            rows.append(Row(key, None, error.message))
            continue
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise failure(error, path) from error
            rows.append(Row(key, None, f"a row of the queue cannot be read: {error}"))
            continue
        try:
            rows.append(Row(key, unpack(blob, crc)))
        except StoreError as error:
            rows.append(Row(key, None, error.message, salvage(blob)))
    return rows


def _load_row(connection: sqlite3.Connection, key: int) -> tuple[bytes, int | None]:
    found = connection.execute("SELECT data, crc FROM commits WHERE key = ?", (key,)).fetchone()
    if found is None:
        raise StoreError("a row of the queue is gone", code="store.damaged")
    return found  # type: ignore[no-any-return]


def _is_damage(error: sqlite3.Error) -> bool:
    """True if the data are at fault, not the disk or the moment."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeError)


def failure(error: sqlite3.Error, path: Path) -> StoreError:
    """What an error of SQLite means to whoever posts: no room (507), or a store that does not work (503)."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return StoreFull("the queue's disk is full; free some space, then post again", where=str(path))
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return StoreError("the queue's disk is read-only; make it writable, then post again", where=str(path))
    return StoreError(f"the queue cannot use its disk: {error}; free some space or replace the disk", where=str(path))
