"""Tables of a node as lines of a terminal, as many and as long as there is room."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import click
from rich.cells import cell_len, set_cell_size

from pypes.cli.client import printable
from pypes.observe.picture import BAD, GOOD, NO_CONCERN, Table

#: Between columns.
_GAP = "  "


def cut(text: str, width: int) -> str:
    """Text that fits; what is cut off shows as an ellipsis."""
    text = printable(text)
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…" if width else ""


def concern_lines(texts: Sequence[str], width: int, most: int) -> list[str]:
    """The concerns of a node in at most ``most`` lines: each text whole, as far as there is room, and how many more there are."""
    lines: list[str] = [] if texts else [cut(NO_CONCERN, width)]
    for number, text in enumerate(texts):
        folded = textwrap.wrap(printable(text), max(1, width - 2)) or [""]
        is_last = number == len(texts) - 1
        if lines and len(lines) + len(folded) + (not is_last) > most:
            lines.append(click.style(cut(f"! {len(texts) - number} more: see pypes status", width), fg="red"))
            break
        marks = ("! ", *["  "] * len(folded))
        lines += [click.style(cut(mark + line, width), fg="red") for mark, line in zip(marks, folded, strict=False)]
    return lines


def table_lines(table: Table, width: int, most_rows: int) -> list[str]:
    """A title, headings, and at most ``most_rows`` rows; columns for which there is no room are left out, from the right."""
    title = click.style(cut(table.title, width), bold=True)
    if not table.rows:
        return [title, cut(table.empty, width)]
    rows = [[printable(cell) for cell in row] for row in table.rows]
    shown = rows[:most_rows]
    widths = [
        max(cell_len(heading), *(cell_len(row[n]) for row in shown)) if shown else cell_len(heading)
        for n, heading in enumerate(table.headings)
    ]
    lines = [title, click.style(_line(table, table.headings, widths, width), dim=True)]
    lines += [_line(table, row, widths, width, is_styled=True) for row in shown]
    if len(rows) > len(shown):
        lines[0] += click.style(f" ({len(rows) - len(shown)} more)", dim=True)
    return lines


def _line(table: Table, cells: Sequence[str], widths: Sequence[int], width: int, *, is_styled: bool = False) -> str:
    parts: list[str] = []
    room = width
    for heading, cell, wide in zip(table.headings, cells, widths, strict=True):
        gap = len(_GAP) if parts else 0
        is_number = heading in table.numbers
        # half a number is another one
        if room < gap + (wide if is_number else min(wide, 4)):
            break
        wide = min(wide, room - gap)
        room -= gap + wide
        text = cut(cell, wide)
        blank = " " * (wide - cell_len(text))
        if is_styled and heading == "State" and text in GOOD | BAD:
            text = click.style(text, fg="green" if text in GOOD else "red")
        parts.append(blank + text if is_number else text + blank)
    return _GAP.join(parts).rstrip()


def fitted(tables: Sequence[Table], width: int, height: int) -> list[str]:
    """Tables below each other within ``height`` lines; rows are shared out, and whatever the first leave goes to the next.

    A table without room for a row is left out, and named in the last line.
    """
    whole = _fitted(tables, width, height)
    if not whole[1]:
        return whole[0]
    lines, missing = _fitted(tables, width, height - 1)
    told = ", ".join(f"{table.title} ({len(table.rows)})" for table in missing)
    return [*lines, click.style(cut(f"No room for {told}", width), dim=True)] if height > 0 else []


def _fitted(tables: Sequence[Table], width: int, height: int) -> tuple[list[str], list[Table]]:
    """The lines, and the tables that have no room in them."""
    lines: list[str] = []
    missing: list[Table] = []
    left = [table for table in tables if table.rows or table.empty]
    for number, table in enumerate(left):
        # a blank line, a title and headings before the rows
        room = height - len(lines) - 3
        later = sum(min(len(other.rows), 3) + 3 for other in left[number + 1 :])
        rows = min(len(table.rows), max(room - later, min(room, 3)))
        if rows > 0 or (not table.rows and room >= 0):
            lines += ["", *table_lines(table, width, rows)]
        else:
            missing.append(table)
    return lines, missing
