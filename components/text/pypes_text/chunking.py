"""Chunking: the stretches of a text that are to be found and embedded one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple
from zlib import crc32

from pypes.structure import Block
from pypes_text.cuts import cut_points
from pypes_text.lengths import Length
from pypes_text.units import Section, Unit, sections_of

#: Spreads hashes of texts that differ in little over all numbers (Knuth, The Art of Computer Programming 3, 6.4).
_SPREAD: Final = 2654435761


class Stretch(NamedTuple):
    """A chunk: ``head`` and ``text[start:end]``; ``page`` and ``page_end`` are 0 in a text without pages."""

    start: int
    end: int
    headings: tuple[str, ...]
    page: int
    page_end: int
    head: str


def chunks_of(text: str, blocks: Sequence[Block], *, size: int, overlap: int, level: int, length: Length) -> Iterator[Stretch]:
    """Cut a text into chunks of at most ``size``, of which ``overlap`` is the end of the chunk before."""
    longest = size - overlap
    for section in sections_of(text, blocks, level, longest, length):
        yield from _chunks(text, section, longest - length.of(section.head), overlap, length)


def _chunks(text: str, section: Section, longest: int, overlap: int, length: Length) -> Iterator[Stretch]:
    units = section.units
    begins, ends = _places(units, length.of_gap)
    priorities = [unit.rank << 32 | _hash(text[unit.start : unit.end]) for unit in units]
    cuts = [0, *cut_points(begins, ends, priorities, longest), len(units)]
    for first, stop in pairwise(cuts):
        inside = units[first:stop]
        start = _overlapping(text, units, begins, first, overlap, length) if first and overlap else units[first].start
        said = [unit.headings for unit in inside if not unit.is_heading] or [inside[-1].headings]
        yield Stretch(
            start,
            start + len(text[start : inside[-1].end].rstrip()),
            _common(said),
            inside[0].page,
            inside[-1].page,
            section.head if first else "",
        )


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The headings that all of some paths begin with."""
    common = paths[0]
    for path in paths:
        while path[: len(common)] != common:
            common = common[:-1]
    return common


def _places(units: Sequence[Unit], of_gap: float) -> tuple[list[float], list[float]]:
    """The places at which units begin and end, laid one behind the other with what is between them."""
    ends = [*accumulate(unit.length for unit in units)]
    gaps = accumulate((unit.start - before.end) * of_gap for before, unit in pairwise(units))
    shifts = [0, *gaps]
    begins = [shift + end - unit.length for shift, end, unit in zip(shifts, ends, units, strict=True)]
    return begins, [shift + end for shift, end in zip(shifts, ends, strict=True)]


def _hash(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass")) * _SPREAD & 0xFFFFFFFF


def _overlapping(text: str, units: Sequence[Unit], begins: Sequence[float], first: int, overlap: int, length: Length) -> int:
    """The start of a chunk with the end of the one before it: whole units, or else whole words, as far as they fit."""
    unit = bisect_left(begins, begins[first] - overlap, 0, first)
    if unit < first:
        return units[unit].start
    before = units[first - 1]
    start = max(before.start, units[first].start - overlap * (before.end - before.start) // max(before.length, 1))
    while start < before.end and not text[start - 1].isspace():
        start += 1
    return start if start < before.end else units[first].start
