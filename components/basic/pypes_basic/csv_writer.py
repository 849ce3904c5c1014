"""CSVWriter: publish to a CSV file, one row for each packet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import orjson

from pypes import Example, Help, Packet, Parameters, Reject
from pypes_basic.encoding import encode, refused_field
from pypes_basic.line_publisher import LinePublisher

_BREAKS: Final = re.compile(r"\r\n|[\r\n]")


class CSVWriter(LinePublisher):
    """Append a row for each packet to a CSV file (UTF-8); many instances may share one file.

    ``fields`` are the columns, and the first row names them; fields that are not among them are left out, and a field that a
    packet does not have is an empty cell. Several values of a field stand in one cell, with ``separator`` between them; true,
    false, objects and lists are written as JSON, bytes as base64. A line break in a value becomes a blank, so that each row is
    one line: one that a crash tore is cut off before the next is written.

    Rows are only added: a document that is posted again, or runs again after a crash, has another row, and a deletion is counted
    (``deletions``) and leaves the rows as they are. ``JSONLines`` can say more. A file that begins with another row of names
    is refused.
    """

    icon = "sheet"
    tags = ("files", "csv")
    example = Example(
        takes=[Packet({"title": "Ada", "born": 1815}), Packet.from_document({"title": "Alan", "tags": ["logic", "codes"]})],
        params={"path": "people.csv", "fields": ["title", "born", "tags"]},
        leaves={"people.csv": "title,born,tags\nAda,1815,\nAlan,,logic; codes\n"},
    )

    inputs: ClassVar[Mapping[str, str]] = {"in": "Documents to write"}

    class Params(Parameters):
        path: Annotated[str, Help("File to append to, from the data directory if relative.", path=True, min_length=1)]
        fields: Annotated[list[str], Help("Fields of the columns.", min_length=1)]
        delimiter: Annotated[str, Help("Character between cells.", min_length=1, max_length=1)] = ","
        separator: Annotated[str, Help("Text between several values of a field.")] = "; "
        max_bytes: Annotated[int, Help("A file that would grow beyond this is renamed to NAME.N.SUFFIX; 0: never.", ge=0)] = 0

        def __post_init__(self) -> None:
            if self.delimiter in '"\r\n':
                raise ValueError("delimiter: give a character other than a quote or line break")
            if self.path == "-":
                raise ValueError("path: give a file; JSONLines writes to standard output")

    def setup(self) -> None:
        self.open(self.params.path, self.params.max_bytes, self._row(self.params.fields))

    def process_batch(self, packets: list[Packet]) -> None:
        rows: list[bytes] = []
        try:
            for packet in packets:
                if packet.is_deletion:
                    self.count("deletions")
                else:
                    rows.append(self._row([self._cell(packet, name) for name in self.params.fields]))
        except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
            raise Reject(f"{refused_field(packets)}no text can say it: {error}", "lines.value") from error
        self.lines += rows

    def _cell(self, packet: Packet, name: str) -> str:
        if not packet.has(name):
            return ""
        found = packet.get(name)
        separator: str = self.params.separator
        return separator.join(map(_text, found if packet.is_multivalued(name) else [found]))

    def _row(self, cells: list[str]) -> bytes:
        line = io.StringIO()
        csv.writer(line, delimiter=self.params.delimiter, lineterminator="\n").writerow(_BREAKS.sub(" ", cell) for cell in cells)
        return line.getvalue().encode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    data = encode(value)
    return str(orjson.loads(data)) if data.startswith(b'"') else str(data, "utf-8")
