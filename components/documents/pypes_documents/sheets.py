"""Sheets: rows of cells on their way into blocks, and the texts of numbers and dates in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from pypes import Packet, Reject
from pypes_documents.dates import duration
from pypes_documents.job import MOST_CELLS, TOO_LARGE, Text, finish
from pypes_documents.pages import Pages

_SECOND: Final = timedelta(seconds=1)
_EPOCH: Final = datetime(1899, 12, 30)
_EPOCH_1904: Final = datetime(1904, 1, 1)
#: Days up to the end of the year 9999.
_LAST_DAY: Final = 2_958_465


def add_sheet(text: Text, number: int, title: str, rows: Iterable[dict[int, str]]) -> None:
    """Add a sheet: its title as a heading, and the rows between empty ones as a table, or as paragraphs where they have one cell.

    ``rows`` are the cells by their column.
    """
    text.add(title, "heading", level=1, page=number)
    table: list[dict[int, str]] = []
    cells = 0
    for row in rows:
        if row:
            table.append(row)
            cells += len(row)
            if cells > MOST_CELLS:
                raise Reject(f"a sheet has more than {MOST_CELLS} cells; split it, or post it as CSV", TOO_LARGE)
        elif table:
            _add_table(text, number, table)
            table = []
    if table:
        _add_table(text, number, table)


def _add_table(text: Text, number: int, table: list[dict[int, str]]) -> None:
    if max(map(len, table)) == 1:
        for row in table:
            for cell in row.values():
                text.add(cell, page=number)
        return
    columns = sorted({column for row in table for column in row})
    if len(columns) * len(table) > MOST_CELLS:
        raise Reject(f"a sheet has more than {MOST_CELLS} cells, most of them empty; split it", TOO_LARGE)
    text.add_table([[row.get(column, "") for column in columns] for row in table], page=number)


def finish_sheets(packet: Packet, text: Text, pages: Pages, count: int, facts: dict[str, Any]) -> None:
    """Put the text of ``count`` sheets into a packet. Raises ``Reject`` if there is none in any cell."""
    if not any(block.kind != "heading" for block in text.blocks):
        text.blocks.clear()  # titles of sheets alone
    pages.check(count, text)
    finish(packet, text, {**facts, "pages": count}, empty=f"no sheet of the {pages.what} has a cell with text or a number")
    pages.put(packet)


def number_text(value: str) -> str:
    """The text of a number as a sheet shows it without a format: ``0.1`` for 0.10000000000000001, ``5`` for 5.0."""
    if value.isdecimal():
        return value
    try:
        return format(float(value), ".15g")
    except ValueError:
        return value


def date_of_serial(value: str, is_1904: bool) -> str:
    """The date or time that a number of days stands for; ``""`` if it stands for none."""
    try:
        days = float(value)
    except ValueError:
        return ""
    if not 0 <= days <= _LAST_DAY:
        return ""
    # the year 1900 of sheets has a 29th of February
    epoch = _EPOCH_1904 if is_1904 else _EPOCH if days >= 60 else _EPOCH + timedelta(days=1)
    seconds = round(days * 86_400)
    try:
        at = epoch + seconds * _SECOND
    except OverflowError:
        return ""
    if days < 1 and not is_1904:
        return at.strftime("%H:%M:%S")
    return at.strftime("%Y-%m-%d") if seconds % 86_400 == 0 else at.strftime("%Y-%m-%d %H:%M:%S")


def duration_of_days(value: str) -> str:
    """The hours, minutes and seconds of a number of days, ``36:00:00`` for 1.5; ``""`` if it stands for none."""
    try:
        days = float(value)
    except ValueError:
        return ""
    return duration(timedelta(seconds=round(days * 86_400))) if abs(days) <= _LAST_DAY else ""
