"""Units: the smallest stretches of a text between which it may be cut, with how good a place each boundary is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from pypes.structure import Block, paragraphs, with_headings
from pypes_text.lengths import Length

#: The end of a sentence, perhaps: a mark, the quotes and brackets that it closes, and white space. It begins with a set of
#: characters, which Python looks for quickly.
_SENTENCE_END: Final = re.compile(r"([.!?…؟।。！？\n]['\"’”»)\]」』）]{0,4})(\s*)")  # noqa: RUF001
_LINE_END: Final = re.compile(r"(\n)()")
#: These end a sentence also where no white space follows.
_ENDS_ALONE: Final = frozenset("。！？\n")  # noqa: RUF001
#: Units shorter than this part of the longest piece are joined to the next ones.
_FINEST: Final = 64
#: A line before the first heading is a title up to this part of the longest piece (125 of 2,000 characters).
_TITLE: Final = 16
#: A title ends with none of these.
_NO_TITLE: Final = (".", ",", ";", ":", "。")
#: Characters that belong to the one before them: variation selectors, joiners.
_JOINED: Final = frozenset("\u200c\u200d\ufe0e\ufe0f")
#: At most so many characters that belong together are kept together.
_LONGEST_CLUSTER: Final = 32


class Rank(IntEnum):
    """A kind of boundary, the best place to cut first."""

    HEADING = 0
    BLOCK = 1
    SENTENCE = 2
    WORD = 3


class Unit(NamedTuple):
    """A stretch of a text that is not cut, and not white space alone; ``rank`` is that of the boundary before it."""

    start: int
    end: int
    length: int
    rank: Rank
    page: int
    headings: tuple[str, ...]
    is_heading: bool = False


class Section(NamedTuple):
    """Units that may share a piece. ``head`` are the first lines of a table, which all pieces of it begin with."""

    units: list[Unit]
    head: str = ""


def sections_of(text: str, blocks: Sequence[Block], level: int, longest: int, length: Length) -> Iterator[Section]:
    """The sections of a text, which headings up to ``level`` part; a table longer than ``longest`` is a section of its own.

    All of the text is in them but white space between units. A heading is one unit with the sentence behind it. Headings with
    nothing below them, and a title before the first one, are in the section that follows.
    """
    least = longest // _FINEST
    is_begin = True
    units: list[Unit] = []
    headings: list[tuple[Block, tuple[str, ...]]] = []
    for block, path in with_headings(text, _all_of(text, blocks)):
        if block.kind == "heading":
            if headings and block.level <= headings[-1][0].level:
                units += _headings_alone(text, headings, longest, length)
                headings = []
            if block.level <= level and not headings and units:
                if is_begin and _is_title(text, units, longest):
                    units = [units[0]._replace(is_heading=True)]
                elif not _are_headings(units):
                    yield Section(units)
                    units = []
                is_begin = False
            headings.append((block, path))
            continue
        size = length.of(text[block.start : block.end])
        if units and not headings and size < least and (last := units[-1]).length < least and last.headings is path:
            units[-1] = last._replace(end=block.end, length=length.of(text[last.start : block.end]))
            continue
        if block.kind == "table" and size > longest:
            units += _headings_alone(text, headings, longest, length)
            if units and not _are_headings(units):
                yield Section(units)
                units = []
            table = _table(text, block, path, longest, length)
            yield table._replace(units=[*units, *table.units])
            units, headings, is_begin = [], [], False
            continue
        found = _whole_or_parts(text, block, path, size, longest, length)
        if headings:
            start, rank = headings[0][0].start, Rank.HEADING
            first = found[0]
            with_them = length.of(text[start : first.end])
            if with_them <= longest:
                found[0] = first._replace(start=start, length=with_them, rank=rank, page=headings[0][0].page)
            else:
                units += _headings_alone(text, headings, longest, length)
            headings = []
        units += found
    units += _headings_alone(text, headings, longest, length)
    if units:
        yield Section(units)


def _is_title(text: str, units: Sequence[Unit], longest: int) -> bool:
    """True for a single line that names what follows, and is no sentence."""
    first = units[0]
    line = text[first.start : first.end].strip()
    return len(units) == 1 and first.length <= longest // _TITLE and "\n" not in line and not line.endswith(_NO_TITLE)


def _are_headings(units: Sequence[Unit]) -> bool:
    return all(unit.is_heading for unit in units)


def _all_of(text: str, blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks that say something, and paragraphs where there is text between them.

    Those without a page are on that of the block before.
    """
    end = page = 0
    for block in blocks:
        if text[block.start : block.end].isspace():
            continue
        if not text[end : block.start].isspace():
            yield from _paged(paragraphs(text, end, block.start), page)
        page = block.page or page
        yield block if block.page else block._replace(page=page)
        end = block.end
    yield from _paged(paragraphs(text, end, len(text)), page)


def _paged(blocks: Iterator[Block], page: int) -> Iterator[Block]:
    return (block._replace(page=page) for block in blocks) if page else blocks


def _headings_alone(text: str, headings: Sequence[tuple[Block, tuple[str, ...]]], longest: int, length: Length) -> Iterator[Unit]:
    for block, path in headings:
        size = length.of(text[block.start : block.end])
        for n, unit in enumerate(_whole_or_parts(text, block, path, size, longest, length)):
            yield unit._replace(rank=unit.rank if n else Rank.HEADING, is_heading=True)


def _whole_or_parts(text: str, block: Block, path: tuple[str, ...], size: int, longest: int, length: Length) -> list[Unit]:
    if size <= longest:
        return [Unit(block.start, block.end, size, Rank.BLOCK, block.page, path)]
    return _parts(text, block, path, longest, length)


def _table(text: str, block: Block, path: tuple[str, ...], longest: int, length: Length) -> Section:
    """A long table, row by row; its head is repeated unless that is much of a piece."""
    head_end = block.start
    if block.rows is not None:
        for _ in range(2):  # the first row and the rule below it
            head_end = text.find("\n", head_end, block.end) + 1
    head = text[block.start : head_end]
    if length.of(head) > longest // 4:
        head = ""
    return Section(_parts(text, block, path, longest - length.of(head), length), head)


def _parts(text: str, block: Block, path: tuple[str, ...], longest: int, length: Length) -> list[Unit]:
    """A block that is too long: its sentences or lines, or parts of those that are too long themselves."""
    pattern = _LINE_END if block.kind in ("table", "code") else _SENTENCE_END
    units: list[Unit] = []
    rank = Rank.BLOCK
    for start, end in _split(text, block, pattern, longest // _FINEST):
        if text[start:end].isspace():
            continue
        size = length.of(text[start:end])
        if size <= longest:
            units.append(Unit(start, end, size, rank, block.page, path))
        else:
            for piece_start, piece_end, piece_size in _words(text, start, end, size, longest, length):
                units.append(Unit(piece_start, piece_end, piece_size, rank, block.page, path))
                rank = Rank.WORD
        rank = Rank.SENTENCE
    return units


def _split(text: str, block: Block, pattern: re.Pattern[str], least: int) -> Iterator[tuple[int, int]]:
    """Stretches of a block, none shorter than ``least`` but the last one; white space between sentences is in none of them."""
    start, stop = block.start, block.end
    for found in pattern.finditer(text, start, stop):
        end, behind = found.span(2)
        if end - start < least or behind >= stop:
            continue
        if text[found.start()] not in _ENDS_ALONE and (end == behind or text[behind].islower()):  # 3.5, "e.g. this"
            continue
        yield start, end
        start = behind
    if start < stop:
        yield start, stop


def _words(text: str, start: int, end: int, size: int, longest: int, length: Length) -> Iterator[tuple[int, int, int]]:
    """A stretch without boundaries, in pieces: cut before the greatest word of where a piece may end, or else anywhere."""
    # white space before and behind a piece is in no unit
    piece = text[start:end]
    end = start + len(piece.rstrip())
    start += len(piece) - len(piece.lstrip())
    most = max(1, (end - start) * longest // size)
    while start < end:
        stop = end if end - start <= most else _cut_at(text, start, most)
        found = text[start:stop].rstrip()
        found_size = length.of(found)
        if found_size > longest and len(found) > 1:  # dense for its kind
            yield from _words(text, start, start + len(found), found_size, longest, length)
        elif found:
            yield start, start + len(found), found_size
        start = stop
        while start < end and text[start].isspace():
            start += 1


def _cut_at(text: str, start: int, most: int) -> int:
    """The place of a cut behind ``start``, at most ``most`` characters away.

    The greatest word in the order of characters stays where it is when the text before it changes, and is found as fast as
    Python splits a text.
    """
    offset = start + most // 4
    window = text[offset : start + most]
    words = window.split()[1:-1]
    if words:
        word = max(words)
        at = window.find(word, 1)
        while not window[at - 1].isspace() or not window[at + len(word) : at + len(word) + 1].isspace():
            at = window.find(word, at + 1)
        return offset + at
    stop = start + most
    for at in range(stop, max(start, stop - _LONGEST_CLUSTER), -1):
        if not (unicodedata.combining(text[at]) or text[at] in _JOINED or text[at - 1] == "\u200d"):
            return at
    return stop
