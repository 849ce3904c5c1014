"""Reading of a folder that ParquetFiles writes: the documents that stand at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pypes_basic.log_lines import standing
from pypes_stores.parquet_rows import PART, WHOLE


def fold(folder: Path | str) -> Iterator[dict[str, Any]]:
    """The rows of the parts that stand: those of the newest whole version of each document.

    While a document has none, they are those of its newest delivery, each part as its newest run has it; documents without an id
    stay. All rows of the folder are in memory meanwhile.
    """
    return standing(_lines(Path(folder)))


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as parquet

    for path in sorted(folder.glob("*.parquet")):
        for row in parquet.read_table(path).to_pylist():
            if row["kind"] == PART:
                yield row
            else:
                yield {**{name: row[name] for name in ("route", "document", "version")}, "complete": row["kind"] == WHOLE}
