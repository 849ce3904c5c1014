"""Leads of the wall clock over the node's own time, and conversion between the two.

The node's time moves only as time passes, so it is never ahead of the truth by more than it was when it began; a machine that
is paused unseen leaves it behind. From that follows which of two readings of the wall clock was wrong:

- A clock that is set back was wrong before: what happened since is shown by the later, lower offset.
- A clock that is set back and later forward again was wrong in between.
- A clock that is set within :data:`STEADY_S` was still being set: the later offset counts.
- A clock that is set forward and stays there was right before, too: the machine was paused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

#: A smaller change of the offset is no jump.
JUMP_S = 1.0
#: For how long after a jump, or a start, the wall clock may still be being set.
STEADY_S = 600.0
#: More jumps than these are not kept apart; the oldest go first.
MAX_ROWS = 200


class Row(NamedTuple):
    """From the node's time ``first`` on, the wall clock was ahead by ``offset`` seconds.

    ``passed`` is more than 0 where the node's time was itself set forward by so many seconds: nothing had measured how much
    time had passed, because the machine had started anew.
    """

    first: float
    offset: float
    passed: float = 0.0


def jumped(rows: Sequence[Row], at: float, offset: float) -> tuple[Row, ...]:
    """The rows after the wall clock was found ahead by ``offset`` at the node's time ``at``."""
    kept = len(rows)
    while kept:
        row = rows[kept - 1]
        if abs(row.offset - offset) <= JUMP_S:
            return tuple(rows[:kept])  # it is back where it was: what lies between was wrong
        if row.passed:
            break
        kept -= 1
    start = _dip(rows, offset)
    if start < len(rows):
        return (*rows[:start], Row(rows[start].first, offset))
    return _bounded((*rows, Row(at, offset)))


def started(rows: Sequence[Row], at: float, passed: float) -> tuple[Row, ...]:
    """The rows after the node's time was set forward by ``passed`` seconds, to ``at``."""
    return _bounded((*rows, Row(at, rows[-1].offset, passed)))


def _dip(rows: Sequence[Row], offset: float) -> int:
    """Index of the first row of those at the end during which the clock was behind what it was before and is now."""
    start = index = len(rows)
    highest = -inf
    while index > 1 and not rows[index - 1].passed:
        index -= 1
        highest = max(highest, rows[index].offset)
        before = rows[index - 1].offset
        if before > highest and before <= offset + JUMP_S:
            start = index
    return start


def _bounded(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return rows[-MAX_ROWS:]


class Offsets:
    """Turns the node's time into the time of day, and back. ``rows`` are in order, and at least one."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._firsts = [row.first for row in rows]
        self._offsets = _shown(rows)
        #: Node's time, and by how much it was set too far forward then: more time seems to have passed than did.
        self._excess = [
            (row.first, min(row.passed, row.offset - shown))
            for row, shown in zip(rows, self._offsets, strict=True)
            if row.passed and row.offset > shown
        ]

    def shown(self, at: float) -> float:
        """The time of day, in seconds since the epoch, at the node's time ``at``."""
        return at + self._offsets[max(0, bisect_right(self._firsts, at) - 1)]

    def first(self, since: float) -> float:
        """The node's time before which everything is shown as older than ``since``."""
        ends = [*self._firsts[1:], inf]
        for first, end, offset in zip([-inf, *self._firsts[1:]], ends, self._offsets, strict=True):
            if since - offset < end:
                return max(since - offset, first)
        raise AssertionError("the last row has no end")

    def ago(self, now: float, age_s: float) -> float:
        """The node's time from which ``age_s`` seconds have passed until ``now``."""
        at = now - age_s
        for first, excess_s in reversed(self._excess):
            if at < first:
                at -= excess_s
        return at


def _shown(rows: Sequence[Row]) -> list[float]:
    """The offset by which the times of each row are shown."""
    shown: list[float] = []
    for index in range(len(rows) - 1, -1, -1):
        row = rows[index]
        following = rows[index + 1] if index + 1 < len(rows) else None
        if following is None or following.passed:
            offset = row.offset  # what comes later says nothing of it
        elif following.first - row.first < STEADY_S:
            offset = shown[-1]
        else:
            offset = min(row.offset, shown[-1])
        shown.append(offset)
    return shown[::-1]
