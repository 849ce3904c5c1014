"""A table in a Parquet or Arrow file as a document, not as one for each row."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from pypes import Packet, Reject
from pypes_documents.arrow import rows
from pypes_documents.arrow_values import value_of
from pypes_documents.job import MALFORMED, MOST_CELLS, ROWS_LOST, TOO_LARGE, Job, finish

#: Rows that are unpacked at once.
_BATCH_ROWS: Final = 1024
#: Rows that may be lost of one table: beyond, it is damaged as a whole.
_MOST_LOST: Final = 1000
_ADVICE: Final = "have adapter Parquet read it, as one document for each row"


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with a table, the names of its columns as the first row; metadata names rows that cannot be read."""
    table: list[list[str]] = []
    lost: list[int] = []
    fault: Reject | None = None
    chars = 0
    with job.take_file(packet) as file:
        for number, row in enumerate(rows(file, _BATCH_ROWS, job), 1):
            if isinstance(row, Reject):
                fault = fault or row
                lost.append(number)
                if len(lost) > _MOST_LOST:
                    raise Reject(f"more than {_MOST_LOST} rows of the table cannot be read: {fault}", MALFORMED)
                continue
            table = table or [[*row]]
            cells = [_text_of(value) for value in row.values()]
            table.append(cells)
            chars += sum(map(len, cells)) + 3 * len(cells)
            if chars > job.bounds.max_chars:
                raise Reject(f"the text of the table is longer than max_chars ({job.bounds.max_chars}); {_ADVICE}", TOO_LARGE)
            # a row takes as much memory as three cells
            if len(table) * (len(cells) + 3) > MOST_CELLS:
                raise Reject(f"{len(table)} rows of {len(cells)} cells are too many for one document; {_ADVICE}", TOO_LARGE)
    if fault and not table:
        raise Reject(f"none of the {len(lost)} rows of the table can be read: {fault}", MALFORMED)
    text = job.text()
    if any(any(cells) for cells in table[1:]):
        text.add_table(table)
    finish(packet, text, {}, empty="the table has no cell with a value")
    if lost:
        packet.set_meta(ROWS_LOST, lost)


def _text_of(value: Any) -> str:
    """The text of a cell as sheets show it; lists and structures as JSON. Bytes are text if they are UTF-8, else nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return format(value, ".15g")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return ""
    found = value_of(value)
    if isinstance(value, datetime):
        return str(found).removesuffix("T00:00:00Z")
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=_packed)


def _packed(value: bytes) -> str:
    return value.decode(errors="replace")
