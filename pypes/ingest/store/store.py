"""The SQLite file under an embedded queue: one row per group commit, so that its cost does not grow with the deliveries.

All methods block; one thread commits, another reads. A whole write batch (append what arrived, remove what was
acknowledged, keep its receipts) is **one** SQL statement on a view with a trigger: each statement that Python steps
gives up the interpreter lock and must win it back from a busy event loop, which costs more than the work itself.
What is rarer than a delivery whose one document was published (dead letters, details, keys, callbacks, crashes) goes by
statements of its own in the same transaction.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import orjson

from pypes.access.trail import Trail
from pypes.core.identity import Identity
from pypes.ingest.accounts import decode_some
from pypes.ingest.ordering import Fresh, key_of
from pypes.ingest.store import folding
from pypes.ingest.store.history import read_history
from pypes.ingest.store.keys import SPAN_MS, KeyTables, Span, Stored, waiting
from pypes.ingest.store.letters import bury, complete, covers, remove
from pypes.ingest.store.noting import lines_of
from pypes.ingest.store.partition import scan_parts
from pypes.ingest.store.reading import failure, letters_by_graph, load_rows, refuse_newer, scan_commits
from pypes.ingest.store.rewriting import rewrite
from pypes.ingest.store.rows import Row, checksum
from pypes.ingest.store.schema import FORMAT, INSERT_TRACE, WRITE_BATCH, add_later, create, upgrade
from pypes.ingest.store.wal import LogIndex, Tail
from pypes.ingest.store.write_batch import Found, History, Result, WriteBatch

_PAGE_BYTES = 32768
_WAL_PAGES = 1024  # 32 MiB: what is acknowledged soon after it arrived is overwritten in the log and never reaches the table
_VACUUM_BYTES = 256 << 20
#: Contents up to here are copied at an opening to give back what is free: a second or two.
_COPIED_BYTES = 1 << 30

_INSERT = "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_BATCH = "INSERT INTO write_batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NO_ROW = (None, None, None, None, None, None)


_NOTHING = Result()

T = TypeVar("T")


class Store:
    """One shard's file. ``connect`` is ``sqlite3.connect`` unless a test injects faults."""

    def __init__(
        self,
        path: Path,
        durability: str = "always",
        *,
        version: str = "",
        born: int = 0,
        key_span_ms: int = SPAN_MS,
        trail: Trail | None = None,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self.path = path
        #: The audit log of the shard.
        self.trail = trail or Trail()
        self._durability = durability
        self._synchronous = {"always": "FULL", "interval": "NORMAL", "never": "OFF"}[durability]
        self._connections: list[sqlite3.Connection] = []
        self._index: LogIndex | None = None
        try:
            self._writer = self._connect(connect)
            (found,) = self._writer.execute("PRAGMA user_version").fetchone()
            self._index = LogIndex(path)
            #: The tail that was found behind the last commit of the log when it was opened.
            self.tail: Tail = self._index.tail()
            self._prepare(found, version, born)
            self._reader = self._connect(connect)
            self._reader.create_function("covers", 2, covers, deterministic=True)
            #: Reads what is folded, in a thread of its own: a look-up does not wait for it.
            self._folder = self._connect(connect)
            for connection in (self._reader, self._folder):
                connection.execute("PRAGMA query_only = 1")
            #: The tables of idempotency keys.
            self.keys = KeyTables(self._writer, key_span_ms)
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
                    upgrade(self._writer, found, version)
                self._writer.execute("COMMIT")
            except BaseException:
                self._rollback()
                raise
        else:
            self._shrink()
        add_later(self._writer)
        complete(self._writer)
        self._writer.executescript(WRITE_BATCH)

    def _shrink(self) -> None:
        (pages,) = self._writer.execute("PRAGMA page_count").fetchone()
        (free,) = self._writer.execute("PRAGMA freelist_count").fetchone()
        is_small = (pages - free) * _PAGE_BYTES <= _COPIED_BYTES
        if free * _PAGE_BYTES > _VACUUM_BYTES and free > pages // 2 and is_small:  # a backlog that was worked off
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
        columns = (("key", "receipts"), ("key", "damaged"), ("last", "blocks"))
        known = [self._one(f"SELECT coalesce(max({column}), 0) FROM {table}")[0] for column, table in columns]
        return max(self.horizon()[1], *map(int, known), *(each.key for each in found))

    def horizon(self) -> tuple[int, int]:
        """The least key that may have been given out here, and the greatest of a receipt that was forgotten."""
        found = dict(self.read("SELECT name, value FROM meta WHERE name IN ('born', 'forgotten')"))
        return int(found.get("born", 0)), int(found.get("forgotten", 0))

    def traces_horizon(self) -> int:
        """The greatest key of a delivery whose trace was forgotten."""
        rows = self.read("SELECT value FROM meta WHERE name = 'traces_forgotten'")
        return int(rows[0][0]) if rows else 0

    def poisons(self) -> list[tuple[int, int, bytes]]:
        """Key, position and encoded poisons of every delivery that has any."""
        return self._writer.execute("SELECT key, position, blames FROM crashes WHERE blames IS NOT NULL").fetchall()

    def fresh(self) -> list[Fresh]:
        """Documents taken while bulk deliveries of their graph waited."""
        newer = self._writer.execute("SELECT graph, route, id, key FROM newer")
        known = [Fresh(graph, key_of(id), key, Identity(route, id)) for graph, route, id, key in newer]
        return known + [Fresh(*row) for row in self._writer.execute("SELECT graph, hash, key FROM fresh")]

    def kept_spools(self) -> list[str]:
        """Names of the spool files kept for dead letters, or named by a row that is marked as damaged."""
        names = [name for (name,) in self._writer.execute("SELECT spool FROM bodies WHERE spool IS NOT NULL")]
        for (spools,) in self._writer.execute("SELECT spools FROM commits WHERE key IN (SELECT key FROM damaged)"):
            names += orjson.loads(spools) if spools else []
        return names

    def history(self) -> History:
        """Size of the history, and the documents that went through; as far as it can be read."""
        return read_history(self._writer, letters_by_graph(self._writer), self.keys.counts())

    def _one(self, sql: str, columns: int = 1) -> tuple[Any, ...]:
        """The one row of a query, zeros if what it reads is damaged: deliveries are served all the same."""
        try:
            row: tuple[Any, ...] = self._writer.execute(sql).fetchone()
        except sqlite3.DatabaseError:
            return (0,) * columns
        return row

    def damage(self) -> list[str]:
        """Problems with reading receipts and dead letters, in words."""
        problems = []
        for what, sql in (
            ("receipts", "SELECT max(key), total(bytes) FROM receipts"),
            ("blocks of receipts", "SELECT max(last), total(entries) FROM blocks"),
            ("dead letters", "SELECT total(size) FROM dead_letters"),
            ("bodies of dead letters", "SELECT total(size), max(spool) FROM bodies"),
        ):
            try:
                self._writer.execute(sql).fetchone()
            except sqlite3.DatabaseError as error:
                problems.append(f"{what} cannot be read ({error})")
        return problems

    # -- committing --------------------------------------------------------------------------------------

    def commit(self, batch: WriteBatch) -> Result:
        """Write a batch in one transaction; durable on return when durability is ``always``. Raises :class:`StoreError`."""
        try:
            if not batch.is_rare:
                self._commit_batch(batch)
                return _NOTHING
            self._writer.execute("BEGIN IMMEDIATE")
            result = self._commit_rare(batch)
            self._commit_batch(batch)
            self._writer.execute("COMMIT")
            if batch.keys:
                self.keys.read_spans()
            return result
        except sqlite3.Error as error:
            self._rollback()
            raise failure(error, self.path) from error

    def _commit_batch(self, batch: WriteBatch) -> None:
        row = _NO_ROW if batch.row is None else batch.row
        crc = checksum(batch.row[5]) if batch.row is not None else None
        if batch.receipts or batch.progress:
            acknowledged = (
                orjson.dumps(batch.done).decode(),
                orjson.dumps(batch.receipts).decode(),
                orjson.dumps(batch.progressed).decode() if batch.progressed else None,
                orjson.dumps(batch.progress).decode() if batch.progress else None,
            )
            self._writer.execute(_INSERT_BATCH, (*row, crc, *acknowledged))
        elif batch.row is not None:
            self._writer.execute(_INSERT, (*row, crc))

    def _commit_rare(self, batch: WriteBatch) -> Result:
        write, many = self._writer.execute, self._writer.executemany
        many("INSERT OR REPLACE INTO details VALUES (?, ?, ?)", batch.details)
        many(INSERT_TRACE, batch.traces)
        many("INSERT OR REPLACE INTO crashes VALUES (?, ?, ?, ?)", batch.crashes)
        many("DELETE FROM crashes WHERE key = ?", [(key,) for key in batch.recovered])
        many("INSERT OR REPLACE INTO damaged VALUES (?, ?)", batch.damaged)
        if batch.keys:
            self.keys.add(batch.keys)
        many("INSERT OR REPLACE INTO callbacks VALUES (?, ?, ?, 0)", batch.callbacks)
        many("UPDATE callbacks SET attempts = attempts + 1, due = ? WHERE receipt = ?", batch.postponed)
        many("INSERT OR REPLACE INTO callback_contexts VALUES (?, ?)", batch.contexts)
        for table in ("callbacks", "callback_contexts"):
            many(f"DELETE FROM {table} WHERE receipt = ?", [(receipt,) for receipt in batch.called])
        for table in ("fresh", "newer"):
            many(f"DELETE FROM {table} WHERE graph = ?", [(graph,) for graph in batch.stale])
        many("INSERT OR REPLACE INTO fresh VALUES (?, ?, ?)", [each[:3] for each in batch.fresh if each.identity is None])
        many(
            "INSERT OR REPLACE INTO newer VALUES (?, ?, ?, ?)",
            [(each.graph, *each.identity, each.commit) for each in batch.fresh if each.identity is not None],
        )
        many("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", batch.cursors)
        for key, done in batch.rewrites:
            rewrite(self._writer, key, done)
        letters: list[tuple[str, int, int]] = []
        edited = []
        for packet, id in batch.edited:
            sql = "SELECT graph, coalesce(length(packet), 0) FROM dead_letters JOIN packets USING (id) WHERE id = ?"
            for graph, before in write(sql, (id,)).fetchall():
                write("UPDATE packets SET packet = ? WHERE id = ?", (packet, id))
                write("UPDATE dead_letters SET is_edited = 1, size = size + ? WHERE id = ?", (len(packet) - before, id))
                letters.append((graph, 0, len(packet) - before))
                edited.append((id, graph))
        many("INSERT OR REPLACE INTO replays VALUES (?, ?, ?, ?, ?, ?, ?)", batch.replays)
        removed, spools, freed = remove(self._writer, batch.removed)
        if batch.noted:
            gone = zip(removed, (graph for graph, _, _ in freed), strict=True)
            self.trail.write(self._writer, lines_of(batch.noted, gone, edited))
        letters += freed
        letters += [bury(self._writer, remains) for remains in batch.dead]
        return Result(tuple(letters), tuple(removed), tuple(id for id, _ in edited), tuple(spools))

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

    def change(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a transaction of its own. Raises :class:`StoreError`."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            result = job(self._writer)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            with suppress(sqlite3.Error):  # a disk that fails; the next change finds out
                self.keys.read_spans()
            raise failure(error, self.path) from error
        self.keys.read_spans()
        return result

    # -- folding -----------------------------------------------------------------------------------------

    def read_fold(self, before: int, passed_over: Container[int]) -> folding.Fold | None:
        """As :func:`pypes.ingest.store.folding.read`. Raises :class:`StoreError`."""
        try:
            return folding.read(self._folder, before, passed_over)
        except sqlite3.Error as error:
            raise failure(error, self.path) from error

    def waiting_keys(self, span: Span) -> list[Stored]:
        """The idempotency keys of a span whose commits are not done. Raises :class:`StoreError`."""
        try:
            return waiting(self._folder, span)
        except sqlite3.Error as error:
            raise failure(error, self.path) from error

    def audit(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Have a function of :attr:`trail` look at the audit log. Raises :class:`StoreError`."""
        try:
            return look(self._folder)
        except sqlite3.Error as error:
            raise failure(error, self.path) from error

    # -- reading -----------------------------------------------------------------------------------------

    def load(self, keys: list[int], *, is_last_try: bool = False) -> list[Row]:
        """Read commits with their bodies; a row that is damaged says so and holds up no other.

        Raises :class:`StoreError` if the disk fails with all of them, unless it ``is_last_try``: then they count as damaged.
        """
        return load_rows(self._reader, keys, self.path, is_last_try=is_last_try)

    def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Rows of a query, on the connection for reading. Raises :class:`StoreError`."""
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise failure(error, self.path) from error

    def each(self, sql: str, parameters: tuple[Any, ...] = ()) -> Iterator[Any]:
        """As :meth:`read`, one row after the other."""
        try:
            yield from self._reader.execute(sql, parameters)
        except sqlite3.Error as error:
            raise failure(error, self.path) from error

    def find_key(self, name: str) -> tuple[bytes, int, int, int] | None:
        """As :meth:`pypes.ingest.store.keys.KeyTables.find`. Raises :class:`StoreError`."""
        try:
            return self.keys.find(self._reader, name)
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
