"""File store: the entries of one filter in an SQLite file, which all processes of a node share.

There is one file for each filter, ``stores/GRAPH/FILTER.db`` in the data directory. It is written with a write-ahead log, and
synced for what must last only: what a failing machine takes back of the rest is work that is done once more. A file that is
damaged or has vanished is made anew.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from pypes.component.store import Changes, Decide, Store, Stores
from pypes.core.databases import alone, connect, inode_of, is_damage, writing
from pypes.errors import Unreachable

log = logging.getLogger(__name__)

#: The folder of all stores in a data directory.
STORES: Final = "stores"

#: Keys of one statement.
MOST_KEYS: Final = 500
#: Entries beyond the bound that there may be before the oldest go, in each process, at most.
MOST_OVER: Final = 10_000

_SCHEMA: Final = (
    "create table if not exists entries (key text primary key, value blob not null, used integer not null) without rowid",
    "create index if not exists entries_used on entries (used)",
    "create table if not exists info (name text primary key, value) without rowid",
)


class FileStore(Store):
    """A store in a file; ``most`` is its bound, which all processes should agree on."""

    def __init__(self, path: Path, component: str, most: int) -> None:
        self.path = path
        #: The names in log lines: the file is named for them.
        self._about = {"graph": path.parent.name, "filter": path.stem, "path": str(path)}
        self._component = component
        self._most = most
        self._lock = Lock()
        #: New entries since the last look at how many there are.
        self._new = 0
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._mend(error)

    def change(self, keys: Sequence[str], decide: Decide) -> None:
        with self._lock:
            try:
                self._change(keys, decide)
            except sqlite3.DatabaseError as error:
                self._mend(error)
                try:
                    self._change(keys, decide)
                except sqlite3.DatabaseError as another:
                    raise self._unwritable(another) from another

    def close(self) -> None:
        with self._lock:
            self._close()

    # -- entries ----------------------------------------------------------------------------------------------

    def _change(self, keys: Sequence[str], decide: Decide) -> None:
        try:
            db = self._there()
        except OSError as error:  # its folder cannot be made
            raise self._unwritable(error) from error
        for lasts in (False, True):
            db.execute(f"pragma synchronous = {'full' if lasts else 'normal'}")
            with writing(db):
                found: dict[str, bytes] = {}
                for start in range(0, len(keys), MOST_KEYS):
                    some = keys[start : start + MOST_KEYS]
                    found.update(db.execute(f"select key, value from entries where key in ({','.join('?' * len(some))})", some))
                changes = decide(found)
                if lasts or not changes.must_last:
                    self._write(db, found, changes)
                    return

    def _write(self, db: sqlite3.Connection, found: dict[str, bytes], changes: Changes) -> None:
        gone = [(key,) for key, value in changes.entries.items() if value is None]
        put = [(key, value) for key, value in changes.entries.items() if value is not None]
        db.executemany("delete from entries where key = ?", gone)
        ((last,),) = db.execute("select coalesce(max(used), 0) from entries")
        db.executemany(
            "insert into entries values (?, ?, ?) on conflict (key) do update set value = excluded.value, used = excluded.used",
            [(key, value, last + 1) for key, value in put],
        )
        self._new += sum(1 for key, _ in put if key not in found)
        if self._new > min(MOST_OVER, self._most // 100):
            self._new = 0
            ((count,),) = db.execute("select count(*) from entries")
            oldest = "select key from entries order by used limit ?"
            db.execute(f"delete from entries where key in ({oldest})", (max(0, count - self._most),))

    # -- the file ---------------------------------------------------------------------------------------------

    def _there(self) -> sqlite3.Connection:
        """The connection to the file that has the name now."""
        if self._db is not None and inode_of(self.path) != self._inode:
            log.warning("a filter store has vanished, and is made anew", extra=self._about)
            self._close()
        if self._db is None:
            self._open()
        assert self._db is not None
        return self._db

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with alone(self.path.parent.parent):
            db = self._db = connect(self.path)
            self._inode = inode_of(self.path)
            db.execute("pragma journal_mode = wal")
            with writing(db):
                for statement in _SCHEMA:
                    db.execute(statement)
                info = dict(db.execute("select name, value from info"))
                if info.get("component", self._component) != self._component:
                    db.execute("delete from entries")
                now = {"component": self._component, "most": self._most}
                if info != now:
                    db.executemany("insert or replace into info values (?, ?)", now.items())

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _mend(self, error: sqlite3.DatabaseError) -> None:
        """Make a damaged file anew; raises :class:`Unreachable` where the file is not to blame."""
        if not is_damage(error):
            raise self._unwritable(error) from error
        log.warning("a filter store is damaged, and is made anew", extra={**self._about, "reason": str(error)})
        try:
            with alone(self.path.parent.parent):
                if inode_of(self.path) == self._inode:  # else another process was quicker
                    _unlink(self.path)
            self._close()
            self._open()
        except (sqlite3.DatabaseError, OSError) as another:
            raise self._unwritable(another) from another

    def _unwritable(self, error: Exception) -> Unreachable:
        return Unreachable(reason=f"the store of the filter cannot be written ({self.path}): {error}")


def _unlink(path: Path) -> None:
    for end in ("-wal", "-shm", "-journal", ""):
        path.with_name(path.name + end).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Delete the file of a store. Processes that have it open make it anew when they need it."""
    with alone(path.parent.parent):
        _unlink(path)


class FileStores(Stores):
    """The stores in a folder of a node: one folder for each graph, one file for each filter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, graph: str, filter: str, component: str, most: int) -> Store:
        return FileStore(self.path(graph, filter), component, most)

    def path(self, graph: str, filter: str) -> Path:
        return self._folder / graph / f"{filter}.db"

    def of(self, graph: str) -> dict[str, Path]:
        """The files of a graph's stores, by filter."""
        return {path.stem: path for path in sorted((self._folder / graph).glob("*.db"))}

    def graphs(self) -> list[str]:
        """The graphs that have stores."""
        return sorted(path.name for path in self._folder.glob("*") if path.is_dir())


def describe(path: Path) -> dict[str, Any]:
    """The component, the number of entries and their bound, and the bytes on disk. Blocks; raises ``sqlite3.Error``."""
    with closing(connect(path, "ro")) as db:
        info = dict(db.execute("select name, value from info"))
        ((count,),) = db.execute("select count(*) from entries")
    size = sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
    return {"component": info.get("component", ""), "entries": count, "most": info.get("most", 0), "bytes": size}


def clear(path: Path) -> int:
    """Delete all entries of a store, while it is in use perhaps, and return how many there were. Blocks."""
    with closing(connect(path)) as db:
        db.execute("pragma synchronous = full")
        with writing(db):
            ((count,),) = db.execute("select count(*) from entries")
            db.execute("delete from entries")
        # it only gives room back: they are deleted, whatever comes of it
        with suppress(sqlite3.Error):
            db.execute("pragma wal_checkpoint(truncate)")
        return int(count)
