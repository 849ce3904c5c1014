"""Idempotency keys in tables by time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from pypes.ingest.store.keys import TABLES, KeyTables, Span, key_row, waiting

SPAN_MS = 1000
HOUR = 1_700_000_000_000


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript(f"CREATE TABLE commits (key INTEGER PRIMARY KEY); {TABLES}")
        yield made


@pytest.fixture
def tables(connection: sqlite3.Connection) -> KeyTables:
    return KeyTables(connection, SPAN_MS)


def add(tables: KeyTables, *names: str, ms: int = HOUR, graph: str = "g") -> None:
    tables.add([key_row(name, b"digest-1", ms << 6, position, 7, graph) for position, name in enumerate(names)])
    tables.read_spans()


def test_a_key_leads_to_its_delivery(connection: sqlite3.Connection, tables: KeyTables) -> None:
    add(tables, "a", "b")
    add(tables, "c", ms=HOUR + SPAN_MS)
    assert tables.find(connection, "b") == (b"digest-1", HOUR << 6, 1, 7)
    assert tables.find(connection, "c") == (b"digest-1", (HOUR + SPAN_MS) << 6, 0, 7)
    assert tables.find(connection, "d") is None
    assert KeyTables(connection, 7 * SPAN_MS).find(connection, "a") is not None, "the spans are those of the tables"


def test_keys_are_counted_by_span_and_graph(tables: KeyTables) -> None:
    add(tables, "a", "b")
    add(tables, "c", graph="other")
    add(tables, "d", ms=HOUR + SPAN_MS)
    first, second = Span(HOUR, HOUR + SPAN_MS), Span(HOUR + SPAN_MS, HOUR + 2 * SPAN_MS)
    assert tables.counts() == {first: {"g": 2, "other": 1}, second: {"g": 1}}
    assert tables.spans == (second, first)


def test_a_span_is_dropped_as_a_whole_but_for_what_waits(connection: sqlite3.Connection, tables: KeyTables) -> None:
    add(tables, "done")
    add(tables, "waits", ms=HOUR + 1)
    add(tables, "later", ms=HOUR + SPAN_MS)
    connection.execute("INSERT INTO commits VALUES (?)", ((HOUR + 1) << 6,))
    span = Span(HOUR, HOUR + SPAN_MS)
    rows = waiting(connection, span)
    assert len(rows) == 1
    tables.rescue(rows)
    tables.rescue(rows)
    tables.drop(span)
    tables.read_spans()
    assert tables.find(connection, "done") is None
    assert tables.find(connection, "waits") == (b"digest-1", (HOUR + 1) << 6, 0, 7)
    assert tables.find(connection, "later") is not None
    connection.execute("DELETE FROM commits")
    tables.drop(Span(HOUR + SPAN_MS, HOUR + 2 * SPAN_MS))
    tables.read_spans()
    assert tables.find(connection, "waits") is None
    assert tables.spans == ()


def test_a_table_that_is_dropped_during_a_search_is_passed_over(connection: sqlite3.Connection, tables: KeyTables) -> None:
    add(tables, "old")
    add(tables, "new", ms=HOUR + SPAN_MS)
    old = tables.spans[-1]

    class Overtaken:
        """A connection of another thread: the table goes before its first statement."""

        def execute(self, *statement: Any) -> sqlite3.Cursor:
            if old in tables.spans:
                tables.drop(old)
            return connection.execute(*statement)

    overtaken: Any = Overtaken()
    assert tables.find(overtaken, "new") is not None
    connection.execute(f"DROP TABLE {tables.spans[0].table}")
    with pytest.raises(sqlite3.OperationalError):
        tables.find(connection, "new")


def test_a_name_may_be_any_text(connection: sqlite3.Connection, tables: KeyTables) -> None:
    for name in ("", "g\0x", "\ud800", "x" * 10_000):
        add(tables, name)
        assert tables.find(connection, name) is not None
