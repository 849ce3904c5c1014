"""Parquet: one part for each row, read in batches."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from pypes import Example, Packet, Reject
from pypes_basic.passing import passes
from pypes_documents.arrow_values import value_of
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.formats import FORMATS
from pypes_documents.job import MIB, NO_TEXT, Bounds, Job, MaxParts, MaxUnpackedBytes, Unread

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
    Lists are multi-valued fields, structs and maps are objects, times are texts as in the vocabulary, to the microsecond,
    durations are ``36:00:00``, decimals are texts; empty cells are no fields. A column without a name is called by its number
    (``column 2``).

    A row with a value that cannot be read, such as a date beyond the year 9999, makes the file a dead letter that names row and
    column, while all others have been sent on.

    Dead letters: ``document.malformed`` (rows before the damage were sent), ``document.too_large`` (a bound is exceeded, rows
    before it were sent), ``document.no_text`` (no rows).
    """

    icon = "table"
    tags = ("format", "table")
    needs = {"pyarrow": "pip install 'pypes-documents[parquet]'"}
    timeout_s = 300.0
    parts = "rows"
    example = Example(
        takes=Packet({"data": zlib.decompress(base64.b64decode(_STREAM))}), gives=Packet({"name": "pirn", "cm": 3}, {"row": 1})
    )
    accepts: ClassVar[tuple[str, ...]] = (
        *(media_type for name in ("parquet", "arrow", "arrow_stream") for media_type in FORMATS[name].types),
    )

    class Params(Bounds):
        max_unpacked_bytes: MaxUnpackedBytes = 1024 * MIB
        max_parts: MaxParts = 1_000_000

    def setup(self) -> None:
        from pypes_documents.arrow import rows

        self._rows = rows

    def process(self, packet: Packet) -> Any:
        if passes(packet):
            return packet
        self.send_parts(self._parts(packet, self.job()))
        return None

    def _parts(self, packet: Packet, job: Job) -> Iterator[Packet | Unread]:
        number = 0
        with job.take_file(packet) as file:
            for number, row in enumerate(self._rows(file, _BATCH_ROWS, job), 1):
                if isinstance(row, Reject):
                    job.begin_part()
                    yield Unread.of(packet, "row", number, row)
                    continue
                fields = {name: value_of(value) for name, value in row.items() if value is not None}
                part = packet.derive("row", number, fields, {"row": number})
                job.begin_row(part)
                yield part
        if not number:
            raise Reject("the file has no rows", NO_TEXT)
