"""Lookup: fields from a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pypes import Example, Help, Packet, Parameters, Reject, Transformer
from pypes_basic.tables import Row, Table, table_of


class Lookup(Transformer):
    """Set fields from the row of a table whose ``key`` column has the value of a field: a CSV file, or a table of SQLite.

    The first row of a CSV file (UTF-8) names its columns; it is held in memory, and read again within ``check_s`` after it has
    changed. If it then cannot be read, the former one stays in use and the log says why; replace a file by renaming another
    over it (``mv``). A table of SQLite (``table``) is asked each time, read-only; an index on the key column makes that quick.

    Values are compared as texts, in SQLite as the type of the column says: the number 7 is found by ``07`` in a column of
    numbers, not in one of texts. A field with several values is looked up value by value, and the fields that are set have
    several as well. ``take`` names the columns, and the field for each; while it is empty, all but the key are taken, under their
    own names. A packet without the field goes on as it is; one with a value that the table does not have goes on, is dropped, or
    becomes a dead letter (``lookup.missing``), as ``missing`` says. Of several rows with one key, the first counts. Documents
    that went by are not worked on again when the table changes. ``found`` and ``missing`` are counted. Deletions pass.
    """

    icon = "table-properties"
    tags = ("enrichment", "table")
    example = Example(
        takes=Packet({"country": "at"}),
        gives=Packet({"country": "at", "capital": "Vienna"}),
        params={"path": "countries.csv", "key": "code", "field": "country", "take": {"city": "capital"}},
        files={"countries.csv": "code,city,people\nat,Vienna,9\nch,Bern,9\n"},
    )

    class Params(Parameters):
        path: Annotated[str, Help("The file, from the data directory if relative.", path=True, min_length=1)]
        key: Annotated[str, Help("Column that is compared.", min_length=1)]
        field: Annotated[str, Help("Field whose value is looked up.", min_length=1)]
        table: Annotated[str, Help("Table of a database of SQLite; empty: the file is CSV.")] = ""
        take: Annotated[dict[str, str], Help("Column → field; empty: all columns, under their names.")] = {}
        delimiter: Annotated[str, Help("Character between cells of CSV; empty: a tab in .tsv, else a comma.")] = ""
        ignore_case: Annotated[bool, Help("Capitals and small letters are the same in CSV.")] = False
        missing: Annotated[Literal["keep", "drop", "error"], Help("What becomes of a packet whose value has no row.")] = "keep"
        check_s: Annotated[float, Help("Seconds between two looks whether the file has changed.", ge=0)] = 1.0
        max_rows: Annotated[int, Help("Most rows of a CSV file.", ge=1)] = 1_000_000

        def __post_init__(self) -> None:
            if len(self.delimiter) > 1 or (self.delimiter in '"\r\n' and self.delimiter):
                raise ValueError("delimiter: give one character, other than a quote or line break")

    def setup(self) -> None:
        self._table: Table = table_of(self.data_dir, self.params, self.log)

    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        wanted = [self._values_of(packet) for packet in packets]
        keys = {str(value) for values in wanted for value in values}
        rows = self.offload(self._table.rows, keys) if keys and self._table.blocks else self._table.rows(keys) if keys else {}
        return [self._done(packet, values, rows) for packet, values in zip(packets, wanted, strict=True)]

    def teardown(self) -> None:
        if hasattr(self, "_table"):
            self._table.close()

    def _values_of(self, packet: Packet) -> Sequence[Any]:
        field = self.params.field
        if packet.is_deletion or not packet.has(field):
            return ()
        found = packet.get(field)
        return found if packet.is_multivalued(field) else [found]

    def _done(self, packet: Packet, values: Sequence[Any], rows: dict[str, Row]) -> Packet | None:
        if not values:
            return packet
        found = [rows[str(value)] for value in values if str(value) in rows]
        self.count("found", len(found))
        if len(found) < len(values):
            self.count("missing", len(values) - len(found))
            if self.params.missing == "error":
                absent = next(str(value) for value in values if str(value) not in rows)
                raise Reject(f"{self.params.path} has no row whose {self.params.key} is {absent[:200]!r}", "lookup.missing")
            if self.params.missing == "drop" and not found:
                return None
        if found:
            is_several = packet.is_multivalued(self.params.field)
            take = self.params.take or {name: name for name in self._table.columns if name != self.params.key}
            for column, field in take.items():
                cells = [row[column] for row in found if row.get(column) is not None]
                if cells:
                    packet.set(field, cells if is_several else cells[0], multi=is_several)
        return packet
