"""SqliteSession: a connection to a file of SQLite, and the meaning of its errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from pypes import Reject, Unreachable
from pypes.errors import ComponentError
from pypes_basic.timing import RETRY_S

T = TypeVar("T")

#: A value does not fit its column, or a constraint of the table.
_VALUE: Final = (sqlite3.IntegrityError, sqlite3.DataError)


class SqliteSession:
    """One connection at a time to the file at ``path``, for one thread at a time; instances take turns at writing.

    ``prepare`` is called in a transaction of each new connection: it makes and compares tables.
    """

    def __init__(self, path: Path, timeout_s: float, durability: str, prepare: Callable[[Any], None]) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._durability = durability
        self._prepare = prepare
        self._db: sqlite3.Connection | None = None

    def connected(self) -> sqlite3.Connection:
        """The connection; a new one, prepared, where there is none. Blocks; raises what SQLite and ``prepare`` raise."""
        if self._db is None:
            is_new = not self._path.exists() or not self._path.stat().st_size
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)
            try:
                if is_new:
                    # readers and a writer do not wait for one another; a file that was there stays as it is
                    db.execute("PRAGMA journal_mode = WAL")
                levels = {"always": "FULL", "interval": "NORMAL", "never": "OFF"}
                db.execute(f"PRAGMA synchronous = {levels[self._durability]}")
                _transaction(db, self._prepare)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def run(self, work: Callable[[Any], T]) -> T:
        """Do work in a transaction of its own. Blocks.

        Raises ``Reject`` (``sqlite.value``) for a value that does not fit, ``Unreachable`` while the filter is to rest.
        """
        try:
            return _transaction(self.connected(), work)
        except ComponentError as error:  # a table that does not fit: until somebody mends it
            raise Unreachable(RETRY_S, error.message) from error
        except _VALUE as error:
            raise Reject(str(error), "sqlite.value") from error
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:  # locked, full, damaged, or tables that are gone: a new connection looks again
            self.close()
            raise Unreachable(RETRY_S, f"{self._path.name}: {error}") from error

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _transaction(db: sqlite3.Connection, work: Callable[[Any], T]) -> T:
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result
