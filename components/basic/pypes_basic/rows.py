"""Rows of a table, a few at a time, and which line is to blame where they end too soon."""

from __future__ import annotations

import csv
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, Literal

from pypes.errors import Reject

#: Rows that are read at once. PERF: for one, setting the bound of a cell would cost a tenth of the whole.
AT_ONCE: Final = 16

#: A text that nobody who writes a table knows.
_END: Final = uuid.uuid4().hex

_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")


def rows_of(
    lines: Iterable[str], delimiter: str, max_cell: int, first_line: int = 1, *, quotes: bool = True
) -> Iterator[list[list[str]]]:
    """Yield the rows that ``lines`` (with their line breaks) hold, some at a time; those of blank lines are empty.

    ``first_line`` is the number of the first of them. Without ``quotes``, a quote is a character like others.
    Raises :class:`Reject` behind the last good row: for a quote that is never closed, and for a cell of more than ``max_cell``
    characters.
    """
    # The reader takes what follows an open quote for a cell, and the end of the table for the end of that cell. So a last line
    # is added that nobody has written: it is a row of its own, or the end of a cell that was left open.
    end = _END.replace(delimiter, "")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    reader = csv.reader(chain(lines, (end,)), delimiter=delimiter, quoting=quoting)
    line = first_line
    while True:
        rows: list[list[str]] = []
        trouble: csv.Error | None = None
        # the bound is the process's: it is ours only while we read
        before = csv.field_size_limit(max_cell)
        try:
            rows.extend(islice(reader, AT_ONCE))
        except csv.Error as error:
            trouble = error
        finally:
            csv.field_size_limit(before)
        is_over = bool(rows and rows[-1] and rows[-1][-1].endswith(end))
        last = rows.pop() if is_over else None
        if rows:
            yield rows
        if trouble is None:
            if last == [end]:
                return
            if not is_over:
                line = first_line + reader.line_num
                continue
        line += sum(map(_lines_in, rows))
        if trouble is not None:
            raise Reject(_reason(trouble, line, max_cell), "csv.malformed") from trouble
        raise Reject(f"line {line}: a quote is opened in the row that begins here, and never closed", "csv.malformed")


def _lines_in(cells: Sequence[str]) -> int:
    return 1 + sum(len(_LINE_BREAK.findall(cell)) for cell in cells)


def _reason(error: csv.Error, line: int, max_cell: int) -> str:
    if "field limit" in str(error):
        return (
            f"line {line}: a cell of the row that begins here has more than max_cell, {max_cell} characters: "
            "a quote is opened and never closed, or raise max_cell"
        )
    return f"line {line}: {error}"
