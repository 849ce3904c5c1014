"""OutboxFile: the file of an outbox as publishers see it, which only ever append to it.

It is ``outbox/NAME.db`` in the data directory. ``results`` are numbered in the order of their commits, and no number is used
twice. ``heads`` has the newest whole version of each document, so that nothing older follows it.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

import orjson

from pypes.core.databases import alone, connect, inode_of, is_damage, writing
from pypes.core.nodetime import Clock, node_clock
from pypes.errors import Unreachable

#: The log of a filter, or of a module.
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]

#: The folder of all outboxes in a data directory.
OUTBOXES: Final = "outbox"

#: Seconds between two tries while an outbox is full or cannot be written.
RETRY_S: Final = 1.0
#: Seconds between two looks for heads that are old enough to be forgotten, and most of them that go in one transaction.
FORGET_INTERVAL_S: Final = 60.0
MOST_FORGOTTEN: Final = 1_000
#: Most times that results are written anew because the file was taken away meanwhile.
MAX_RENEWALS: Final = 5

_SCHEMA: Final = (
    "create table if not exists results"
    " (seq integer primary key autoincrement, document text not null, time real not null, until real, text blob not null)",
    # the leased ones
    "create index if not exists results_leased on results (document, until) where until is not null",
    "create table if not exists heads (document text primary key, version text not null, time real not null) without rowid",
    "create index if not exists heads_time on heads (time)",
    "create table if not exists totals (one integer primary key, results integer not null, bytes integer not null)",
    "insert or ignore into totals values (1, 0, 0)",
    "create table if not exists info (name text primary key, value) without rowid",
)


class Result(NamedTuple):
    """A result: a JSON object as ``text``, of a ``document``, which is known here by a digest.

    ``version`` is the text of a :class:`~pypes.core.identity.Version`, empty if nothing is known of versions. ``is_whole``: with
    this result, that version is whole.
    """

    text: bytes
    document: str
    version: str = ""
    is_whole: bool = False


class Bounds(NamedTuple):
    """Bounds of an outbox: bytes of all its results, and the age of the oldest (0: any); ``tombstone_s`` is that of heads."""

    max_bytes: int
    max_age_s: float
    tombstone_s: float


class OutboxFile:
    """One process's way to append to an outbox. Any thread may call it; calls block for as long as the disk takes.

    A file that is removed while it is open is made anew. A damaged one is left as it is, for somebody to save what is in it.
    """

    def __init__(
        self, path: Path, bounds: Bounds, *, is_synced: bool, clock: Clock | None = None, log: Log | None = None
    ) -> None:
        """Open or create it; where that cannot be done now, :meth:`append` tries again.

        ``is_synced``: results are on stable storage when :meth:`append` returns. Ages go by ``clock``, or else by the node's.
        ``log`` is that of the filter.
        """
        self.path = path
        self._log = log or logging.getLogger(__name__)
        self._bounds = bounds
        self._is_synced = is_synced
        self._clock = clock or node_clock(path.parent.parent)
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._forgot_s = time.monotonic()
        try:
            self._open()
        except (sqlite3.DatabaseError, OSError) as error:
            self._log.warning("an outbox cannot be opened", extra={"path": str(path), "reason": str(error)})

    def append(self, results: Sequence[Result]) -> int:
        """Append results in one transaction, but those of versions that are older than a whole one; returns how many these are.

        Raises :class:`pypes.Unreachable` while the outbox is full, or cannot be written; nothing has been appended then.
        """
        with self._lock:
            try:
                for _ in range(MAX_RENEWALS):
                    late = self._append(self._there(), results)
                    if inode_of(self.path) == self._inode:
                        return late
            except (sqlite3.DatabaseError, OSError) as error:
                raise self._unwritable(error) from error
            raise Unreachable(RETRY_S, f"{self.path} is removed again and again while it is written")

    def close(self) -> None:
        with self._lock:
            self._close()

    # -- results ----------------------------------------------------------------------------------------------

    def _append(self, db: sqlite3.Connection, results: Sequence[Result]) -> int:
        now = self._clock.fresh()
        with writing(db):
            self._check_room(db, now)
            heads = _heads(db, {result.document for result in results if result.version})
            moved: dict[str, str] = {}
            taken = []
            for result in results:
                if result.version and result.version < heads.get(result.document, ""):
                    continue
                taken.append(result)
                if result.is_whole and result.version:
                    heads[result.document] = moved[result.document] = result.version
            db.executemany(
                "insert into results (document, time, text) values (?, ?, ?)",
                [(result.document, now, result.text) for result in taken],
            )
            size = sum(len(result.text) for result in taken)
            db.execute("update totals set results = results + ?, bytes = bytes + ?", (len(taken), size))
            db.executemany("insert or replace into heads values (?, ?, ?)", [(*head, now) for head in moved.items()])
            self._forget(db, now)
        return len(results) - len(taken)

    def _check_room(self, db: sqlite3.Connection, now: float) -> None:
        (count, size), max_bytes, max_age_s = _totals(db), self._bounds.max_bytes, self._bounds.max_age_s
        age_s = oldest_s(db, now) or 0.0
        if size >= max_bytes or (max_age_s and age_s > max_age_s):
            raise Unreachable(
                RETRY_S,
                f"outbox {self.path.stem!r} is full: {count} results of {size} bytes wait, the oldest for {age_s:.0f} s;"
                f" fetch and acknowledge them (GET /outbox/{self.path.stem})",
            )

    def _forget(self, db: sqlite3.Connection, now: float) -> None:
        if time.monotonic() - self._forgot_s >= FORGET_INTERVAL_S:
            old = "select document from heads where time < ? limit ?"
            before = now - self._bounds.tombstone_s
            if db.execute(f"delete from heads where document in ({old})", (before, MOST_FORGOTTEN)).rowcount < MOST_FORGOTTEN:
                self._forgot_s = time.monotonic()

    # -- the file ---------------------------------------------------------------------------------------------

    def _there(self) -> sqlite3.Connection:
        """The connection to the file that has the name now."""
        if self._db is not None and inode_of(self.path) != self._inode:
            self._log.warning("an outbox was removed, and is made anew", extra={"path": str(self.path)})
            self._close()
        if self._db is None:
            self._open()
        assert self._db is not None
        return self._db

    def _open(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync(folder.parent)
        try:
            with alone(folder):
                self._prepare()
        except BaseException:
            self._close()
            raise

    def _prepare(self) -> None:
        if not self.path.exists():
            for end in ("-wal", "-shm"):  # of a file that was removed without them
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        db = self._db = connect(self.path)
        self._inode = inode_of(self.path)
        db.execute("pragma auto_vacuum = incremental")
        db.execute("pragma journal_mode = wal")
        db.execute(f"pragma synchronous = {'full' if self._is_synced else 'normal'}")
        with writing(db):
            for statement in _SCHEMA:
                db.execute(statement)
            # cursors of a file that was removed are not those of the one in its place
            db.execute("insert or ignore into info values ('key', ?)", (secrets.token_bytes(16),))

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _unwritable(self, error: Exception) -> Unreachable:
        if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
            return Unreachable(RETRY_S, f"{self.path} is damaged ({error}): move it away, and a new one is made")
        return Unreachable(RETRY_S, f"{self.path} cannot be written: {error}")


def oldest_s(db: sqlite3.Connection, now: float) -> float | None:
    """Age of the oldest result in seconds, ``None`` if there is none."""
    row = db.execute("select time from results order by seq limit 1").fetchone()
    return None if row is None else max(0.0, now - row[0])


def _totals(db: sqlite3.Connection) -> tuple[int, int]:
    count, size = db.execute("select results, bytes from totals").fetchone()
    return count, size


def _heads(db: sqlite3.Connection, documents: Collection[str]) -> dict[str, str]:
    sql = "select document, version from heads where document in (select value from json_each(?))"
    return dict(db.execute(sql, (orjson.dumps([*documents]).decode(),)))


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
