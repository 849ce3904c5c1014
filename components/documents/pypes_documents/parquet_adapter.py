"""Parquet: one part for each row, read in batches."""

from __future__ import annotations

import base64
import zlib
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

from pypes import Example, Packet, Reject
from pypes_documents.dates import moment
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import NO_TEXT

_BATCH_ROWS: Final = 1024
#: An Arrow stream with one row.
_STREAM: Final = (
    "eNp1UEsKwjAQfalJDSWLLIp04WE8gJcQcSHYIp7Ko7jwTvHNdIIQ9MFk5g1vfimllCeADMGAhB4BkRHhPDnIIl9vL9DRjha/WU9hJ/V7y8E051"
    "lqE22rtdLxoLNG8p7ZpGyd7ULbQ/xymi9r7JVzXHnRj6ZJ2NnGSbth4zHRTagYGCfdXm662a0OXwT8R2x83S03utzo6h+4Rud+zJCe9+tj0fUt"
    "V/RfgQ/U3xkP"
)


class Parquet(FileAdapter):
    """Turn each row of a Parquet or Arrow file into a packet whose fields are named by the columns.

    Rows are the parts ``row=1``, ``row=2`` … of the file, with metadata ``row``; they are sent on while the file is being read.
    Lists are multi-valued fields, structs are objects, times are texts as in the vocabulary, decimals are texts; empty cells are
    no fields.

    Dead letters: ``document.malformed`` (rows before the damage were sent), ``document.too_large``, ``document.no_text`` (no
    rows).
    """

    icon = "table"
    tags = ("format", "table")
    needs = {"pyarrow": "pip install 'pypes-documents[parquet]'"}
    timeout_s = 300.0
    example = Example(
        takes=Packet({"data": zlib.decompress(base64.b64decode(_STREAM))}), gives=Packet({"name": "pirn", "cm": 3}, {"row": 1})
    )
    accepts: ClassVar[tuple[str, ...]] = (
        "application/vnd.apache.parquet",
        "application/vnd.apache.arrow.file",
        "application/vnd.apache.arrow.stream",
    )

    def setup(self) -> None:
        from pypes_documents.arrow import batches

        self._batches = batches

    def process(self, packet: Packet) -> Any:
        if packet.is_deletion:
            return packet
        number = 0
        with self.job().take_file(packet) as file:
            for rows in self._batches(file, _BATCH_ROWS):
                for row in rows:
                    number += 1
                    self.send("out", packet.derive("row", number, _fields(row), {"row": number}))
        if not number:
            raise Reject("the file has no rows", NO_TEXT)
        return None


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items() if value is not None and name}


def _value(value: Any) -> Any:
    """A value that JSON has as well, bytes apart."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, timedelta)):
        return str(value)
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _value(each) for name, each in value.items()}
    return value
