"""Parquet and Arrow."""

from __future__ import annotations

import io
import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow
import pytest
from pyarrow import ipc, parquet

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.parquet_adapter import Parquet

ROWS: list[dict[str, Any]] = [
    {
        "name": "pirn",
        "cm": 3.5,
        "tags": ["a", "b"],
        "at": datetime(2026, 11, 29, 8, 30, tzinfo=UTC),
        "day": date(2026, 11, 29),
        "price": Decimal("1.50"),
        "raw": b"\x00",
        "size": {"w": 1},
    },
    {"name": "heddle", "cm": None, "tags": [], "at": None, "day": None, "price": None, "raw": None, "size": None},
]
FOUND = {
    "name": ["pirn"],
    "cm": [3.5],
    "tags": ["a", "b"],
    "at": ["2026-11-29T08:30:00Z"],
    "day": ["2026-11-29"],
    "price": ["1.50"],
    "raw": [b"\x00"],
    "size": [{"w": 1}],
}


def file(kind: str, rows: list[dict[str, Any]]) -> bytes:
    return table_file(kind, pyarrow.Table.from_pylist(rows, schema=None if rows else pyarrow.schema([("a", pyarrow.int64())])))


def table_file(kind: str, table: pyarrow.Table) -> bytes:
    made = io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, made)
        return made.getvalue()
    with (ipc.new_file if kind == "file" else ipc.new_stream)(made, table.schema) as writer:
        writer.write_table(table)
    return made.getvalue()


TWO: Any = pyarrow.array([b"x" * 8, b"y" * 8])


def ints(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}i", *numbers)


#: Name → a column, and bytes of it that are changed to others.
FORGED: dict[str, tuple[pyarrow.Array, bytes, bytes]] = {
    "behind": (TWO, ints(0, 8, 16), ints(0, 8, 65536)),
    "before": (TWO, ints(0, 8, 16), ints(-65536, 0, 8)),
    "far": (TWO, ints(0, 8, 16), ints(0, 8, 1 << 30)),
    "text": (TWO.cast(pyarrow.string()), ints(0, 8, 16), ints(0, 8, 4096)),
    "list": (pyarrow.array([[1, 2], [3, 4]], pyarrow.list_(pyarrow.int64())), ints(0, 2, 4), ints(0, 2, 4096)),
    "texts": (pyarrow.array([["x" * 8, "y" * 8]]), ints(0, 8, 16), ints(0, 8, 4096)),
    "struct": (pyarrow.StructArray.from_arrays([TWO], ["y"]), ints(0, 8, 16), ints(0, 8, 4096)),
    "map": (
        pyarrow.array([[("k", 1)], [("l", 2), ("m", 3)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
        ints(0, 1, 3),
        ints(0, 1, 4096),
    ),
    "dictionary": (pyarrow.array(["a", "b", "a"]).dictionary_encode(), ints(0, 1, 0), ints(0, 1 << 20, 0)),
    "dictionary below": (pyarrow.array(["a", "b", "a"]).dictionary_encode(), ints(0, 1, 0), ints(0, -5000, 0)),
    "values of a dictionary": (TWO.cast(pyarrow.string()).dictionary_encode(), ints(0, 8, 16), ints(0, 8, 65536)),
    "view": (pyarrow.array(["a text of 20 letters"], pyarrow.string_view()), ints(20) + b"a te", ints(1 << 16) + b"a te"),
}


class TestParquet(ComponentSuite):
    component = Parquet

    @pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
    def test_rows(self, kind: str) -> None:
        result = run_component(Parquet, [Packet({"data": file(kind, ROWS)}, {"id": "7"})])
        assert not result.dead_letters
        assert [packet.id for packet in result.packets] == ["7/row=1", "7/row=2"]
        assert result.packets[0].get_attributes() == FOUND
        assert result.packets[1].get_attributes() == {"name": ["heddle"], "tags": []}

    @pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
    @pytest.mark.parametrize(
        ("type", "value", "found"),
        [
            (pyarrow.timestamp("ns", "UTC"), 1795941000123456789, ["2026-11-29T08:30:00.123456Z"]),
            (pyarrow.timestamp("us"), 1795941000123000, ["2026-11-29T08:30:00.123Z"]),
            (pyarrow.timestamp("s", "+01:00"), 1795941000, ["2026-11-29T08:30:00Z"]),
            (pyarrow.duration("ns"), 129_600_000_000_001, ["36:00:00"]),
            (pyarrow.duration("ms"), -1500, ["-0:00:01.5"]),
            (pyarrow.time64("ns"), 3_600_000_000_001, ["01:00:00"]),
            (pyarrow.list_(pyarrow.timestamp("ns")), [1, 2_000_000_000], ["1970-01-01T00:00:00Z", "1970-01-01T00:00:02Z"]),
            (pyarrow.struct([("at", pyarrow.timestamp("ns"))]), {"at": 1}, [{"at": "1970-01-01T00:00:00Z"}]),
            (pyarrow.map_(pyarrow.string(), pyarrow.int64()), [("a", 1), ("b", 2)], [{"a": 1, "b": 2}]),
            (pyarrow.map_(pyarrow.int64(), pyarrow.list_(pyarrow.string())), [(1, ["x"])], [{"1": ["x"]}]),
            (pyarrow.map_(pyarrow.string(), pyarrow.int64()), [], [{}]),
            (pyarrow.list_(pyarrow.map_(pyarrow.string(), pyarrow.int64())), [[("a", 1)]], [{"a": 1}]),
            (pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "x", ["x"]),
        ],
        ids=str,
    )
    def test_types(self, kind: str, type: pyarrow.DataType, value: Any, found: list[Any]) -> None:
        data = table_file(kind, pyarrow.table({"x": pyarrow.array([value], type)}))
        result = run_component(Parquet, [Packet({"data": data})])
        assert not result.dead_letters, result.dead_letters[0].error
        assert result.packets[0].get_attributes() == {"x": found}

    @pytest.mark.parametrize(
        ("table", "reason"),
        [
            (pyarrow.table({"a": [1], "b": pyarrow.array([2**62], pyarrow.timestamp("ms"))}), "column b, row 1: "),
            (
                pyarrow.table({"m": pyarrow.array([[("k", 1), ("k", 2)]], pyarrow.map_(pyarrow.string(), pyarrow.int64()))}),
                "column m, row 1: ",
            ),
            (pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], ["a", "a"]), "two columns are called a"),
        ],
    )
    def test_columns_that_cannot_be_read(self, table: pyarrow.Table, reason: str) -> None:
        result = run_component(Parquet, [Packet({"data": table_file("stream", table)})])
        (letter,) = result.dead_letters
        assert letter.code == "document.malformed"
        assert reason in letter.error

    def test_one_row_that_cannot_be_read_costs_no_other(self) -> None:
        times = pyarrow.array([0, 2**62, 1000], pyarrow.timestamp("ms"))
        result = run_component(Parquet, [Packet({"data": table_file("parquet", pyarrow.table({"at": times}))})])
        assert [packet["at"] for packet in result.packets] == ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"]
        (letter,) = result.dead_letters
        assert "1 of 3 rows in it cannot be read; what could be read was sent on: row=2: column at, row 2: " in letter.error

    def test_a_column_without_a_name(self) -> None:
        data = table_file("file", pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], ["a", ""]))
        assert run_component(Parquet, [Packet({"data": data})]).packets[0].get_attributes() == {"a": [1], "column 2": [2]}

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"nothing", "document.malformed"),
            (file("parquet", ROWS)[:-9], "document.malformed"),
            (file("parquet", []), "document.no_text"),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, code: str) -> None:
        assert [letter.code for letter in run_component(Parquet, [Packet({"data": data})]).dead_letters] == [code]

    @pytest.mark.parametrize("kind", ["file", "stream"])
    @pytest.mark.parametrize("name", FORGED)
    def test_what_points_outside_of_the_file_is_not_read(self, kind: str, name: str) -> None:
        column, own, other = FORGED[name]
        data = table_file(kind, pyarrow.table({"x": column}))
        assert data.count(own) == 1
        result = run_component(Parquet, [Packet({"data": data.replace(own, other)})])
        assert not result.packets
        assert [letter.code for letter in result.dead_letters] == ["document.malformed"]

    @pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
    def test_a_text_that_is_none_costs_no_other(self, kind: str) -> None:
        texts = pyarrow.array([b"a", b"\xff", b"c"]).view(pyarrow.string())
        result = run_component(Parquet, [Packet({"data": table_file(kind, pyarrow.table({"x": texts}))})])
        assert [packet["x"] for packet in result.packets] == ["a", "c"]
        assert "row=2: column x, row 2: " in result.dead_letters[0].error

    @pytest.mark.parametrize("column", ["string", "dictionary"])
    def test_an_index_outside_of_a_dictionary_of_parquet(self, column: str) -> None:
        texts = pyarrow.array([text for text in "abc" for _ in range(100)])
        made = io.BytesIO()
        parquet.write_table(
            pyarrow.table({"x": texts if column == "string" else texts.dictionary_encode()}), made, compression="none"
        )
        # two runs of a hundred indices each
        own = b"\xc8\x01\x01\xc8\x01\x02"
        assert made.getvalue().count(own) == 1
        result = run_component(Parquet, [Packet({"data": made.getvalue().replace(own, b"\xc8\x01\x01\xc8\x01\x03")})])
        assert not result.packets
        assert [letter.code for letter in result.dead_letters] == ["document.malformed"]

    @pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
    def test_rows_of_nothing_are_bounded(self, kind: str) -> None:
        data = table_file(kind, pyarrow.table({"x": pyarrow.nulls(50)}))
        result = run_component(Parquet, [Packet({"data": data})], max_parts=20)
        assert len(result.packets) == 20
        (letter,) = result.dead_letters
        assert letter.code == "document.too_large"
        assert "what could be read was sent on: there are more than max_parts (20) parts in it; raise it or split" in letter.error

    @pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
    def test_a_value_that_all_rows_have_counts_in_each(self, kind: str) -> None:
        data = table_file(kind, pyarrow.table({"x": pyarrow.array(["a" * 10_000] * 100).dictionary_encode()}))
        result = run_component(Parquet, [Packet({"data": data})], max_unpacked_bytes=500_000)
        assert len(result.packets) == 49
        (letter,) = result.dead_letters
        assert letter.code == "document.too_large"
        assert "rows with all their fields are longer than max_unpacked_bytes (500000); raise it or split it" in letter.error
