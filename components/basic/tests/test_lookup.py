"""Lookup: CSV and SQLite, values, and tables that change."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes.testing.component import Result
from pypes_basic.lookup import Lookup
from pypes_basic.tables import SQLiteTable

COLORS = "code,name,hex\nr,red,f00\ng,green,0f0\nr,second,111\n,empty,000\n"


def countries() -> dict[str, str]:
    """Countries by their codes (ISO 3166), of the zone database."""
    text = resources.files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.splitlines() if not line.startswith("#"))


def lookup(folder: Path, packets: list[Packet], **params: Any) -> Result:
    made = Lookup()
    made.data_dir = str(folder)
    made.configure({"path": "table.csv", "key": "code", "field": "color", **params})
    return run_component(made, packets)


def color(value: Any, **fields: Any) -> Packet:
    return Packet.from_document({"color": value, **fields})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "table.csv").write_text(COLORS)
    with closing(sqlite3.connect(tmp_path / "table.db")) as database, database:
        database.execute("CREATE TABLE colors (code TEXT, name TEXT, hex TEXT)")
        database.executemany("INSERT INTO colors VALUES (?, ?, ?)", csv.reader(COLORS.splitlines()[1:]))
        database.execute('CREATE TABLE "odd ""table" (number INTEGER, name TEXT, empty TEXT)')
        database.executemany('INSERT INTO "odd ""table" VALUES (?, ?, NULL)', [(1, "one"), (20, "twenty")])
    return tmp_path


TABLES: list[dict[str, Any]] = [{}, {"path": "table.db", "table": "colors"}]


class TestLookup(ComponentSuite):
    component = Lookup

    @pytest.fixture(autouse=True)
    def _table(self, tmp_path: Path) -> None:
        (tmp_path / "suite.csv").write_text(COLORS)
        type(self).params = {"path": str(tmp_path / "suite.csv"), "key": "code", "field": "color"}

    def test_countries_of_the_zone_database(self, tmp_path: Path) -> None:
        known = countries()
        assert len(known) > 200
        with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("code", "country"), *known.items()])
        result = lookup(tmp_path, [color(code) for code in known], take={"country": "country"})
        assert [packet.get("country") for packet in result.packets] == [*known.values()]
        assert result.counts == {"found": len(known)}

    @pytest.mark.parametrize("table", TABLES)
    def test_values(self, folder: Path, table: dict[str, Any]) -> None:
        several = color(["r", "absent", "g"])
        packets = [color("r", name="old"), color("absent"), Packet({"n": 1}), several, color("")]
        result = lookup(folder, packets, **table)
        assert [packet.get("name") for packet in result.packets] == ["red", None, None, ["red", "green"], "empty"]
        assert [packet.get("hex") for packet in result.packets] == ["f00", None, None, ["f00", "0f0"], "000"]
        assert not result.packets[0].has("code")
        assert result.counts == {"found": 4, "missing": 2}

    @pytest.mark.parametrize("table", TABLES)
    def test_what_is_missing(self, folder: Path, table: dict[str, Any]) -> None:
        packets = [color("absent"), color("r"), Packet()]
        assert len(lookup(folder, [each.clone() for each in packets], missing="drop", **table).packets) == 2
        result = lookup(folder, packets, missing="error", **table)
        [letter] = result.dead_letters
        path = table.get("path", "table.csv")
        assert (letter.code, letter.error) == ("lookup.missing", f"{path} has no row whose code is 'absent'")
        assert len(result.packets) == 2

    def test_columns_get_the_names_that_are_given(self, folder: Path) -> None:
        [packet] = lookup(folder, [color("g")], take={"hex": "code of it"}).packets
        assert packet.get_attributes() == {"color": ["g"], "code of it": ["0f0"]}

    def test_numbers_and_names_of_sqlite(self, folder: Path) -> None:
        table = {"path": "table.db", "table": 'odd "table', "key": "number"}
        result = lookup(folder, [color(1), color("20"), color("1.0"), color("x"), color("1 OR 1")], **table)
        assert [packet.get("name") for packet in result.packets] == ["one", "twenty", "one", None, None]
        assert not result.packets[0].has("empty")

    @pytest.mark.parametrize(
        ("kind", "keys", "asked", "found"),
        [
            ("TEXT", ["7", "07", "7.0"], [7, "07", "7.0", "007"], ["7", "07", "7.0", None]),
            ("TEXT", ["07"], ["7"], [None]),
            ("INTEGER", [7, 2**60], ["7", 7.0, 2**60, "07x", 10**30], ["7", "7", f"{2**60}", None, None]),
            ("REAL", [0.5], ["0.5", ".5"], ["0.5", "0.5"]),
            # columns without a type have values of all kinds
            ("", [7, "07", 0.5, "1_0"], ["7", "07", 0.5, "007", 10, "1_0", 10**30], ["7", "07", "0.5", None, None, "1_0", None]),
            ("BLOB", ["7"], [7], ["7"]),
        ],
    )
    @pytest.mark.parametrize("is_view", [False, True])
    def test_keys_of_sqlite_by_the_type_of_their_column(
        self, folder: Path, kind: str, keys: list[Any], asked: list[Any], found: list[Any], is_view: bool
    ) -> None:
        with closing(sqlite3.connect(folder / "table.db")) as database, database:
            database.execute(f"CREATE TABLE kept (code {kind}, name TEXT)")
            database.executemany("INSERT INTO kept VALUES (?, ?)", [(key, str(key)) for key in keys])
            database.execute(f"CREATE {'VIEW' if is_view else 'TABLE'} keyed AS SELECT * FROM kept")
        result = lookup(folder, [color(each) for each in asked], path="table.db", table="keyed")
        assert [packet.get("name") for packet in result.packets] == found

    @pytest.mark.parametrize("kind", ["TEXT", "INTEGER", ""])
    def test_an_index_of_sqlite_is_used(self, folder: Path, kind: str) -> None:
        with closing(sqlite3.connect(folder / "table.db")) as database, database:
            database.execute(f"CREATE TABLE keyed (code {kind}, name TEXT)")
            database.execute("CREATE INDEX by_code ON keyed (code)")
        made = Lookup()
        made.data_dir = str(folder)
        made.configure({"path": "table.db", "key": "code", "field": "color", "table": "keyed"})
        made.setup()
        table = made._table
        assert isinstance(table, SQLiteTable)
        asked: list[str] = []
        assert table._database is not None
        table._database.set_trace_callback(asked.append)
        assert table.rows({"1", "x"}) == {}
        made.teardown()
        assert len(asked) >= 2
        with closing(sqlite3.connect(folder / "table.db")) as database:
            plans = [database.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall() for statement in asked]
        assert all(len(plan) == 1 and "USING INDEX by_code" in plan[0][3] for plan in plans)

    def test_forms_of_csv(self, folder: Path) -> None:
        (folder / "table.tsv").write_text('\ufeffcode\tname\nR\t"a\tb"\nshort\n', encoding="utf-8")
        [packet] = lookup(folder, [color("R")], path="table.tsv").packets
        assert packet.get("name") == "a\tb"
        assert lookup(folder, [color("r")], path="table.tsv", ignore_case=True).packets[0].get("name") == "a\tb"
        assert not lookup(folder, [color("short")], path="table.tsv").packets[0].has("name")
        (folder / "table.csv").write_text("code;name\nr;red\n")
        assert lookup(folder, [color("r")], delimiter=";").packets[0].get("name") == "red"

    def test_a_table_that_changes_is_read_again(self, folder: Path) -> None:
        made = Lookup()
        made.data_dir = str(folder)
        made.configure({"path": "table.csv", "key": "code", "field": "color", "take": {"name": "name"}, "check_s": 0})
        made.setup()

        def name() -> Any:
            return made._table.rows({"r"})["r"]["name"]

        assert name() == "red"
        for text, expected in (
            ("code,name\nr,rouge\n", "rouge"),
            ('code,name\nr,"open\n', "rouge"),
            ("x\n", "rouge"),
            ("code\nr\n", "rouge"),
        ):
            (folder / "new").write_text(text)
            (folder / "new").replace(folder / "table.csv")
            assert name() == expected
        (folder / "table.csv").unlink()
        assert name() == "rouge"
        (folder / "table.csv").write_text("code,name\nr,rosso\n")
        assert name() == "rosso"
        made.teardown()

    def test_a_database_that_changes_or_is_replaced_is_seen(self, folder: Path) -> None:
        made = Lookup()
        made.data_dir = str(folder)
        made.configure({"path": "table.db", "key": "code", "field": "color", "table": "colors"})
        made.setup()

        def name() -> Any:
            return made._table.rows({"r"})["r"]["name"]

        with closing(sqlite3.connect(folder / "table.db")) as database, database:
            database.execute("UPDATE colors SET name = 'rouge'")
        assert name() == "rouge"
        with closing(sqlite3.connect(folder / "new.db")) as database, database:
            database.execute("CREATE TABLE colors (name TEXT, code TEXT)")
            database.execute("INSERT INTO colors VALUES ('rosso', 'r')")
        (folder / "new.db").replace(folder / "table.db")
        assert name() == "rosso"
        made.teardown()

    @pytest.mark.parametrize(
        ("params", "fault"),
        [
            ({"path": "absent.csv"}, "absent.csv cannot be read: No such file"),
            ({"key": "kode"}, "table.csv has no column 'kode'; it has code, name, hex"),
            ({"take": {"no": "x"}}, "table.csv has no column 'no'; it has code, name, hex"),
            ({"max_rows": 2}, "table.csv has more than 2 rows"),
            ({"path": "table.db"}, "table.db is no CSV of UTF-8"),
            ({"table": "colors"}, "table.csv cannot be read: file is not a database"),
            ({"path": "table.db", "table": "absent"}, "table.db cannot be read: no such table: absent"),
            ({"path": "absent.db", "table": "colors"}, "absent.db cannot be read|unable to open"),
        ],
    )
    def test_bad_tables_are_refused_at_set_up(self, folder: Path, params: dict[str, Any], fault: str) -> None:
        with pytest.raises(ComponentError, match=fault):
            lookup(folder, [], **params)
        assert not (folder / "absent.db").exists()

    def test_a_bad_delimiter_is_refused(self) -> None:
        for delimiter in (";;", '"'):
            with pytest.raises(InvalidInput, match="valid"):
                Lookup().configure({"path": "a", "key": "b", "field": "c", "delimiter": delimiter})
