"""Parquet and Arrow."""

from __future__ import annotations

import io
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
    table = pyarrow.Table.from_pylist(rows, schema=None if rows else pyarrow.schema([("a", pyarrow.int64())]))
    made = io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, made)
        return made.getvalue()
    with (ipc.new_file if kind == "file" else ipc.new_stream)(made, table.schema) as writer:
        writer.write_table(table)
    return made.getvalue()


class TestParquet(ComponentSuite):
    component = Parquet

    @pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
    def test_rows(self, kind: str) -> None:
        result = run_component(Parquet, [Packet({"data": file(kind, ROWS)}, {"id": "7"})])
        assert not result.dead_letters
        assert [packet.id for packet in result.packets] == ["7/row=1", "7/row=2"]
        assert result.packets[0].get_attributes() == FOUND
        assert result.packets[1].get_attributes() == {"name": ["heddle"], "tags": []}

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
