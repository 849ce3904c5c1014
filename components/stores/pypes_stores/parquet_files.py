"""ParquetFiles: publish to a folder of Parquet files."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

from pypes import Example, Help, Packet, Parameters, Retry
from pypes.errors import ComponentError
from pypes_basic.mapped_columns import Columns, metadata_of, parse_columns
from pypes_basic.records import Record, Shape, Told, digest
from pypes_basic.timing import RETRY_S
from pypes_basic.values import KEPT_META
from pypes_basic.whole_publisher import WholePublisher
from pypes_stores.parquet_rows import OWN, bytes_of, rows_of, schema_of

#: A file that is being written for so long is left from a crash.
LEFT_S: Final = 3_600.0


class ParquetFiles(WholePublisher):
    """Write whole documents to a folder of Parquet files, as a log that readers fold.

    In: packets with the fields and metadata that ``columns`` names. Out: a file for each batch, which is there as a whole or not
    at all, with a row for each part: ``kind`` (``part``), ``route``, ``document`` (the id), ``version``, ``part``, and the mapped
    columns. A row with ``kind`` ``whole`` says that a version is complete, and so replaces what is older, or deletes the document
    if it has no parts. Files are never changed: ``pypes_stores.parquet_log.fold`` gives the documents that stand.

    A batch that is written again, after a failure, is the same file. A duplicate, or an older version that comes late, changes
    nothing for who folds. Many instances may write to one folder. Each file has up to ``batch_size`` packets (10,000), those
    that wait; with ``batch_s`` of the filter in the graph, it waits for more.

    All files have one schema: one that is there with another fails at set-up. A value that does not fit its column makes a dead
    letter of its document alone (``parquet.value``).
    """

    icon = "file-spreadsheet"
    tags = ("files", "table")
    needs = {"pyarrow": 'pip install "pypes-stores[parquet]"'}
    example = Example(
        takes=Packet({"id": "ada", "name": "Ada", "born": 1815}),
        params={"folder": "people", "columns": {"name": "name", "born": "born integer"}},
    )
    batch_size = 10_000

    class Params(Parameters):
        folder: Annotated[str, Help("Folder of the files, from the data directory if relative.", path=True, min_length=1)]
        columns: Columns

        def __post_init__(self) -> None:
            parse_columns(self.columns, OWN)

    def setup(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        self._arrow, self._parquet = pa, parquet
        self._mapped = parse_columns(self.params.columns, OWN)
        # all fields stay fields: none has a place of its own
        self.prepare(Shape("", "", "", 0, "", tuple(metadata_of(self._mapped) - set(KEPT_META))))
        self._schema = schema_of(self._mapped)
        self._folder = Path(self.data_dir, self.params.folder)
        self._compare()
        for left in self._folder.glob(".*.tmp"):
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > LEFT_S:
                    left.unlink()

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        rows = rows_of(records, told, self._mapped)
        table = self._arrow.Table.from_pylist(rows, self._schema)
        # the same batch again is the same file
        begin = re.sub(r"[^0-9A-Za-z]+", "-", rows[0]["version"])[:60] or "batch"
        name = f"{begin}-{digest(bytes_of(rows).decode())}.parquet"
        try:
            self._write(table, name)
        except OSError as error:  # a full disk may have room again
            raise Retry(RETRY_S, f"{self.params.folder}: {error}") from error

    def _write(self, table: Any, name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        hidden = self._folder / f".{name}.tmp"
        try:
            with hidden.open("wb") as file:
                self._parquet.write_table(table, file, compression="zstd")
                file.flush()
                if self.durability != "never":
                    os.fsync(file.fileno())
            hidden.replace(self._folder / name)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
        if self.durability != "never" and sys.platform != "win32":
            fd = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _compare(self) -> None:
        """Raise ``ComponentError`` if a file that is there has another schema; the newest is looked at."""
        newest = max(self._folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime, default=None)
        if newest is None:
            return
        there = self._parquet.read_schema(newest)
        known = {field.name: str(field.type) for field in there}
        wrong = [
            f"column {field.name} is {known.get(field.name, 'missing')} instead of {field.type}"
            for field in self._schema
            if known.get(field.name) != str(field.type)
        ]
        if wrong:
            raise ComponentError(
                f"{newest} does not fit: {'; '.join(wrong)}. Set columns as they are there, or name another folder",
                code="parquet.schema",
            )
