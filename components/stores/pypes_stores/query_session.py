"""QuerySession: reading of pages of a query, from PostgreSQL or from a file of SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pypes_basic.postgresql_session import connect


class QuerySession:
    """A connection that only reads; ``mark`` stands for a parameter in its SQL."""

    def __init__(self, db: Any, mark: str) -> None:
        self._db = db
        self.mark = mark

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of the columns, and the rows. Blocks."""
        # psycopg takes a % for a parameter where parameters are given
        cursor = self._db.execute(sql, tuple(parameters)) if parameters else self._db.execute(sql)
        return [column[0] for column in cursor.description], cursor.fetchall()


@contextmanager
def reading(url: str, path: Path, timeout_s: float) -> Iterator[QuerySession]:
    """A session with PostgreSQL at ``url``, or with the file at ``path`` if that is empty. Raises what the drivers raise."""
    if url:
        with closing(connect(url, timeout_s)) as db:
            yield QuerySession(db, "%s")
    else:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=timeout_s, check_same_thread=False)) as db:
            yield QuerySession(db, "?")
