"""Rows of a table, a few at a time, and which line is to blame where they end too soon."""

from __future__ import annotations

import csv
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, Literal

from pypes import Reject
from pypes_basic.lines import RowTooLongError

#: Rows that are read at once. PERF: for one, setting the bound of a cell would cost a tenth of the whole.
AT_ONCE: Final = 16

#: A text that nobody who writes a table knows.
_END: Final = uuid.uuid4().hex

_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")


def rows_of(
    blocks: Iterable[Sequence[str]],
    delimiter: str,
    max_cell: int,
    max_row: int,
    skipped_lines: int = 0,
    *,
    quotes: bool = True,
) -> Iterator[list[list[str]]]:
    """Yield the rows that lines (with their line breaks) hold, some at a time; those of blank lines are empty.

    ``blocks`` are lines, as many as come at once; the first ``skipped_lines`` are passed over. Without ``quotes``, a quote is a
    character like others. Raises :class:`Reject` behind the last good row: for a quote that is never closed, for a cell of more
    than ``max_cell`` characters, and for a row that goes on over blocks of more than ``max_row``.
    """
    rows: list[list[str]] = []
    ended = 0

    def bounded() -> Iterator[Sequence[str]]:
        # a cell may hold line breaks, so a row may go on over any number of lines
        known, chars = 0, 0
        for block in blocks:
            yield block
            if known != ended + len(rows):
                known, chars = ended + len(rows), 0
                continue
            chars += sum(map(len, block))
            if chars > max_row:
                raise RowTooLongError

    # The reader takes what follows an open quote for a cell, and the end of the table for the end of that cell. So a last line
    # is added that nobody has written: it is a row of its own, or the end of a cell that was left open.
    end = _END.replace(delimiter, "")
    lines = chain.from_iterable(bounded())
    for _ in islice(lines, skipped_lines):
        pass
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    reader = csv.reader(chain(lines, (end,)), delimiter=delimiter, quoting=quoting)
    first_line = line = skipped_lines + 1
    while True:
        rows = []
        trouble: csv.Error | RowTooLongError | None = None
        # the bound is the process's: it is ours only while we read
        before = csv.field_size_limit(max_cell)
        try:
            rows.extend(islice(reader, AT_ONCE))
        except (csv.Error, RowTooLongError) as error:
            trouble = error
        finally:
            csv.field_size_limit(before)
        ended += len(rows)
        is_over = bool(rows and rows[-1] and rows[-1][-1].endswith(end))
        last = rows[-1] if is_over else None
        good = rows[:-1] if is_over else rows
        rows = []
        if good:
            yield good
        if trouble is None:
            if last == [end]:
                return
            if not is_over:
                line = first_line + reader.line_num
                continue
        line += sum(map(_lines_in, good))
        if trouble is not None:
            raise Reject(_reason(trouble, line, max_cell, max_row), "csv.malformed") from trouble
        raise Reject(f"line {line}: a quote is opened in the row that begins here, and never closed", "csv.malformed")


def _lines_in(cells: Sequence[str]) -> int:
    return 1 + sum(len(_LINE_BREAK.findall(cell)) for cell in cells)


def _reason(error: csv.Error | RowTooLongError, line: int, max_cell: int, max_row: int) -> str:
    if isinstance(error, RowTooLongError):
        return (
            f"line {line}: the row that begins here has more than max_row, {max_row} characters: "
            "the table has no line breaks, or quotes that do not match; mend it, or raise max_row"
        )
    if "field limit" in str(error):
        return (
            f"line {line}: a cell of the row that begins here has more than max_cell, {max_cell} characters: "
            "a quote is opened and never closed, or raise max_cell"
        )
    return f"line {line}: {error}"
