"""The dialect of a table: the separator of its cells, and the lines at its beginning that are no part of it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import islice
from typing import Final, Literal, NamedTuple

#: Separators of cells in tables found in the wild. Of two that fit as well, the one that is the rarer in ordinary text is it.
DELIMITERS: Final = ("\t", "|", ";", ",")
USUAL: Final = ","

#: So many rows are looked at.
SAMPLED_ROWS: Final = 100
#: A separator fits if so many of them have as many cells as most have.
FITTING_SHARE: Final = 0.9

#: Excel's own word for the separator, before the header.
_SEP_LINE: Final = re.compile(r'"?sep=([^"\r\n]?)"?\s*', re.IGNORECASE)


class Dialect(NamedTuple):
    """The separator of the cells of a table, and the number of lines before its first row."""

    delimiter: str
    skipped_lines: int


def dialect_of(lines: list[str], *, is_whole: bool, delimiter: str = "", quotes: bool = True) -> Dialect:
    """The dialect of a table that begins with ``lines`` (with their line breaks); ``is_whole`` says that nothing follows.

    ``delimiter`` is the separator if it is known. Otherwise a line ``sep=;`` names it, or it is that which splits header and
    rows most evenly into most cells; what stands in quotes does not count, unless ``quotes`` is false.
    """
    blank = 0
    while blank < len(lines) and not lines[blank].strip():
        blank += 1
    named = _SEP_LINE.fullmatch(lines[blank]) if blank < len(lines) else None
    skipped = blank + (named is not None)
    if not delimiter:
        rest = lines[skipped:] if is_whole else lines[skipped:-1] or lines[skipped:]
        delimiter = (named and named[1]) or _judged(rest, quotes)
    return Dialect(delimiter, skipped)


def _judged(lines: list[str], quotes: bool) -> str:
    text = "".join(lines)
    found = [each for each in DELIMITERS if each in text]
    if found in ([], [USUAL]):
        return USUAL
    fits = {each: _fit(lines, each, quotes) for each in found}
    best = max(fits, key=lambda each: fits[each])  # the first of equals
    return best if fits[best][0] else USUAL


def _fit(lines: list[str], delimiter: str, quotes: bool) -> tuple[bool, bool, bool, int, float]:
    """The fit of a separator, greater is better.

    Whether it is one at all, splits evenly, splits the header as the rows (decimal commas split rows evenly, too, but no
    header), into how many cells, and in what share of the rows.
    """
    widths: list[int] = []
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    rows = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    is_broken = False
    try:
        widths.extend(len(cells) for cells in islice(rows, SAMPLED_ROWS) if cells)
    except csv.Error:
        # a quote within a cell, unless the last one is cut off by the end of what is looked at
        is_broken = rows.line_num < len(lines)
    if not widths:
        return False, False, False, 0, 0.0
    width, count = max(Counter(widths).items(), key=lambda found: (found[1], found[0]))
    share = count / len(widths)
    is_even = not is_broken and share >= FITTING_SHARE
    # text in a single column has separators in many rows
    is_one = width > 1 and (is_even or widths[0] > 1)
    return is_one, is_even, widths[0] == width, width, share
