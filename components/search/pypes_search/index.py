"""SearchIndex: a full-text index in one SQLite file, written by one process at a time and read by any number."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

if sys.platform != "win32":
    import fcntl

from pypes.errors import StoreError
from pypes_search.mark import Mark, is_index, mark_of, refuse_foreign, remove_log, set_apart
from pypes_search.query import BUSY_TIMEOUT_S
from pypes_search.schema import prepare

UPSERT_HEAD = "INSERT INTO documents (id, title, text, fields, route, part, version, parted_title, parted_text) VALUES "
# An unchanged document, as a re-run after a crash brings it, costs no work on the index.
UPSERT_TAIL = (
    " ON CONFLICT (id, route, part) DO UPDATE SET version = excluded.version, title = excluded.title, text = excluded.text,"
    " fields = excluded.fields, parted_title = excluded.parted_title, parted_text = excluded.parted_text"
    " WHERE (version, title, text, fields) IS NOT (excluded.version, excluded.title, excluded.text, excluded.fields)"
)

#: Rows per statement. One statement runs wholly without the interpreter lock, so that the graph goes on meanwhile;
#: row by row, each would wait for its turn to get the lock back. Few sizes, so that their plans stay cached.
ROWS_PER_STATEMENT = (64, 16, 4, 1)

OPEN_TIMEOUT_S = 2.0
SYNC_INTERVAL_S = 1.0

#: The log of commits is moved into the file itself when it has grown to this size; over the second, others wait for it.
CHECKPOINT_BYTES = 16 * 1024 * 1024
MAX_LOG_BYTES = 64 * 1024 * 1024

#: Most times that one batch is written anew because the file was taken away meanwhile.
MAX_RENEWALS = 5


class Row(NamedTuple):
    """A document, or a part of one, as the index keeps it, column by column; ``fields`` is JSON and comes back with a hit.

    ``text`` None: delete the document with all its parts. ``version`` is where it ran first. ``parted_title`` and
    ``parted_text`` are what is indexed, where that is not title and text themselves.
    """

    id: str
    title: str = ""
    text: str | None = None
    fields: str = "{}"
    route: str = ""
    part: str = ""
    version: str = ""
    parted_title: str | None = None
    parted_text: str | None = None


class SearchIndex:
    """One writer's connection. May be used from any thread, by one at a time.

    SQLite commits without a sync; the log it wrote to is synced afterwards, when the next writer has the lock
    already. The order does not matter: SQLite itself syncs the log before it moves it into the file.

    Before and after each transaction it is looked whether the file under the name is still the one that is open. If it was
    removed, moved, emptied or replaced by another index, that or a new one is opened and the transaction written there.
    """

    def __init__(self, path: Path, durability: str = "always") -> None:
        """Open, upgrade or create the index. Raises ``StoreError`` if the file is another thing or of a newer format."""
        self.path = path
        self._durability = durability
        self._synced_s = time.monotonic()
        self._lock: IO[bytes] | None = None
        self._db: sqlite3.Connection | None = None
        self._log = -1
        self._mark: Mark | None = None
        refuse_foreign(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._writing():
                self._open()
        except BaseException:
            self.close()
            raise

    def apply(self, rows: Sequence[Row]) -> None:
        """Insert, replace and delete, in order and in one transaction; durable when it returns. Blocks.

        Raises ``StoreError`` while another thing lies under the name.
        """
        for _ in range(MAX_RENEWALS):
            try:
                log_bytes = self._write(rows)
            except sqlite3.DatabaseError:
                if self._is_current():
                    raise
                continue  # the file was taken away in the middle of it
            if self._is_sync_due():
                _sync(self._log)
            if self._is_current():
                if CHECKPOINT_BYTES <= log_bytes < MAX_LOG_BYTES:
                    self._checkpoint()
                return
        raise StoreError(f"{self.path} is taken away again and again while it is written", code="search.lost")

    def close(self) -> None:
        if self._db is not None and self._is_moved():
            self._db.execute(f"PRAGMA busy_timeout = {int(OPEN_TIMEOUT_S * 1000)}")
            with suppress(StoreError):  # it is read: then the log stays as well
                self._complete()
                remove_log(self.path, self._log)
        self._close_files()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- transactions ------------------------------------------------------------------------------------

    def _write(self, rows: Sequence[Row]) -> int:
        """One transaction; returns how long the log is behind it, in bytes."""
        with self._writing():
            if not self._is_current():
                self._renew()
            assert self._db is not None
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for is_deletion, run in _runs(rows):
                    if is_deletion:
                        ids = [(row.id, row.route) for row in run]
                        self._db.executemany("DELETE FROM documents WHERE id = ? AND route = ?", ids)
                    else:
                        self._upsert(run)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            log_bytes = os.fstat(self._log).st_size
            if log_bytes >= MAX_LOG_BYTES:
                self._checkpoint()
            return log_bytes

    def _upsert(self, rows: Sequence[Row]) -> None:
        assert self._db is not None
        start = 0
        for size in ROWS_PER_STATEMENT:
            while len(rows) - start >= size:
                values: list[str | None] = []
                for row in rows[start : start + size]:
                    values += row
                self._db.execute(UPSERT_HEAD + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * size) + UPSERT_TAIL, values)
                start += size

    def _is_sync_due(self) -> bool:
        if self._durability == "interval":
            now_s = time.monotonic()
            if now_s - self._synced_s < SYNC_INTERVAL_S:
                return False
            self._synced_s = now_s
        return self._durability != "never"

    def _checkpoint(self) -> None:
        # PASSIVE never waits: what a reader still needs stays for the next time
        assert self._db is not None
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    # -- the file ----------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Open what lies under the name, or make it; other writers are kept out."""
        refuse_foreign(self.path)
        # others wait at the lock, unless somebody removed that; two that make one file would wait for each other
        self._db = sqlite3.connect(self.path, timeout=OPEN_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        prepare(self._db, self.path)
        for name, value in (
            ("busy_timeout", int(BUSY_TIMEOUT_S * 1000)),
            ("synchronous", "OFF" if self._durability == "never" else "NORMAL"),
            ("fullfsync", "ON"),  # on macOS a plain fsync stops at the drive's cache
            ("wal_autocheckpoint", 0),
            ("cache_size", -16 * 1024),
        ):
            self._db.execute(f"PRAGMA {name} = {value}")
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("COMMIT")
        # it is there by now, and stays the same file as long as this connection is open
        self._log = os.open(f"{self.path}-wal", os.O_RDWR)
        self._mark = mark_of(self.path)
        if not is_index(self.path):  # what says so lies in the log yet, after a crash
            self._checkpoint()
            self._mark = mark_of(self.path)
        if self._durability != "never":
            _sync(self._log)
            _sync_directory(self.path.parent)

    def _is_current(self) -> bool:
        """True if the file under the name is the one that is open, and nobody else has written to it."""
        if self._db is None or self._mark is None:
            return False
        found = mark_of(self.path)
        if found is None or not found.is_same_file(self._mark) or not os.fstat(self._log).st_nlink:
            return False
        if found != self._mark:  # a checkpoint, as a rule
            if self._is_overwritten(found):
                return False
            self._mark = found
        return True

    def _is_overwritten(self, found: Mark) -> bool:
        assert self._mark is not None
        return not is_index(self.path) or (found.size < self._mark.size and found.size != self._known_bytes())

    def _known_bytes(self) -> int:
        """The size of the file when it holds all that SQLite knows of: only its own VACUUM makes it smaller."""
        assert self._db is not None
        try:
            pages, page_bytes = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        except sqlite3.DatabaseError:
            return -1
        return int(pages * page_bytes)

    def _renew(self) -> None:
        """Let go of a file that is not the one under the name any more, and open that. Raises ``StoreError`` if it is foreign."""
        found = mark_of(self.path)
        if self._db is not None and self._mark is not None:
            if found is not None and found.is_same_file(self._mark):
                if not self._is_overwritten(found):
                    # only its log was removed, and lives on as long as it is open
                    (is_busy, *_) = self._db.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
                    if is_busy:
                        raise StoreError(f"the log of {self.path} was removed while it is read", code="search.lost")
                set_apart(self.path)
            elif self._is_moved():
                self._complete()
            remove_log(self.path, self._log)
        self._close_files()
        self._open()

    def _is_moved(self) -> bool:
        """True if the file under the name is not the one that is open, whose log is still there."""
        found = mark_of(self.path)
        is_same = self._mark is None or (found is not None and found.is_same_file(self._mark))
        return not is_same and os.fstat(self._log).st_nlink > 0

    def _complete(self) -> None:
        """Move the log into the file it belongs to, which bears another name now: whoever moved that left the log to us."""
        assert self._db is not None
        try:
            (is_busy, *_) = self._db.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        except sqlite3.DatabaseError:  # it was removed or damaged as well
            return
        if is_busy:
            raise StoreError(f"{self.path} was moved while it is read; what it lacks is in its log", code="search.lost")

    def _close_files(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
        self._mark = None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Wait for our turn to write. A file lock wakes the next at once, where SQLite's own wait polls."""
        if sys.platform == "win32":
            yield
            return
        lock = self._locked()
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    if sys.platform != "win32":

        def _locked(self) -> IO[bytes]:
            """The lock, taken, on the file that bears its name now: it may have been removed together with the index."""
            path = self.path.with_name(f"{self.path.name}-writer")
            while True:
                if self._lock is None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._lock = path.open("ab")
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(self._lock.fileno()), path.stat()):
                        return self._lock
                self._lock.close()
                self._lock = None


def _runs(rows: Iterable[Row]) -> Iterator[tuple[bool, list[Row]]]:
    """Neighbours of one kind together: deletions, or documents."""
    run: list[Row] = []
    for row in rows:
        if run and (run[0].text is None) != (row.text is None):
            yield run[0].text is None, run
            run = []
        run.append(row)
    if run:
        yield run[0].text is None, run


def _sync(fd: int) -> None:
    """Have what was written to a file reach the disk itself."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync stops at the drive's cache there
    else:
        os.fsync(fd)


def _sync_directory(path: Path) -> None:
    if sys.platform != "win32":  # directories cannot be opened there
        fd = os.open(path, os.O_RDONLY)
        try:
            _sync(fd)
        finally:
            os.close(fd)
