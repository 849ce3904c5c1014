"""A store as format 2 had it, made of one of the present format. The difference is data, not taken from the code under test."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

_KEYS = """
CREATE TABLE keys (name TEXT PRIMARY KEY, digest BLOB, key INTEGER, receipt TEXT) WITHOUT ROWID;
CREATE INDEX keys_key ON keys (key);
"""
_LATER = ("blocks", "totals", "spans", "keys_waiting")


def turn_back(path: Path, *, keys: Iterable[tuple[str, bytes, int, str]] = (), without: Iterable[str] = ()) -> None:
    """Give a closed store the tables of format 2; ``without``: those that its first releases did not have.

    ``keys`` are name, digest, commit and receipt of idempotency keys.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM blocks").fetchone() == (0,), "format 2 had no blocks"
        spans = connection.execute("SELECT DISTINCT 'keys_' || start || '_' || end FROM spans").fetchall()
        for table in (*_LATER, *(name for (name,) in spans), *without):
            connection.execute(f"DROP TABLE {table}")
        for statement in _KEYS.strip().rstrip(";").split(";\n"):
            connection.execute(statement)
        connection.executemany("INSERT INTO keys VALUES (?, ?, ?, ?)", keys)
        connection.execute("PRAGMA user_version = 2")
