"""CSV: one packet per row, streamed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, BinaryIO, ClassVar, Final, Literal, cast

from pypes import Adapter, Example, Help, Packet, Parameters, Reject
from pypes_basic.charset import GUESSED_BYTES, Found, settle
from pypes_basic.columns import Columns
from pypes_basic.dialect import dialect_of
from pypes_basic.labels import split_mark
from pypes_basic.lines import BLOCK_BYTES, blocks_of_lines
from pypes_basic.passing import passes
from pypes_basic.rows import rows_of
from pypes_basic.undefined import REPLACE, STRICT

TSV = "text/tab-separated-values"

#: More rows than a table can have.
MOST_ROWS: Final = 10**12


class CSV(Adapter):
    """Turn each row into a packet whose fields are named by the header row.

    Rows are sent on one by one while the document is being read, so that its size does not matter; before, its character set is
    looked at to the end. Blank lines do not count, and neither does a first line ``sep=;``, which names the separator.
    Columns of the same name make a multi-valued field; a column without a name and cells beyond the header become
    ``column_N``. The number of the row is left in the packet's metadata as ``row``. Where the table has an id, its rows are its
    parts ``row=1``, ``row=2`` …, or are called by the value of ``id_column``: inserting a row then changes no other one. Where it
    has none, ``id_column`` makes each row a document of its own. Where a quote is never closed, or a cell or row is too large,
    the document fails there: rows before it were sent.
    """

    icon = "table"
    tags = ("format", "table")
    example = Example(
        takes=Packet({"data": b"name;age\nAda;36\nAlan;41\n"}),
        gives=[Packet({"name": "Ada", "age": "36"}, {"row": 1}), Packet({"name": "Alan", "age": "41"}, {"row": 2})],
    )

    accepts: ClassVar[tuple[str, ...]] = ("text/csv", "application/csv", TSV)

    class Params(Parameters):
        delimiter: Annotated[
            str,
            Help(
                "Character between cells; empty: a tab for TSV, else as a line sep= says, or what splits rows most evenly.",
                pattern=r'^[^"\r\n]?$',
            ),
        ] = ""
        columns: Annotated[list[str], Help("Names of the columns; empty: the first row holds them.")] = []
        header: Annotated[
            Literal["", "present", "absent"],
            Help(
                "Whether the first row holds names. Empty: as the media type says (text/csv; header=absent), "
                "else present, unless columns are given."
            ),
        ] = ""
        quotes: Annotated[
            bool, Help("Whether double quotes enclose cells; false: they are text, as the definition of TSV has it.")
        ] = True
        id_column: Annotated[
            str, Help("Column whose values tell rows apart, within the table where that has an id; empty: the row's number.")
        ] = ""
        max_cell: Annotated[int, Help("Characters of the longest cell; beyond, a quote was left open.", ge=1)] = 16 * 1024 * 1024
        max_row: Annotated[
            int,
            Help(
                "Characters of the longest row, which is gathered in memory; not looked at within 64 Ki of them.", ge=BLOCK_BYTES
            ),
        ] = 64 * 1024 * 1024

    def process(self, packet: Packet) -> Packet | None:
        if passes(packet):
            return packet
        with packet.open("data") as body:
            head = body.read(GUESSED_BYTES)
            is_whole = not body.read(1)
        # PERF: most tables are small, and their bytes at hand
        opened: Callable[[], BinaryIO] = (lambda: io.BytesIO(head)) if is_whole else (lambda: packet.open("data"))
        # over the whole document before the first row is sent: what fails later has published rows, and a replay would again
        found, misfit = settle(head, is_whole, opened, packet.get_meta("charset"))
        if misfit is not None:
            reason = f"byte {misfit.at}: not {found.charset.name}; name the character set in the content type, or mend the byte"
            raise Reject(reason, "csv.charset")
        if is_whole:
            self._send_rows(packet, self._rows(packet, head, None, found), found)
            return None
        with packet.open("data") as body:
            self._send_rows(packet, self._rows(packet, head, body, found), found)
        return None

    def _rows(self, packet: Packet, head: bytes, body: BinaryIO | None, found: Found) -> Iterator[list[list[str]]]:
        """The rows of a document that begins with ``head``, or, without ``body``, is that."""
        codec = found.charset.codec
        mark = 0
        while (more := split_mark(head[mark : mark + 4])[0]) and found.charset.name.startswith("utf-"):
            mark += more  # programs that put one before what has one already
        is_whole = body is None
        begin = list(io.StringIO(head[mark:].decode(codec, STRICT if is_whole else REPLACE), newline=""))
        delimiter = self.params.delimiter or ("\t" if packet.get_meta("mimetype") == TSV else "")
        most = self.params
        dialect = dialect_of(begin, is_whole=is_whole, delimiter=delimiter, quotes=most.quotes)
        blocks: Iterable[list[str]] = (begin,)
        if body is not None:
            reader = io.BufferedReader(cast(Any, body), GUESSED_BYTES)
            reader.read(mark)
            blocks = blocks_of_lines(cast("BinaryIO", reader), codec, most.max_row)
        return rows_of(blocks, dialect.delimiter, most.max_cell, most.max_row, dialect.skipped_lines, quotes=most.quotes)

    def _send_rows(self, packet: Packet, rows: Iterator[list[list[str]]], found: Found) -> None:
        columns = Columns(self.params.columns) if self.params.columns else None
        has_header = self._has_header(packet)
        table = Packet.from_document({}, {**packet.get_metas()[0], **found.metadata})
        column = self.params.id_column
        has_names = bool(table.part) or table.id is not None
        meta = {**table.get_metas()[0], "row": 0}
        is_plain, id, part = not has_names and not column, "", ""
        if has_names and not column:
            table.derive("row", MOST_ROWS)  # no row has a longer id: what is too long is told before the first row is sent
            first = table.derive("row", 0, meta={"row": 0})
            meta, id, part = first.get_metas()[0], (first.id or "")[:-1], first.part[:-1]
        send = self.send
        from_document = Packet.from_document
        number = 0
        for some in rows:
            filled = list(filter(None, some))
            while has_header and filled:
                cells = filled.pop(0)
                if any(map(str.strip, cells)):  # a sheet whose first rows are empty has them as separators alone
                    columns, has_header = columns or Columns(cells), False
            if not filled:
                continue
            if columns is None:
                columns = Columns([""] * len(filled[0]))
            for fields in columns.fields_of(filled):
                number += 1
                # PERF: the same as deriving row after row, with all worked out before but for the number
                own = meta.copy()
                own["row"] = number
                if is_plain:
                    row = from_document(fields, own)
                elif id:
                    own["part"], own["id"] = f"{part}{number}", f"{id}{number}"
                    row = from_document(fields, own)
                elif not column:
                    own["part"] = f"{part}{number}"
                    row = from_document(fields, own)
                else:
                    row = _called(table, column, fields, number)
                send("out", row)

    def _has_header(self, packet: Packet) -> bool:
        """True if the first row holds names, as the parameter says, or else the media type (RFC 4180, 3)."""
        said = self.params.header or packet.get_meta("header")
        return said == "present" or (said != "absent" and not self.params.columns)


def _called(table: Packet, column: str, fields: dict[str, Any], number: int) -> Packet:
    """A row that is called by the value of a column: a part of its table, or a document of its own where that has no id."""
    value = fields.get(column)
    if type(value) is not str or not value:
        reason = (
            f"row {number} has no value in the column {column!r}, which tells rows apart; give it one, or name another column"
        )
        raise Reject(reason, "csv.no_id")
    if table.part or table.id is not None:
        return table.derive("row", value, fields, {"row": number})
    return Packet.from_document(fields, {**table.get_metas()[0], "row": number, "id": value})
