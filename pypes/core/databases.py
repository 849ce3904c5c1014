"""SQLite files that several processes of a node write, and that others may remove or replace meanwhile."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

#: Seconds for which a process waits for another one that writes.
BUSY_S: Final = 30.0

#: Errors of SQLite that say that nothing is wrong with the file.
_SOUND: Final = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_NOMEM",
)


def connect(path: Path, mode: str = "rwc") -> sqlite3.Connection:
    """A connection without transactions of its own making, for any thread; ``mode``: ``ro``, ``rw``, or ``rwc`` to create it."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


def copy_to(source: sqlite3.Connection, target: Path) -> None:
    """Copy a whole database: as it is in the transaction that ``source`` has begun, otherwise as it is now. Blocks.

    Others may write to it meanwhile. The copy is one file, not synced yet. Raises ``sqlite3.Error``, and ``OSError`` if there is
    no room for the copy.
    """
    with closing(connect(target)) as copy:
        copy.execute("pragma synchronous = off")
        try:
            source.backup(copy)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname == "SQLITE_FULL":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
            raise


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """One transaction; what ends the block before its end takes it back, and so does a commit that fails."""
    db.execute("begin immediate")
    try:
        yield
        db.commit()
    except BaseException:
        db.rollback()
        raise


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else opens or deletes a file below a folder meanwhile: an SQLite file must never meet the log of another one."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def inode_of(path: Path) -> int:
    """Number of the file that has this name now, 0 if there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """True if an error says that a file is damaged, or is no database."""
    return not getattr(error, "sqlite_errorname", "").startswith(_SOUND)
