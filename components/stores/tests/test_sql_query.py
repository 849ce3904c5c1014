"""SQLQuery with files of SQLite: rows that are new, changed, late, alike or gone, and crashes between any two pairs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.graph.codec import from_obj
from pypes.graph.spec import describe
from pypes.graph.validation import validate
from pypes.testing import ComponentSuite, run_component
from pypes_stores import sql_query
from pypes_stores.row_cursor import packed, unpacked
from pypes_stores.sql_query import SQLQuery

Pairs = list[tuple[list[Packet], Any]]

PARAMS: dict[str, Any] = {"path": "people.db", "query": "SELECT * FROM people;", "key": "number", "rising": "changed"}


class TestSQLQuery(ComponentSuite):
    component = SQLQuery

    @pytest.fixture(autouse=True)
    def _in_its_own_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("people.db").touch()

    params = {**PARAMS, "query": "SELECT 1 AS number, 1 AS changed"}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE people (number INTEGER PRIMARY KEY, name TEXT, changed INTEGER, gone INTEGER)")
        yield db


def source(tmp_path: Path, *, confirmed: bool = False, **params: Any) -> SQLQuery:
    made = SQLQuery()
    made.configure({**PARAMS, **params})
    made.data_dir = str(tmp_path)
    made.is_confirmed = confirmed
    return made


def fetch(made: SQLQuery, cursor: Any = None) -> Pairs:
    made.setup()
    return list(made.fetch(cursor))


def begun(made: SQLQuery, cursor: Any = None) -> Iterator[tuple[list[Packet], Any]]:
    made.setup()
    return made.fetch(cursor)


def told(pairs: Pairs) -> list[str]:
    return [
        f"-{packet.id}" if packet.is_deletion else f"{packet.id} {packet.get('name')}" for pair, _ in pairs for packet in pair
    ]


def put(db: sqlite3.Connection, *rows: tuple[Any, ...]) -> None:
    db.executemany("INSERT OR REPLACE INTO people (number, name, changed) VALUES (?, ?, ?)", rows)


def test_a_graph_with_it_is_checked() -> None:
    def problems(**params: Any) -> list[tuple[str, str]]:
        nodes = {"sql": {"component": "SQLQuery", "params": {**PARAMS, **params}}}
        graph = from_obj({"pypes": 1, "name": "g", "nodes": nodes, "wires": []})
        found = validate(graph, {"SQLQuery": describe(SQLQuery)})
        return [(problem.path, problem.code) for problem in found if problem.code.startswith(("param.", "component."))]

    assert problems(deleted="gone") == []
    for column in ("key", "rising", "deleted"):
        for value in ('a"b', "a\0b"):
            assert problems(**{column: value}) == [(f"nodes.sql.params.{column}", "param.invalid")]
    assert problems(key="") == [("nodes.sql.params.key", "param.invalid")]


def test_rows_that_are_new_or_changed_are_fetched(tmp_path: Path, db: sqlite3.Connection) -> None:
    made = source(tmp_path)
    assert fetch(made) == []
    put(db, (1, "Ada", 1), (2, "Alan", 2), (3, "nobody", None))
    ((packets, cursor),) = fetch(made)
    assert [(packet.id, dict(packet)) for packet in packets] == [
        ("1", {"number": [1], "name": ["Ada"], "changed": [1]}),
        ("2", {"number": [2], "name": ["Alan"], "changed": [2]}),
    ]
    assert fetch(made, cursor) == []
    put(db, (1, "Ada L.", 3), (4, "Grace", 4))
    ((packets, cursor),) = pairs = fetch(made, cursor)
    assert told(pairs) == ["1 Ada L.", "4 Grace"]
    assert fetch(made, cursor) == []


def test_rows_that_come_late_or_have_the_same_value_are_fetched(tmp_path: Path, db: sqlite3.Connection) -> None:
    made = source(tmp_path, again=3)
    put(db, *((n, f"n{n}", n) for n in range(10, 20)))
    cursor = fetch(made)[-1][1]
    put(db, (1, "late", 18), (2, "same", 19), (3, "too late", 16))
    pairs = fetch(made, cursor)
    assert told(pairs) == ["1 late", "2 same"]
    assert fetch(made, pairs[-1][1]) == []


def test_many_rows_with_one_value_are_all_fetched(tmp_path: Path, db: sqlite3.Connection) -> None:
    put(db, *((n, "x", 7) for n in range(1_700)))
    pairs = fetch(source(tmp_path))
    assert sorted(int(each.split()[0]) for each in told(pairs)) == list(range(1_700))
    assert [len(packets) for packets, _ in pairs] == [500, 500, 500, 200]
    assert fetch(source(tmp_path), pairs[-1][1]) == []
    put(db, (2_000, "y", 8))
    assert told(fetch(source(tmp_path), pairs[-1][1])) == ["2000 y"]


def test_rows_that_came_late_before_a_run_was_cut_off_are_fetched_by_the_next(
    tmp_path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_query, "BATCH_ROWS", 3)
    monkeypatch.setattr(sql_query, "BATCH_SHARE", 1_000_000)
    put(db, *((n, "x", n) for n in range(10, 19)))
    cursor = next(begun(source(tmp_path)))[1]
    put(db, (1, "late", 11))
    pairs = fetch(source(tmp_path), cursor)
    assert [each.split()[0] for each in told(pairs)] == ["13", "14", "15", "16", "17", "18"]
    pairs = fetch(source(tmp_path), pairs[-1][1])
    assert told(pairs) == ["1 late"]
    assert fetch(source(tmp_path), pairs[-1][1]) == []


@pytest.mark.parametrize("again", [1, 3, 1_000])
def test_a_crash_between_any_two_pairs_loses_and_doubles_nothing(
    tmp_path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    monkeypatch.setattr(sql_query, "BATCH_ROWS", 3)
    monkeypatch.setattr(sql_query, "BATCH_SHARE", 1_000_000)
    monkeypatch.setattr(sql_query, "PAGE_ROWS", 4)
    put(db, *((n, f"v{n}", n) for n in range(20)))
    for survives in range(9):
        cursor: Any = None
        found: list[str] = []
        for limit in (survives, None):  # the first run ends after so many pairs are stored
            made = source(tmp_path, again=again)
            run = begun(made, cursor)
            for _ in range(100 if limit is None else limit):
                pair = next(run, None)
                if pair is None:
                    break
                found += told([pair])
                cursor = pair[1]
            del run
        assert found == [f"{n} v{n}" for n in range(20)]


def test_a_flag_deletes(tmp_path: Path, db: sqlite3.Connection) -> None:
    made = source(tmp_path, deleted="gone")
    put(db, (1, "Ada", 1), (2, "Alan", 2))
    cursor = fetch(made)[-1][1]
    db.execute("UPDATE people SET gone = 1, changed = 3 WHERE number = 1")
    pairs = fetch(made, cursor)
    assert told(pairs) == ["-1"]
    db.execute("UPDATE people SET gone = 0, changed = 4 WHERE number = 1")
    pairs = fetch(made, pairs[-1][1])
    assert told(pairs) == ["1 Ada"]
    assert fetch(made, pairs[-1][1]) == []


def test_keys_are_compared(tmp_path: Path, db: sqlite3.Connection) -> None:
    made = source(tmp_path, compare=True, again=1)
    put(db, *((n, "x", n) for n in range(4)))
    cursor = fetch(made)[-1][1]
    db.execute("DELETE FROM people WHERE number IN (0, 3)")
    ((_, cursor),) = pairs = fetch(made, cursor)
    assert told(pairs) == ["-0", "-3"]
    assert fetch(made, cursor) == []
    put(db, (3, "x", 3))
    assert told(fetch(made, cursor)) == ["3 x"]


def test_an_empty_table_deletes_only_what_is_confirmed(tmp_path: Path, db: sqlite3.Connection) -> None:
    made = source(tmp_path, compare=True)
    put(db, *((n, "x", n) for n in range(11)))
    cursor = fetch(made)[-1][1]
    db.execute("DELETE FROM people")
    put(db, (99, "new", 99))
    run = begun(made, cursor)
    pair = next(run)
    assert told([pair]) == ["99 new"]
    with pytest.raises(ComponentError, match="11 rows that were known are gone") as raised:
        next(run)
    assert raised.value.code == "source.too_many_deletions"
    pairs = fetch(source(tmp_path, compare=True, confirmed=True), pair[1])
    assert sorted(told(pairs)) == sorted(f"-{n}" for n in range(11))


def test_another_query_begins_anew(tmp_path: Path, db: sqlite3.Connection) -> None:
    put(db, (1, "Ada", 1))
    cursor = fetch(source(tmp_path))[-1][1]
    pairs = fetch(source(tmp_path, query="SELECT number, upper(name) AS name, changed FROM people"), cursor)
    assert told(pairs) == ["1 ADA"]


def test_ids_are_made_of_the_key(tmp_path: Path, db: sqlite3.Connection) -> None:
    put(db, (1, "Ada", 1))
    assert [packet.id for packets, _ in fetch(source(tmp_path, id="people/{key}")) for packet in packets] == ["people/1"]
    assert [packet.get_meta("id") for packets, _ in fetch(source(tmp_path, id="")) for packet in packets] == [None]


def test_a_row_that_is_too_large_is_a_dead_letter(tmp_path: Path, db: sqlite3.Connection) -> None:
    made = source(tmp_path)
    made.fetched_bytes = 4_500
    put(db, (1, "x" * 3_000, 1), (2, "x" * 5_000, 2), (3, "x" * 3_000, 3))
    pairs = fetch(made)
    assert [[packet.id for packet in packets] for packets, _ in pairs] == [["1", "2"], ["3"]]
    result = run_component(source(tmp_path), [packet for packets, _ in pairs for packet in packets])
    assert [(letter.code, letter.error.split(" and")[0]) for letter in result.dead_letters] == [
        ("sql.too_large", "row 2 has 5591 bytes,")
    ]


def test_bytes_stay_bytes(tmp_path: Path, db: sqlite3.Connection) -> None:
    put(db, (1, b"\x00\xff", 1))
    ((packets, _),) = fetch(source(tmp_path))
    assert packets[0].get("name") == b"\x00\xff"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"key": "id"}, "no column 'id'; it has number, name, changed, gone"),
        ({"deleted": "removed"}, "no column 'removed'"),
        ({"query": "SELECT * FROM missing"}, "no such table: missing"),
        ({"path": "other.db"}, "unable to open database file"),
    ],
)
def test_a_query_that_cannot_be_is_refused_at_set_up(
    tmp_path: Path, db: sqlite3.Connection, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(ComponentError, match=said):
        source(tmp_path, **params).setup()
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("values", [(1, b"x"), (None, 1)])
def test_values_that_have_no_order_or_no_name_end_the_run(tmp_path: Path, values: tuple[Any, Any]) -> None:
    with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE people (number, changed)")
        db.execute("INSERT INTO people VALUES (?, ?)", values)
    with pytest.raises(ComponentError, match="column '"):
        fetch(source(tmp_path))


@pytest.mark.parametrize("params", [{"path": ""}, {"url": "postgresql://x/y"}, {"id": "", "compare": True}])
def test_parameters_that_cannot_be_are_refused(tmp_path: Path, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        source(tmp_path, **params)


def test_rising_values_are_stored_and_come_back() -> None:
    values = [
        1,
        1.5,
        "a",
        datetime(2026, 11, 29, 1, 2, 3, 4, UTC),
        datetime(2026, 11, 29),
        date(2026, 11, 29),
        Decimal("1.50"),
        UUID(int=1),
    ]
    assert [unpacked(packed(value)) for value in values] == values
    with pytest.raises(ValueError, match="no bool"):
        packed(True)
