"""SQLTable with a file of SQLite: columns, tables that are there, what fails alone and what is waited for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet, Pipeline
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, PublisherSuite, run_component
from pypes_stores.sql_table import SQLTable

#: Runs packets in a publisher with these parameters; returns the codes and reasons of dead letters.
Publish = Callable[..., list[tuple[str, str]]]


class TestSQLTable(ComponentSuite, PublisherSuite):
    component = SQLTable
    params = {"path": "texts.db", "table": "texts", "columns": {"text": "text"}}

    def make(self) -> SQLTable:
        made = SQLTable()
        made.configure({**self.params, "path": ":memory:"})
        return made

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        if not (folder / "texts.db").exists():
            return []
        with closing(sqlite3.connect(folder / "texts.db")) as db:
            rows = db.execute("SELECT route, id, part, text FROM texts").fetchall()
        return [(route, id and id.replace("\\u0000", "\x00"), part, text) for route, id, part, text in rows]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


@pytest.fixture
def publish(path: Path) -> Publish:
    def run(*packets: Packet, **params: Any) -> list[tuple[str, str]]:
        given = {"path": str(path), "table": "people", "columns": {"name": "name"}, **params}
        result = run_component(SQLTable, packets, **given)
        return [(letter.code, letter.error) for letter in result.dead_letters]

    return run


def rows(path: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(question).fetchall()


def versioned(receipt: str, fields: dict[str, Any] | None = None, **meta: Any) -> Packet:
    return Packet(fields, {"id": "a", "route": "people", "receipt": receipt, "run": 1, **meta})


def test_columns_hold_fields_and_metadata_by_their_types(path: Path, publish: Publish) -> None:
    packet = Packet({"id": "a", "name": "Ada", "born": "1815-12-10", "pages": 12, "is_known": True, "tags": ["x", "y"]})
    packet.set_meta("team", "looms")
    columns = {"name": "name", "born": "born date", "pages": "pages int", "known": "is_known bool", "tags": "tags text[]"}
    assert publish(packet, columns={**columns, "team": "meta:team", "rest": "*"}) == []
    found = rows(path, "SELECT name, born, pages + 1, known, tags, team, rest ->> 'pages', id, part FROM people")
    assert found == [("Ada", "1815-12-10", 13, 1, '["x","y"]', "looms", 12, "a", "")]


@pytest.mark.parametrize(
    ("columns", "value", "said"),
    [
        ({"n": "n integer"}, "many", "cannot store TEXT value in INTEGER column people.n"),
        ({"n": "n date"}, "some day", "CHECK constraint failed"),
        ({"n": "n bool"}, "perhaps", "cannot store TEXT value in INTEGER column people.n"),
    ],
)
def test_a_value_that_does_not_fit_fails_alone(
    path: Path, publish: Publish, columns: dict[str, str], value: str, said: str
) -> None:
    letters = publish(Packet({"id": "a"}), Packet({"id": "b", "n": value}), Packet({"id": "c"}), columns=columns)
    assert [code for code, _ in letters] == ["sqlite.value"]
    assert said in letters[0][1]
    assert rows(path, "SELECT id FROM people ORDER BY id") == [("a",), ("c",)]


def test_outside_of_a_node_the_order_says_what_is_newer(path: Path, publish: Publish) -> None:
    first, deletion, again = (
        Packet({"id": "a", "name": "1"}),
        Packet({"id": "a"}, {"requestmethod": "DELETE"}),
        Packet({"id": "a"}),
    )
    assert publish(first, deletion) == []
    assert rows(path, "SELECT name FROM people") == []
    again.set("name", "2")
    assert publish(first, deletion, again) == []
    assert rows(path, "SELECT name FROM people") == [("2",)]


def test_access_lists_are_those_of_all_publishers(path: Path, publish: Publish) -> None:
    lists: dict[str, dict[str, Any]] = {"all": {}, "nobody": {"acl": None}, "ada": {"acl": "ada"}}
    assert publish(*(Packet({"id": id}, meta) for id, meta in lists.items()), columns={"acl": "meta:acl text[]"}) == []
    assert rows(path, "SELECT id, acl FROM people ORDER BY id") == [
        ("ada", '["ada"]'),
        ("all", None),
        ("nobody", '["pypes:nobody"]'),
    ]


def test_a_constraint_of_the_table_fails_the_document_alone(path: Path, publish: Publish) -> None:
    publish()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE UNIQUE INDEX names ON people (name)")
    letters = publish(Packet({"id": "a", "name": "Ada"}), Packet({"id": "b", "name": "Ada"}))
    assert letters == [("sqlite.value", "UNIQUE constraint failed: people.name")]
    assert rows(path, "SELECT id FROM people") == [("a",)]


def test_a_row_that_is_replaced_keeps_columns_of_others(path: Path, publish: Publish) -> None:
    publish(Packet({"id": "a", "name": "Ada"}))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("ALTER TABLE people ADD COLUMN note TEXT")
        db.execute("UPDATE people SET note = 'met'")
        db.execute("INSERT INTO people (document, place, version, route, part, name) VALUES ('mine', '', '', '', '', 'Me')")
    publish(Packet({"id": "a", "name": "Ada L."}))
    assert rows(path, "SELECT name, note FROM people ORDER BY name") == [("Ada L.", "met"), ("Me", None)]


def test_a_table_that_somebody_else_has_made(path: Path, publish: Publish) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE people (number INTEGER PRIMARY KEY, name VARCHAR(40), document TEXT, place TEXT, version TEXT,"
            " route TEXT, id TEXT, part TEXT)"
        )
    publish(Packet({"id": "a", "name": "Ada"}))
    publish(Packet({"id": "a", "name": "Ada L."}), Packet({"id": "b", "name": "Alan"}))
    assert rows(path, "SELECT number, id, name FROM people") == [(1, "a", "Ada L."), (2, "b", "Alan")]


def test_a_column_is_added_to_tables_that_are_there(path: Path, publish: Publish) -> None:
    publish(Packet({"id": "a", "born": 1815}))
    publish(Packet({"id": "b", "born": 1912}), columns={"born": "born int"})
    assert rows(path, "SELECT id, born FROM people ORDER BY id") == [("a", None), ("b", 1912)]


def test_tables_that_do_not_fit_are_refused(path: Path, publish: Publish) -> None:
    publish()
    with pytest.raises(ComponentError, match="column name is TEXT instead of INTEGER"):
        publish(columns={"name": "name int"})
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (name TEXT)")
    with pytest.raises(ComponentError, match="mine does not fit: of the columns that tell documents apart it lacks document, "):
        publish(table="mine")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"path": "", "url": ""}, "give url .* or path"),
        ({"path": "a", "url": "postgresql://x/y"}, "give url .* or path"),
        ({"table": "other.people"}, "no schemas"),
        ({"columns": {"version": "name"}}, "one of the table's own"),
        ({"columns": {"a": "name varchar"}}, "no type 'varchar'"),
    ],
)
def test_parameters_that_cannot_be_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        SQLTable().configure({"path": "people.db", "columns": {"name": "name"}, **params})


def test_what_is_no_database_is_refused(path: Path, publish: Publish) -> None:
    path.write_text("name,born\n" * 100)
    with pytest.raises(ComponentError, match="cannot be written to: file is not a database; mend it, or name another file"):
        publish()
    assert path.read_text().startswith("name,born")


def test_a_table_that_was_dropped_is_made_again(path: Path) -> None:
    publisher = SQLTable()
    publisher.configure({"path": str(path), "table": "people", "columns": {"name": "name"}})
    with Pipeline(publisher) as pipeline:
        pipeline.push([Packet({"id": "a"})])
        with closing(sqlite3.connect(path)) as db:
            db.execute("DROP TABLE people")
        pipeline.push([Packet({"id": "b"})])
        pipeline.push([Packet({"id": "b"})])
        assert not pipeline.dead_letters
    assert rows(path, "SELECT id FROM people") == [("b",)]


def test_the_version_that_stands_is_known_and_what_is_gone_forgotten(path: Path) -> None:
    posts: list[tuple[str, dict[str, Any]]] = [("1", {}), ("2", {"requestmethod": "DELETE"}), ("3", {"id": "b"})]
    counts = []
    for receipt, more in posts:
        publisher = SQLTable()
        publisher.configure({"path": str(path), "table": "people", "columns": {"name": "name"}, "tombstone_s": 0})
        with Pipeline(publisher) as pipeline:
            pipeline.push([versioned(receipt, None, **more)])
            counts.append(sum(pipeline.removed.values()))
    assert counts == [0, 1, 0]
    assert rows(path, "SELECT id, live_version FROM people_documents") == [("b", "3/0000000/0000000000000001")]
