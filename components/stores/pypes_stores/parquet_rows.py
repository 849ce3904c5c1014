"""Rows of Parquet files: packets and the ends of versions, with columns of one schema."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson

from pypes import Reject
from pypes_basic.mapped_columns import Mapped, value_of
from pypes_basic.records import Record, Told

#: Columns of every file. ``kind`` is ``part`` for a packet, ``whole`` for the end of a version that is whole, ``failed`` for
#: that of one of which something failed. ``document`` is the id, NULL without one.
OWN: Final = ("kind", "route", "document", "version", "part")
PART: Final = "part"
WHOLE: Final = "whole"
FAILED: Final = "failed"


def schema_of(mapped: Sequence[Mapped]) -> Any:
    """The schema of files (``pyarrow.Schema``)."""
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "bigint": pa.int64(),
        "double precision": pa.float64(),
        "numeric": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp with time zone": pa.timestamp("us", "UTC"),
        "jsonb": pa.string(),
        "text[]": pa.list_(pa.string()),
        "integer[]": pa.list_(pa.int64()),
    }
    return pa.schema([*((name, pa.string()) for name in OWN), *((each.column, types[each.type]) for each in mapped)])


def rows_of(records: Sequence[Record], told: Sequence[Told], mapped: Sequence[Mapped]) -> list[dict[str, Any]]:
    """The rows of a turn. Raises ``Reject`` (``parquet.value``) for a value that does not fit its column."""
    rows = [_row(record, mapped) for record in records]
    for each in told:
        kind = WHOLE if each.is_whole else FAILED
        rows.append({"kind": kind, "route": each.route, "document": each.id, "version": each.version})
    return rows


def _row(record: Record, mapped: Sequence[Mapped]) -> dict[str, Any]:
    row: dict[str, Any] = {
        **{"kind": PART, "route": record.route, "document": record.id, "version": record.version_text, "part": record.part}
    }
    for each in mapped:
        text = value_of(record, each)
        try:
            row[each.column] = None if text is None else _read(text, each.type)
        except (ValueError, KeyError, OverflowError) as error:
            raise Reject(f"column {each.column}: {str(text)[:200]!r} is no {each.type}", "parquet.value") from error
    return row


def _read(text: Any, kind: str) -> Any:
    """A value of a text, or of texts."""
    match kind:
        case "integer" | "bigint":
            return _whole(text)
        case "double precision" | "numeric":
            return float(text)
        case "boolean":
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        case "date":
            return date.fromisoformat(text[:10])
        case "timestamp with time zone":
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        case "integer[]":
            return [_whole(each) for each in text]
    return text


def _whole(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise OverflowError(text)
    return number


def bytes_of(rows: Sequence[dict[str, Any]]) -> bytes:
    """Bytes by which rows are known: equal for equal ones."""
    return orjson.dumps(rows)
