"""Rows of Parquet and Arrow files, by pyarrow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, Any

from pypes import Reject
from pypes_documents.job import MALFORMED, Job

# its own allocator takes a gigabyte of address space at once, which is all that an isolated process has
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import pyarrow
from pyarrow import ipc, parquet

_ALONE = ipc.IpcReadOptions(use_threads=False)
#: Faults of values that Python does not have: years beyond 9999, maps with a key twice.
_UNKNOWN = (pyarrow.ArrowException, ValueError, OverflowError, KeyError)
#: Types of text as those of bytes: a text with bytes that are none costs its own row alone.
_BYTES = {
    pyarrow.string(): pyarrow.binary(),
    pyarrow.large_string(): pyarrow.large_binary(),
    pyarrow.string_view(): pyarrow.binary_view(),
}


def rows(file: IO[bytes], size: int, job: Job) -> Iterator[dict[str, Any] | Reject]:
    """The rows of a file, ``size`` at a time, each with its columns or the reason why it cannot be read.

    Raises ``Reject`` where the file is damaged.
    """
    number = 0
    try:
        for batch in _batches(file, size):
            _check(batch)
            for start in range(0, batch.num_rows, size):
                some = batch.slice(start, size)
                job.unpack(some.nbytes)
                yield from _rows(some, number)
                number += some.num_rows
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        behind = f"behind row {number}, " if number else ""
        raise Reject(f"{behind}the file is damaged, or neither Parquet nor Arrow: {error}", MALFORMED) from error


def _batches(file: IO[bytes], size: int) -> Iterator[Any]:
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"PAR1"):
        # threads, and what they read ahead, would take more of the memory than the rows
        opened = parquet.ParquetFile(file, pre_buffer=False)
        return opened.iter_batches(batch_size=size, use_threads=False)  # type: ignore[no-any-return]
    if head == b"ARROW1":
        batches = ipc.open_file(file, options=_ALONE)
        return (batches.get_batch(number) for number in range(batches.num_record_batches))
    return iter(ipc.open_stream(file, options=_ALONE))


def _check(batch: Any) -> None:
    """Raise ``ArrowInvalid`` if a batch points outside of its bytes.

    Reading does not look at that: values would be memory of this process, with what others have posted, or end it.
    """
    batch.validate()
    for column in batch.columns:
        texts = _BYTES.get(column.type)
        (column.view(texts) if texts else column).validate(full=True)


def _rows(batch: Any, before: int) -> list[dict[str, Any] | Reject]:
    """The rows of a batch with ``before`` rows before it."""
    names = _names(batch.schema.names)
    columns = [_known(column) for column in batch.columns]
    try:
        return pyarrow.RecordBatch.from_arrays(columns, names).to_pylist(maps_as_pydicts="strict")  # type: ignore[no-any-return]
    except _UNKNOWN:
        # one by one: a row that cannot be read costs no other
        return [_row(dict(zip(names, columns, strict=True)), number, before) for number in range(batch.num_rows)]


def _row(columns: dict[str, Any], number: int, before: int) -> dict[str, Any] | Reject:
    row: dict[str, Any] = {}
    for name, column in columns.items():
        try:
            row[name] = column[number].as_py(maps_as_pydicts="strict")
        except _UNKNOWN as error:
            return Reject(f"column {name}, row {before + number + 1}: {error}", MALFORMED)
    return row


def _names(given: list[str]) -> list[str]:
    names = [name or f"column {number}" for number, name in enumerate(given, 1)]
    taken: set[str] = set()
    for name in names:
        if name in taken:
            raise Reject(f"two columns are called {name}; rename one", MALFORMED)
        taken.add(name)
    return names


def _known(column: Any) -> Any:
    """A column whose times Python has as well: to the microsecond."""
    wanted = _of_micros(column.type)
    return column if wanted == column.type else column.cast(wanted, safe=False)


def _of_micros(type: Any) -> Any:
    """A type with microseconds for nanoseconds, however deep these lie."""
    types = pyarrow.types
    if types.is_timestamp(type) and type.unit == "ns":
        return pyarrow.timestamp("us", type.tz)
    if types.is_time64(type):
        return pyarrow.time64("us")
    if types.is_duration(type) and type.unit == "ns":
        return pyarrow.duration("us")
    if types.is_list(type) or types.is_large_list(type):
        made = pyarrow.list_ if types.is_list(type) else pyarrow.large_list
        return made(type.value_field.with_type(_of_micros(type.value_type)))
    if types.is_fixed_size_list(type):
        return pyarrow.list_(type.value_field.with_type(_of_micros(type.value_type)), type.list_size)
    if types.is_struct(type):
        return pyarrow.struct([field.with_type(_of_micros(field.type)) for field in type])
    if types.is_map(type):
        return pyarrow.map_(_of_micros(type.key_type), type.item_field.with_type(_of_micros(type.item_type)))
    return type
