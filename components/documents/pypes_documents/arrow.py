"""Rows of Parquet and Arrow files, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import pyarrow
from pyarrow import ipc, parquet

from pypes import Reject
from pypes_documents.job import MALFORMED


def batches(file: IO[bytes], size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file, some at a time. Raises ``Reject`` where it is damaged."""
    head = file.read(6)
    file.seek(0)
    try:
        if head.startswith(b"PAR1"):
            found: Any = parquet.ParquetFile(file).iter_batches(batch_size=size)
        elif head == b"ARROW1":
            opened = ipc.open_file(file)
            found = (opened.get_batch(number) for number in range(opened.num_record_batches))
        else:
            found = ipc.open_stream(file)
        for batch in found:
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise Reject(f"the file is damaged, or neither Parquet nor Arrow: {error}", MALFORMED) from error
