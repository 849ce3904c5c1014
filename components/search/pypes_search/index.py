"""SearchIndex: a full-text index in one SQLite file, written by one process at a time and read by any number."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, TypeVar

if sys.platform != "win32":
    import fcntl

from pypes.errors import StoreError
from pypes_search.looking import Look
from pypes_search.mark import Mark, is_index, mark_of, refuse_foreign, remove_log, set_apart
from pypes_search.query import BUSY_TIMEOUT_S
from pypes_search.row import Of, One, Row, Told, of_row
from pypes_search.schema import prepare
from pypes_search.vectors import Space, claim, put, space_of
from pypes_search.versions import complete, forget, has_leftovers, newest_whole, remove_leftovers
from pypes_search.writing import insert, write

T = TypeVar("T")
log = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 2.0
SYNC_INTERVAL_S = 1.0

#: The log of commits is moved into the file itself when it has grown to this size; over the second, others wait for it.
CHECKPOINT_BYTES = 16 * 1024 * 1024
MAX_LOG_BYTES = 64 * 1024 * 1024

#: Most times that one batch is written anew because the file was taken away meanwhile.
MAX_RENEWALS = 5

#: So long a transaction may go on, once it is committed, with rows of older versions that are left to be removed.
LEFTOVERS_S = 0.5
#: Seconds between two looks for documents that have been gone for long enough.
FORGET_INTERVAL_S = 60.0
#: Seconds for which a document that is gone is remembered.
TOMBSTONE_S = 86_400.0

_NONE: Mapping[One, bytes | None] = MappingProxyType({})


class SearchIndex:
    """One writer's connection. May be used from any thread, by one at a time.

    SQLite commits without a sync; the log it wrote to is synced afterwards, when the next writer has the lock
    already. The order does not matter: SQLite itself syncs the log before it moves it into the file.

    Before and after each transaction it is looked whether the file under the name is still the one that is open. If it was
    removed, moved, emptied or replaced by another index, that or a new one is opened and the transaction written there.
    """

    def __init__(
        self,
        path: Path,
        durability: str = "always",
        *,
        tombstone_s: float = TOMBSTONE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open, upgrade or create the index. Raises ``StoreError`` if the file is another thing or of a newer format.

        ``clock`` gives the seconds since the epoch. For ``tombstone_s`` it is known of a document that it is gone.
        """
        self.path = path
        self._durability = durability
        self._tombstone_s = tombstone_s
        self._clock = clock
        self._synced_s = time.monotonic()
        self._forgot_s = -FORGET_INTERVAL_S  # not yet, also where the clock has just begun
        self._has_leftovers = False
        #: Files that were opened, and transactions written to them.
        self._changes = 0
        #: The vectors that can be compared with those in the file that is open.
        self.space: Space | None = None
        self._lock: IO[bytes] | None = None
        self._db: sqlite3.Connection | None = None
        self._log = -1
        self._mark: Mark | None = None
        refuse_foreign(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._writing():
                self._open()
            self._remove_leftovers()
        except BaseException:
            self.close()
            raise

    def look(self, rows: Sequence[Row], end: Sequence[Of] = (), later: Container[Of] = frozenset()) -> Look | None:
        """Look for what there is for rows that are to be written; ``None`` if the file was taken away. Blocks."""
        return self._read(lambda db: Look(db, rows, self._state(db), end, later))

    def count(self, look: Look, versions: Sequence[Of]) -> None:
        """Count the parts of older versions that go with versions, for a look. Blocks."""
        self._read(lambda db: look.count(db, versions))

    def claim(self, space: Space) -> Space:
        """Make this the space of the vectors in the index if it has none yet; returns the one that it has. Blocks."""
        with self._writing():
            if not self._is_current():
                self._renew()
            assert self._db is not None
            with self._transaction():
                self.space = claim(self._db, space)
        return self.space

    def apply(
        self,
        rows: Sequence[Row],
        nameless: Sequence[Row] = (),
        told: Sequence[Told] = (),
        look: Look | None = None,
        vectors: Mapping[One, bytes | None] = _NONE,
    ) -> None:
        """Insert, replace and delete, in order, and end versions, in one transaction; durable when it returns. Blocks.

        ``nameless`` are rows of documents without an id: they replace the same ones, and nothing else. ``look`` is what there was
        for the rows. ``vectors`` are those of rows, packed (``None``: a row without one), of the space that was claimed. Raises
        ``StoreError`` while another thing lies under the name, or an index with other vectors.
        """
        space = self.space
        for _ in range(MAX_RENEWALS):
            try:
                log_bytes = self._write(rows, nameless, told, look, vectors, space)
            except sqlite3.DatabaseError:
                if self._is_current():
                    raise
                continue  # the file was taken away in the middle of it
            if self._is_sync_due():
                _sync(self._log)
            if self._is_current():
                if CHECKPOINT_BYTES <= log_bytes < MAX_LOG_BYTES:
                    self._checkpoint()
                if self._has_leftovers:
                    self._remove_leftovers()
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

    def _write(
        self,
        rows: Sequence[Row],
        nameless: Sequence[Row],
        told: Sequence[Told],
        look: Look | None,
        vectors: Mapping[One, bytes | None],
        space: Space | None,
    ) -> int:
        """One transaction; returns how long the log is behind it, in bytes."""
        with self._writing():
            if not self._is_current():
                self._renew()
            assert self._db is not None
            db, now_ms = self._db, int(self._clock() * 1000)
            with self._transaction():
                insert(db, nameless)
                if rows or told:
                    if look is not None and look.state != self._state(db):
                        look = None
                    write(db, rows, None if look is None else look.found, newest_whole(told), now_ms)
                if vectors and space is not None:
                    put(db, vectors, space)
                if rows or told:
                    complete(db, told, set(map(of_row, rows)), frozenset() if look is None else look.alone, now_ms)
                    self._has_leftovers = has_leftovers(db)
                    self._forget(db)
            log_bytes = os.fstat(self._log).st_size
            if log_bytes >= MAX_LOG_BYTES:
                self._checkpoint()
            return log_bytes

    def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T | None:
        """Ask the file that is open; ``None`` if it was taken away."""
        if self._db is None or not self._is_current():
            return None
        try:
            return ask(self._db)
        except sqlite3.DatabaseError:
            if self._is_current():
                raise
            return None

    def _state(self, db: sqlite3.Connection) -> tuple[int, int]:
        """The same as long as nobody writes."""
        return self._changes, db.execute("PRAGMA data_version").fetchone()[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        assert self._db is not None
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
            self._changes += 1
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _forget(self, db: sqlite3.Connection) -> None:
        """Forget some of the documents that have been gone for long enough, now and then."""
        now_s = time.monotonic()
        if now_s - self._forgot_s >= FORGET_INTERVAL_S and not forget(db, int((self._clock() - self._tombstone_s) * 1000)):
            self._forgot_s = now_s

    def _remove_leftovers(self) -> None:
        """Remove rows that are not seen any more, for a while; whoever writes next goes on with the rest."""
        assert self._db is not None
        end_s = time.monotonic() + LEFTOVERS_S
        with self._writing():
            while self._has_leftovers and time.monotonic() < end_s:
                with self._transaction():
                    remove_leftovers(self._db)
                    self._has_leftovers = has_leftovers(self._db)
                if os.fstat(self._log).st_size >= CHECKPOINT_BYTES:
                    self._checkpoint()

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
        self._has_leftovers = has_leftovers(self._db)
        self.space = space_of(self._db)
        self._changes += 1

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
            log.warning("an index was removed or replaced; what comes now goes into another file", extra={"path": str(self.path)})
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
