"""XLSX: the sheets of a book as tables, and properties."""

from __future__ import annotations

from typing import ClassVar, Final

from pypes import Example, Packet
from pypes_documents.examples import xlsx
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import PackageBounds

_OFFICE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"


class XLSX(FileAdapter):
    """Read a XLSX: ``text`` with a heading for each sheet, and its rows as tables.

    The page of a block is the number of its sheet. Empty rows part tables, and empty columns are left out. Numbers stand as they
    are, dates as ``2026-11-29``; of a formula stands what it came to. Fields are those of the vocabulary: ``title``, ``author``,
    ``created``, ``modified``, ``language``, ``subject``, ``description``, ``keywords``, ``pages``.

    Sheets that are missing or damaged are named in metadata ``pages_lost`` and counted, the others are there.

    Dead letters: ``document.encrypted``, ``document.malformed``, ``document.too_large`` (a bound is exceeded),
    ``document.no_text``.
    """

    icon = "table"
    tags = ("format", "office", "table")
    reader = "xlsx_reader"
    example = Example(
        takes=Packet({"data": xlsx("pirn", "3")}), gives=Packet({"text": "Looms\n\n| pirn | 3 |\n| --- | --- |", "pages": 1})
    )
    accepts: ClassVar[tuple[str, ...]] = (
        f"{_OFFICE}.sheet",
        f"{_OFFICE}.template",
        "application/vnd.ms-excel.sheet.macroenabled.12",
        "application/vnd.ms-excel.template.macroenabled.12",
    )

    class Params(PackageBounds):
        pass
