"""SearchIndex: a full-text index in one SQLite file, written by one process at a time and read by any number."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

from pypes.errors import NotFound, StoreError

#: Format of the file; a newer one is refused. ``APPLICATION_ID`` marks the file as ours ("Pyps").
FORMAT = 1
APPLICATION_ID = 0x50797073

#: The index is told to merge small transactions later and more at once: a third less work than by its defaults.
SCHEMA = """
CREATE TABLE documents (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL
);
CREATE VIRTUAL TABLE words USING fts5(
    title, text, content='documents', content_rowid='key', tokenize='unicode61 remove_diacritics 2'
);
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(5.0, 1.0)');
INSERT INTO words (words, rank) VALUES ('automerge', 16), ('crisismerge', 64), ('hashsize', 8388608);
CREATE TRIGGER documents_insert AFTER INSERT ON documents BEGIN
    INSERT INTO words (rowid, title, text) VALUES (new.key, new.title, new.text);
END;
CREATE TRIGGER documents_delete AFTER DELETE ON documents BEGIN
    INSERT INTO words (words, rowid, title, text) VALUES ('delete', old.key, old.title, old.text);
END;
CREATE TRIGGER documents_update AFTER UPDATE OF title, text ON documents BEGIN
    INSERT INTO words (words, rowid, title, text) VALUES ('delete', old.key, old.title, old.text);
    INSERT INTO words (rowid, title, text) VALUES (new.key, new.title, new.text);
END;
"""

UPSERT_HEAD = "INSERT INTO documents (id, title, text, fields) VALUES "
# An unchanged document, as a re-run after a crash brings it, costs no work on the index.
UPSERT_TAIL = (
    " ON CONFLICT (id) DO UPDATE SET title = excluded.title, text = excluded.text, fields = excluded.fields"
    " WHERE (title, text, fields) IS NOT (excluded.title, excluded.text, excluded.fields)"
)

#: Rows per statement. One statement runs wholly without the interpreter lock, so that the graph goes on meanwhile;
#: row by row, each would wait for its turn to get the lock back. Few sizes, so that their plans stay cached.
ROWS_PER_STATEMENT = (64, 16, 4, 1)

BUSY_TIMEOUT_S = 60.0
SYNC_INTERVAL_S = 1.0

#: The log of commits is moved into the file itself when it has grown to this size; over the second, others wait for it.
CHECKPOINT_BYTES = 16 * 1024 * 1024
MAX_LOG_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """A document as the index keeps it; ``fields`` is JSON and comes back with a hit. ``text`` None: delete it."""

    id: str
    title: str = ""
    text: str | None = None
    fields: str = "{}"


@dataclass(frozen=True, slots=True)
class Hit:
    """What a query found; ``score`` is higher for better matches."""

    id: str
    title: str
    snippet: str
    fields: str
    score: float


class SearchIndex:
    """One writer's connection. May be used from any thread, by one at a time.

    SQLite commits without a sync; the log it wrote to is synced afterwards, when the next writer has the lock
    already. The order does not matter: SQLite itself syncs the log before it moves it into the file.
    """

    def __init__(self, path: Path, durability: str = "always") -> None:
        """Open or create the index. Raises ``StoreError`` if the file is another thing or of a newer format."""
        self.path = path
        self._durability = durability
        self._synced_s = time.monotonic()
        self._log = -1
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock: IO[bytes] = path.with_name(f"{path.name}-writer").open("ab")
        self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            with self._writing():
                _prepare(self._db, path, durability)
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("COMMIT")
                # it is there by now, and stays the same file as long as this connection is open
                self._log = os.open(f"{path}-wal", os.O_RDWR)
        except BaseException:
            self.close()
            raise
        if durability != "never":
            _sync(self._log)
            _sync_directory(path.parent)

    def apply(self, rows: Sequence[Row]) -> None:
        """Insert, replace and delete, in order and in one transaction; durable when it returns. Blocks."""
        with self._writing():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for is_deletion, run in _runs(rows):
                    if is_deletion:
                        self._db.executemany("DELETE FROM documents WHERE id = ?", [(row.id,) for row in run])
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
        if self._is_sync_due():
            _sync(self._log)
        if CHECKPOINT_BYTES <= log_bytes < MAX_LOG_BYTES:
            self._checkpoint()

    def close(self) -> None:
        self._db.close()
        self._lock.close()
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    def _is_sync_due(self) -> bool:
        if self._durability == "interval":
            now_s = time.monotonic()
            if now_s - self._synced_s < SYNC_INTERVAL_S:
                return False
            self._synced_s = now_s
        return self._durability != "never"

    def _checkpoint(self) -> None:
        # PASSIVE never waits: what a reader still needs stays for the next time
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _upsert(self, rows: Sequence[Row]) -> None:
        start = 0
        for size in ROWS_PER_STATEMENT:
            while len(rows) - start >= size:
                values = [value for row in rows[start : start + size] for value in (row.id, row.title, row.text, row.fields)]
                self._db.execute(UPSERT_HEAD + ", ".join(["(?, ?, ?, ?)"] * size) + UPSERT_TAIL, values)
                start += size

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Wait for our turn to write. A file lock wakes the next at once, where SQLite's own wait polls."""
        if sys.platform == "win32":
            yield
            return
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def search(path: Path, query: str, limit: int = 10) -> list[Hit]:
    """The best matches for a query in FTS5's language; one that is not well-formed there is taken word by word.

    Raises ``NotFound`` if there is no index at ``path``.
    """
    if not path.is_file():
        raise NotFound(f"there is no index at {path}: publish something there with SQLiteSearch first", code="search.no_index")
    statement = (
        "SELECT d.id, d.title, snippet(words, 1, '[', ']', '…', 16), d.fields, -words.rank"
        " FROM words JOIN documents d ON d.key = words.rowid WHERE words MATCH ? ORDER BY words.rank LIMIT ?"
    )
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)) as db:
        try:
            found = db.execute(statement, (query, limit)).fetchall()
        except sqlite3.OperationalError as error:
            words = " ".join('"' + word.replace('"', '""') + '"' for word in query.replace("\0", " ").split())
            if not words:
                return []
            try:
                found = db.execute(statement, (words, limit)).fetchall()
            except sqlite3.OperationalError:
                raise StoreError(f"{path} cannot be searched: {error}", code="search.failed") from error
    return [Hit(*row) for row in found]


def count(path: Path) -> int:
    """Number of documents in the index."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)) as db:
        return int(db.execute("SELECT count(*) FROM documents").fetchone()[0])


def _prepare(db: sqlite3.Connection, path: Path, durability: str) -> None:
    """Create the tables if the file is new, check the format if not, and set the connection up."""
    try:
        db.execute("PRAGMA journal_mode = WAL")
        application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        is_empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is not an SQLite file ({error}); choose another path", code="search.not_an_index") from error
    if is_empty:
        db.executescript(
            f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
        )
    elif application != APPLICATION_ID:
        raise StoreError(f"{path} is another program's SQLite file; choose another path", code="search.not_an_index")
    elif version > FORMAT:
        raise StoreError(f"{path} has format {version}; a newer pypes-search is needed to write it", code="search.newer_format")
    for name, value in (
        ("synchronous", "OFF" if durability == "never" else "NORMAL"),
        ("fullfsync", "ON"),  # on macOS a plain fsync stops at the drive's cache
        ("wal_autocheckpoint", 0),
        ("cache_size", -16 * 1024),
    ):
        db.execute(f"PRAGMA {name} = {value}")


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
