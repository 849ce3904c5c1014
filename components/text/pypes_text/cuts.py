"""Cut points in a row of units, chosen by what the units say.

Who counts from the start, and cuts whenever a piece is full, cuts everything behind a changed paragraph in other places. Here a
boundary is a cut if it has the least priority of all boundaries that are nearer to it than a quarter of the longest piece, and
the priority is a hash of the text behind it. So a change moves only the cuts around it. Where two such cuts are further apart
than a piece may be long, further ones are chosen between them, and depend on nothing else.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

#: Cuts are at least this part of the longest piece apart, where units are small enough.
REACH = 4


def cut_points(begins: Sequence[float], ends: Sequence[float], priorities: Sequence[int], longest: int) -> list[int]:
    """The units before which to cut, in their order, without the first unit.

    ``begins`` and ``ends`` are the places of the units on one scale, and rise. ``priorities`` are those of the boundaries before
    the units: the lowest are the best places to cut. Pieces are at most ``longest``, but for single units that are longer.
    """
    count = len(begins)
    if not count or ends[-1] - begins[0] <= longest:
        return []
    cuts: list[int] = []
    before = 0
    for anchor in (*_anchors(begins, ends[-1], priorities, longest // REACH), count):
        cuts += _between(begins, ends, priorities, longest, before, anchor)
        if anchor < count:
            cuts.append(anchor)
        before = anchor
    return cuts


def _anchors(begins: Sequence[float], end: float, priorities: Sequence[int], reach: int) -> Iterator[int]:
    """Boundaries with the least priority within ``reach``, the first of equal ones; the ends of the row are better than all."""
    count = len(begins)
    later = [count] * count  # the nearest one behind it that is better
    earlier = [0] * count  # the nearest one before it that is as good
    waiting: list[int] = []
    for unit in range(1, count):
        priority = priorities[unit]
        while waiting and priorities[waiting[-1]] > priority:
            later[waiting.pop()] = unit
        if waiting:
            earlier[unit] = waiting[-1]
        waiting.append(unit)
    for unit in range(1, count):
        behind = begins[later[unit]] if later[unit] < count else end
        if begins[unit] - begins[earlier[unit]] > reach and behind - begins[unit] > reach:
            yield unit


def _between(
    begins: Sequence[float], ends: Sequence[float], priorities: Sequence[int], longest: int, start: int, stop: int
) -> Iterator[int]:
    """Cuts inside of the units ``start`` to ``stop``, so that no piece is too long."""
    least = longest // REACH
    end = ends[stop - 1]
    while stop - start > 1 and end - begins[start] > longest:
        # the piece that ends here is neither too long nor too short, and nor is the rest, if that can be one piece
        first = begins[start] + least
        last = end - least
        if end - begins[start] <= 2 * longest:
            first = max(first, end - longest)
        low = max(start + 1, bisect_left(begins, first, start, stop))
        high = min(
            bisect_right(ends, begins[start] + longest, start, stop), bisect_right(begins, last, start, stop) - 1, stop - 1
        )
        if low <= high:
            cut = min(range(high, low - 1, -1), key=priorities.__getitem__)
        else:
            cut = min(max(start + 1, bisect_right(ends, begins[start] + longest, start, stop)), stop - 1)
        yield cut
        start = cut
