"""The cells of XLS, XLSB and ODS, by python-calamine; hostile files end its process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum

from pypes import Packet, Reject
from pypes_documents.dates import duration
from pypes_documents.job import ENCRYPTED, MALFORMED, Job
from pypes_documents.pages import Pages
from pypes_documents.sheets import add_sheet, finish_sheets, number_text


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the sheets of a book."""
    data = job.take(packet)
    text = job.text()
    with _sound():
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        names = [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    pages = Pages("book", "sheet")
    for number, name in enumerate(names, 1):
        with pages.reading(number), _sound():
            add_sheet(text, number, name, _rows(book.get_sheet_by_name(name)))
    finish_sheets(packet, text, pages, len(names), {})


@contextmanager
def _sound() -> Iterator[None]:
    try:
        yield
    except PasswordError as error:
        raise Reject("the sheet is encrypted; save it without a password", ENCRYPTED) from error
    except (CalamineError, ValueError, OSError) as error:
        raise Reject(f"the sheet is damaged, or none: {error}", MALFORMED) from error


def _rows(sheet: CalamineSheet) -> Iterator[dict[int, str]]:
    for row in sheet.iter_rows():
        yield {column: value for column, cell in enumerate(row) if (value := _value(cell))}


def _value(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S").removesuffix(" 00:00:00")
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return duration(timedelta(seconds=round(cell.total_seconds())))
    return number_text(str(cell))
