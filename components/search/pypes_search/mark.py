"""Marks: whether the file under a name is still the one that was opened, and ours.

A file that SQLite has open must not be opened and closed beside it: that would end SQLite's locks on it, which are of the whole
process (POSIX). So it is only looked at from outside, or by SQLite.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from pypes.errors import StoreError
from pypes_search.schema import APPLICATION_ID

#: Stands for the program that wrote a file which is no database.
_NO_DATABASE = -1


class Mark(NamedTuple):
    """The properties of a file from outside; while they stay the same, nobody has written to it."""

    device: int
    inode: int
    size: int
    modified_ns: int

    def is_same_file(self, other: Mark) -> bool:
        return self[:2] == other[:2]


def mark_of(path: Path) -> Mark | None:
    """The mark of the file under this name, ``None`` if there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Mark(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def is_index(path: Path) -> bool:
    """True if the head of a file says that SQLiteSearch wrote it. Takes a tenth of a millisecond, and writes nothing."""
    return _application(path) in (APPLICATION_ID, None)


def refuse_foreign(path: Path) -> None:
    """Raise :class:`StoreError` if something lies under the name that no SQLite wrote. Writes nothing."""
    if path.is_dir() or (path.exists() and _application(path) == _NO_DATABASE):
        raise StoreError(f"{path} is not an SQLite file; choose another path", code="search.not_an_index")


def _application(path: Path) -> int | None:
    """The id of the program that wrote a file, by its head alone; ``None`` if it cannot be told while SQLite writes to it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return int(db.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return _NO_DATABASE if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB else None


def set_apart(path: Path) -> None:
    """Give what lies under the name of an open index a file of its own, under the same name, so that SQLite lets go of it.

    SQLite moves its log into the file when the last connection ends, unless the name has come to another file; and whoever
    else has it open sees that it is another one.
    """
    draft = path.with_name(f"{path.name}-apart")
    shutil.copy2(path, draft)
    draft.replace(path)


def remove_log(path: Path, log_fd: int) -> None:
    """Remove the log of a file that is gone, if it is still the one that was opened: the next file must not inherit it."""
    log = Path(f"{path}-wal")
    with suppress(FileNotFoundError):
        if not os.path.samestat(os.fstat(log_fd), log.stat()):
            return
    for each in (log, Path(f"{path}-shm")):
        each.unlink(missing_ok=True)
