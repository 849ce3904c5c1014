"""SQLTable with PostgreSQL: whole documents as every publisher of them, types, and what the server refuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pypes import Packet, Pipeline
from pypes.errors import ComponentError
from pypes.testing import ComponentSuite, PublisherSuite, run_component
from pypes.testing.node import free_port
from pypes_stores.sql_table import SQLTable
from tests.servers.schemas import schema_of

pytestmark = pytest.mark.servers

TEXTS = {"table": "texts", "columns": {"text": "text"}}


class TestSQLTable(ComponentSuite, PublisherSuite):
    component = SQLTable

    @pytest.fixture(autouse=True)
    def _database(self, postgresql: str) -> Iterator[None]:
        self.url = postgresql
        with psycopg.connect(postgresql, autocommit=True) as self.reader:
            yield

    def make(self) -> SQLTable:
        made = SQLTable()
        made.configure({"url": schema_of(self.reader, self.url, "suite"), **TEXTS})
        return made

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        return {"url": schema_of(self.reader, self.url, str(folder)), **TEXTS}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        schema_of(self.reader, self.url, str(folder))
        if self.reader.execute("SELECT to_regclass('texts')").fetchone() == (None,):
            return []
        rows = self.reader.execute("SELECT route, id, part, text FROM texts").fetchall()
        return [(route, id and id.replace("\\u0000", "\x00"), part, text) for route, id, part, text in rows]


@pytest.fixture
def db(postgresql: str) -> Iterator[Any]:
    with psycopg.connect(postgresql, autocommit=True) as db:
        yield db


@pytest.fixture
def url(db: Any, postgresql: str, request: pytest.FixtureRequest) -> str:
    return schema_of(db, postgresql, request.node.nodeid)


def publish(url: str, *packets: Packet, **params: Any) -> list[tuple[str, str]]:
    result = run_component(SQLTable, packets, **{"url": url, "table": "people", "columns": {"name": "name"}, **params})
    return [(letter.code, letter.error) for letter in result.dead_letters]


def test_columns_have_types(db: Any, url: str) -> None:
    columns = {"born": "born date", "pages": "pages int", "known": "known bool", "tags": "tags text[]", "rest": "*"}
    packet = Packet({"id": "a", "born": "1815-12-10", "pages": 12, "known": True, "tags": ["x", "y"]})
    assert publish(url, packet, columns=columns) == []
    found = db.execute("SELECT extract(year FROM born), pages + 1, known, tags, rest -> 'pages' FROM people").fetchall()
    assert found == [(1815, 13, True, ["x", "y"], 12)]


def test_values_and_constraints_fail_alone(db: Any, url: str) -> None:
    columns = {"born": "born date"}
    publish(url, columns=columns)
    db.execute("ALTER TABLE people ADD CHECK (born > '1800-01-01')")
    days = ["1815-12-10", "some day", "1715-12-10", "1912-06-23"]
    letters = publish(url, *(Packet({"id": n, "born": day}) for n, day in enumerate(days)), columns=columns)
    assert [code for code, _ in letters] == ["postgresql.value", "postgresql.value"]
    assert "some day" in letters[0][1]
    assert "violates check constraint" in letters[1][1]
    assert db.execute("SELECT id FROM people ORDER BY id").fetchall() == [("0",), ("3",)]


def test_a_table_in_another_schema_that_somebody_else_has_made(db: Any, url: str) -> None:
    schema = db.execute("SELECT current_schema()").fetchone()[0]
    own = "document text, place text, version text, route text, id text, part text"
    db.execute(f"CREATE TABLE people (number serial PRIMARY KEY, name text, {own})")
    publish(url, Packet({"id": "a", "name": "Ada"}), table=f"{schema}.people")
    publish(url, Packet({"id": "a", "name": "Ada L."}), table=f"{schema}.people")
    assert db.execute("SELECT number, name FROM people").fetchall() == [(1, "Ada L.")]


def test_tables_that_do_not_fit_are_refused(db: Any, url: str) -> None:
    publish(url)
    with pytest.raises(ComponentError, match="column name is text instead of integer"):
        publish(url, columns={"name": "name int"})
    with pytest.raises(ComponentError, match="does not exist"):
        publish(url.replace("/postgres?", "/nothing?"))


def test_a_server_that_is_not_there_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        letters = publish(f"postgresql://x:secret@127.0.0.1:{free_port()}/x", Packet({"id": "a"}))
    # in a test nothing rests: it is an attempt that failed
    assert [code for code, _ in letters] == ["component.raised"]
    assert "cannot be reached yet" in caplog.text


def test_a_table_that_was_dropped_and_a_connection_that_was_ended(db: Any, url: str) -> None:
    publisher = SQLTable()
    publisher.configure({"url": url, "table": "people", "columns": {"name": "name"}})
    with Pipeline(publisher) as pipeline:
        pipeline.push([Packet({"id": "a"})])
        db.execute("DROP TABLE people")
        pipeline.push([Packet({"id": "b"})])
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pypes'")
        pipeline.push([Packet({"id": "c"})])
        assert not pipeline.dead_letters
    assert db.execute("SELECT id FROM people ORDER BY id").fetchall() == [("b",), ("c",)]
