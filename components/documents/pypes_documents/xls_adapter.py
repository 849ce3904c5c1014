"""XLS: the sheets of a book in other formats than XLSX as tables."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.examples import xlsx
from pypes_documents.file_adapter import FileAdapter


class XLS(FileAdapter):
    """Read the sheets of XLS, XLSB and ODS (and of XLSX) as ``XLSX`` does: ``text`` with structure, and ``pages``.

    Dead letters: ``document.encrypted``, ``document.malformed``, ``document.too_large`` (a bound is exceeded),
    ``document.no_text``, ``isolated.killed`` for what ends the library.
    """

    icon = "table"
    tags = ("format", "office", "table")
    needs = {"python_calamine": "pip install 'pypes-documents[sheets]'"}
    reader = "xls_reader"
    example = Example(
        takes=Packet({"data": xlsx("pirn", "3")}), gives=Packet({"text": "Looms\n\n| pirn | 3 |\n| --- | --- |", "pages": 1})
    )
    accepts: ClassVar[tuple[str, ...]] = (
        "application/vnd.ms-excel",
        "application/vnd.ms-excel.sheet.binary.macroenabled.12",
        "application/vnd.oasis.opendocument.spreadsheet",
    )
