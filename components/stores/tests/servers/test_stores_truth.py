"""Index truth of SQLTable and S3Objects: see ``tests/servers/truth.py``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import psycopg
import pytest

from pypes_stores.s3_objects import S3Objects
from pypes_stores.sql_table import SQLTable
from tests.servers.schemas import schema_of
from tests.servers.truth import TIMEOUT_S, check_truth, made

from .apart import check_nothing_has_begun
from .s3_bucket import Bucket

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


def test_a_bucket(tmp_path: Path, s3: str) -> None:
    check_nothing_has_begun()
    bucket = Bucket(s3, str(tmp_path))

    def seen() -> set[tuple[str, str, str]]:
        found = [orjson.loads(each.data) for each in bucket.packets()]
        rows = [(each["id"], each["part"], each["fields"]["said"]) for each in found]
        assert len(set(rows)) == len(rows)
        return set(rows)

    check_truth(made(S3Objects, tmp_path, url=bucket.url, options=bucket.options), seen)
