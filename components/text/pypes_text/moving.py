"""Moving: the places of blocks after a text was edited."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple


class Edit(NamedTuple):
    """``text[start:end]`` becomes ``text``."""

    start: int
    end: int
    text: str


def moved(blocks: Sequence[Any], edits: Sequence[Edit]) -> list[dict[str, Any]]:
    """Blocks as in ``docs/vocabulary.md`` with their places after ``edits``, which are in the order of the text.

    A place within what was replaced moves to the end of what came instead. A block of which nothing is left is left out.
    """
    ends = [edit.end for edit in edits]
    # the shift behind each edit
    shifts = [0]
    for edit in edits:
        shifts.append(shifts[-1] + len(edit.text) - (edit.end - edit.start))

    def place(at: int, *, is_start: bool) -> int:
        n = bisect_right(ends, at)
        if n < len(edits) and edits[n].start < at:
            # within an edit: what came instead belongs to the block that begins before it
            return edits[n].start + shifts[n] + len(edits[n].text)
        if not is_start and n and ends[n - 1] == at:
            return edits[n - 1].start + shifts[n - 1] + len(edits[n - 1].text)
        return at + shifts[n]

    kept: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, dict) and type(block.get("start")) is int and type(block.get("end")) is int:
            start, end = place(block["start"], is_start=True), place(block["end"], is_start=False)
            if start < end:
                kept.append({**block, "start": start, "end": end})
    return kept
