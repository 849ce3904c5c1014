"""Index truth of SQLTable: see ``tests/servers/truth.py``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from pypes_stores.sql_table import SQLTable
from tests.servers.schemas import schema_of
from tests.servers.truth import TIMEOUT_S, check_truth, made

pytestmark = [pytest.mark.servers, pytest.mark.timeout(TIMEOUT_S)]

COLUMNS = {"said": "said"}
WANTED = "SELECT id, part, said FROM documents"


def test_a_table_of_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"

    def seen() -> set[tuple[str, str, str]]:
        with closing(sqlite3.connect(path)) as db:
            return set(db.execute(WANTED).fetchall())

    check_truth(made(SQLTable, tmp_path, path=str(path), columns=COLUMNS), seen)


def test_a_table_of_postgresql(tmp_path: Path, postgresql: str) -> None:
    with psycopg.connect(postgresql, autocommit=True) as db:
        url = schema_of(db, postgresql, str(tmp_path))

        def seen() -> set[tuple[str, str, str]]:
            rows = db.execute(WANTED).fetchall()
            assert len(set(rows)) == len(rows)
            return set(rows)

        check_truth(made(SQLTable, tmp_path, url=url, columns=COLUMNS), seen)
