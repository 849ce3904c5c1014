"""Transactions of SQLite files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pypes.core.databases import connect, writing


def test_a_commit_that_fails_takes_the_transaction_back(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "a.db")) as db:
        db.execute("pragma foreign_keys = on")
        db.execute("create table a (id integer primary key)")
        db.execute("create table b (a integer references a (id) deferrable initially deferred)")
        with pytest.raises(sqlite3.IntegrityError), writing(db):
            db.execute("insert into b values (7)")
        assert not db.in_transaction
        with writing(db):
            db.execute("insert into a values (1)")
        assert db.execute("select (select count(*) from a), (select count(*) from b)").fetchone() == (1, 0)
