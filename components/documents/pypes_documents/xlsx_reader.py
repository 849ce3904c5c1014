"""The cells of a XLSX (Office Open XML, ECMA-376 part 1, 18), row by row while they are unpacked.

Only cells that are there take memory: a sheet with one cell in its last column is a table with one column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pypes import Packet
from pypes_documents.job import Job
from pypes_documents.packages import Package, free, opened
from pypes_documents.pages import Pages
from pypes_documents.plain import whole
from pypes_documents.sheets import add_sheet, date_of_serial, duration_of_days, finish_sheets, number_text

_NAMESPACES: Final = (
    "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}",
    "{http://purl.oclc.org/ooxml/spreadsheetml/main}",
)
#: Numbers of built-in formats (18.8.30) that show dates and times.
_DATE_FORMATS: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
#: The number of the one that shows hours beyond those of a day; and the sign of such in others.
_DURATION_FORMAT: Final = "46"
_DURATION: Final = re.compile(r"\[(?:h+|m+|s+)\]")
_FIXED_TEXT: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})(\d{1,7})", re.ASCII)


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the sheets and properties of a XLSX."""
    with opened(packet, job, "XLSX") as package:
        book = _Book(package, package.main(default="xl/workbook.xml"))
        text = job.text()
        pages = Pages("XLSX", "sheet")
        for number, (title, part) in enumerate(book.sheets, 1):
            with pages.reading(number):
                add_sheet(text, number, title, book.rows(part))
                if book.fault:
                    pages.lose(number, book.fault)
        finish_sheets(packet, text, pages, len(book.sheets), package.facts())


class _Book:
    """The sheets of a book, and what is shared among them."""

    def __init__(self, package: Package, name: str) -> None:
        self._package = package
        #: The fault of the sheet that was read last, of which some cells are not there.
        self.fault = ""
        root = package.root(name)
        relations = package.relations(name)
        #: Title and part of each sheet.
        self.sheets: list[tuple[str, str]] = []
        for sheet in root.iter("{*}sheet"):
            of_it = next((relations[value] for key, value in sheet.items() if key.endswith("}id") and value in relations), None)
            if of_it is not None and of_it.kind == "worksheet":
                self.sheets.append((sheet.get("name", ""), of_it.target))
        properties = next(root.iter("{*}workbookPr"), None)
        self._is_1904 = properties is not None and properties.get("date1904", "0") in ("1", "true")
        parts = {relation.kind: relation.target for relation in relations.values()}
        self._texts = list(_shared_texts(package, parts["sharedStrings"])) if "sharedStrings" in parts else []
        #: The numbers of styles that show dates or times, and of those that show durations.
        self._date_styles: set[str] = set()
        self._duration_styles: set[str] = set()
        if parts.get("styles") in package.names:
            self._add_styles(package.root(parts["styles"]))

    def _add_styles(self, root: Any) -> None:
        formats = {entry.get("numFmtId"): entry.get("formatCode", "") for entry in root.iter("{*}numFmt")}
        listed = next(root.iter("{*}cellXfs"), None)
        for number, style in enumerate(() if listed is None else listed.iterchildren("{*}xf")):
            of_it = style.get("numFmtId", "0")
            code = formats.get(of_it, "").partition(";")[0].lower()
            shown = _FIXED_TEXT.sub("", code)
            if _DURATION.search(code) if code else of_it == _DURATION_FORMAT:
                self._duration_styles.add(str(number))
            elif ("general" not in shown and any(mark in shown for mark in "ymdhs")) if code else whole(of_it) in _DATE_FORMATS:
                self._date_styles.add(str(number))

    def rows(self, part: str) -> Iterator[dict[int, str]]:
        """Cells by their column for each row that is there; an empty row stands for any number of missing ones."""
        self.fault = ""
        row: dict[int, str] = {}
        last = column = 0
        for event, element in self._package.events(part, *(f"{space}{tag}" for space in _NAMESPACES for tag in ("row", "c"))):
            is_row = element.tag.endswith("}row")
            if event == "start":
                if is_row:
                    row, column = {}, 0
                    number = whole(element.get("r"), last + 1)
                    if number > last + 1:
                        yield {}
                    last = number
                continue
            if is_row:
                yield row
                free(element)
                continue
            found = _REFERENCE.fullmatch(element.get("r", ""))
            column = _column(found[1]) if found else column + 1
            value = self._value(element)
            if value:
                row[column] = value

    def _value(self, cell: Any) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _text_of(cell)
        value = cell.findtext("{*}v") or ""
        if kind == "s":
            number = whole(value, len(self._texts))
            if number < len(self._texts):
                return self._texts[number]
            self.fault = self.fault or f"a cell is text {value[:20]} of the {len(self._texts)} texts of the book"
            return ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE" if value == "0" else value
        if kind == "n" and value:
            style = cell.get("s", "0")
            if style in self._duration_styles:
                return duration_of_days(value) or value
            if style in self._date_styles:
                return date_of_serial(value, self._is_1904) or value
            return number_text(value)
        return value


def _shared_texts(package: Package, part: str) -> Iterator[str]:
    for event, element in package.events(part, *(f"{space}si" for space in _NAMESPACES)):
        if event == "end":
            yield _text_of(element)
            free(element)


def _text_of(element: Any) -> str:
    """The text of a cell, without the readings above it."""
    return "".join(node.text or "" for node in element.iter("{*}t") if not node.getparent().tag.endswith("}rPh"))


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number
