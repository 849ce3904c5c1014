"""Parquet and Arrow as tables, through Document."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from pypes.packet import Packet
from pypes.structure import blocks_of
from pypes.testing import run_component
from pypes_documents.document_adapter import Document

from .made import packed
from .reading import outline, read, refused
from .test_parquet import ROWS, file, table_file


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_a_table_is_one_document(kind: str) -> None:
    packet = read(Document, file(kind, ROWS), {"filename": "yarn"})
    assert packet["text"].splitlines()[2:] == [
        '| pirn | 3.5 | ["a", "b"] | 2026-11-29T08:30:00Z | 2026-11-29 | 1.50 |  | {"w": 1} |',
        "| heddle |  | [] |  |  |  |  |  |",
    ]
    (block,) = blocks_of(packet)
    assert block.rows is not None
    assert block.rows[0] == ["name", "cm", "tags", "at", "day", "price", "raw", "size"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "TRUE"),
        (7, "7"),
        (-(2**60), str(-(2**60))),
        (0.1, "0.1"),
        (5.0, "5"),
        ("a\0b|c", "ab|c"),
        (b"heddle", "heddle"),
        (b"\xff\xfe", ""),
        (datetime(2026, 11, 29), "2026-11-29"),
        (datetime(2026, 11, 29, 8, 30, tzinfo=UTC), "2026-11-29T08:30:00Z"),
        (date(2026, 11, 29), "2026-11-29"),
        ([b"a", b"\xff"], '["a", "\ufffd"]'),
    ],
)
def test_cells(value: Any, shown: str) -> None:
    packet = read(Document, table_file("file", pyarrow.table({"x": [value], "y": ["-"]})))
    assert outline(packet) == [f"table: {[['x', 'y'], [shown, '-']]}"]


def test_a_table_in_an_archive() -> None:
    result = run_component(Document, [Packet({"data": packed({"yarn.parquet": file("parquet", ROWS)})}, {"id": "7"})])
    (packet,) = result.packets
    assert (packet.id, packet.get_meta("mimetype")) == ("7/member=yarn.parquet", "application/vnd.apache.parquet")


def test_rows_that_cannot_be_read_are_named() -> None:
    times = pyarrow.array([0, 2**62, 1000], pyarrow.timestamp("ms"))
    result = run_component(Document, [Packet({"data": table_file("parquet", pyarrow.table({"at": times}))})])
    (packet,) = result.packets
    assert outline(packet) == ["table: [['at'], ['1970-01-01'], ['1970-01-01T00:00:01Z']]"]
    assert packet.get_meta("rows_lost") == [2]
    assert result.counts == {"rows_lost": 1}


def repeated(count: int) -> bytes:
    """A Parquet file with one value over and over, which packs to nothing."""
    made = io.BytesIO()
    parquet.write_table(pyarrow.table({"x": pyarrow.array(["a long thread"] * count)}), made)
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "params", "code", "reason"),
    [
        (file("parquet", []), {}, "document.no_text", "no cell with a value"),
        (table_file("file", pyarrow.table({"a": [None, None]})), {}, "document.no_text", "no cell with a value"),
        (
            table_file("file", pyarrow.table({"at": pyarrow.array([2**62] * 3, pyarrow.timestamp("ms"))})),
            {},
            "document.malformed",
            "none of the 3 rows of the table can be read: column at, row 1: ",
        ),
        (
            table_file("file", pyarrow.table({"at": pyarrow.array([2**62] * 1001, pyarrow.timestamp("ms"))})),
            {},
            "document.malformed",
            "more than 1000 rows of the table cannot be read: column at, row 1: ",
        ),
        (file("parquet", ROWS)[:-9], {}, "document.malformed", "the file is damaged"),
        (file("file", ROWS)[:-200], {}, "document.malformed", "the file is damaged"),
        (file("stream", ROWS)[:-300], {}, "document.malformed", "damaged"),
        (file("parquet", ROWS), {"max_bytes": 100}, "document.too_large", "max_bytes (100)"),
        (repeated(100_000), {"max_unpacked_bytes": 1 << 20}, "document.too_large", "max_unpacked_bytes (1048576)"),
        (repeated(5_000), {"max_chars": 9_000}, "document.too_large", "max_chars (9000)"),
        (repeated(5_000), {"max_chars": 9_000}, "document.too_large", "have adapter Parquet read it"),
    ],
)
def test_what_cannot_be_read(data: bytes, params: dict[str, Any], code: str, reason: str) -> None:
    found = refused(Document, data, **params)
    assert found[0] == code
    assert reason in found[1]


def test_a_table_of_too_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypes_documents.arrow_reader.MOST_CELLS", 50)
    found = refused(Document, repeated(60))[1]
    assert "13 rows of 1 cells are too many for one document; have adapter Parquet read it" in found
