"""Structure of a text: its headings, paragraphs, tables and pages, as places in the field that holds it.

Adapters for files with structure write it with :class:`TextBuilder`; what splits, cites or shows a text reads it with
:func:`blocks_of`. It is metadata of the field, so that it goes where the text goes and is gone when the text is deleted.
``docs/vocabulary.md`` has its form in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from pypes.packet import Packet

#: The field metadata that has the structure.
BLOCKS: Final = "blocks"
#: The kinds of blocks.
KINDS: Final = ("paragraph", "heading", "item", "table", "code", "quote")

#: Between two blocks of a text.
_GAP: Final = "\n\n"
#: A blank line and all white space behind it. No two of its repetitions can take the same character, so that long white space
#: is looked at once.
_BLANK: Final = re.compile(r"\n[^\S\n]*\n\s*")


class Block(NamedTuple):
    """A stretch of a text, ``text[start:end]`` in characters.

    ``level`` is the depth of a heading or an item, from 1. ``page`` is the number of the page, slide or sheet on which the block
    begins, from 1, and 0 in formats without. ``rows`` are the cells of a table, whose form in the text is that of Markdown.
    """

    start: int
    end: int
    kind: str = "paragraph"
    level: int = 0
    page: int = 0
    rows: list[list[str]] | None = None


class TextBuilder:
    """Put a text together block by block, with its structure."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._pieces: list[str] = []
        self._end = 0

    def add(self, text: str, kind: str = "paragraph", *, level: int = 0, page: int = 0) -> None:
        """Add a block; one of white space is passed over."""
        self._add(text.strip("\n").rstrip() if kind == "code" else text.strip(), kind, level, page, None)

    def add_table(self, rows: Sequence[Sequence[str]], *, page: int = 0) -> None:
        """Add a table; empty rows at its end and one without any text are passed over."""
        kept = [[cell.strip() for cell in row] for row in rows]
        while kept and not any(kept[-1]):
            kept.pop()
        if kept:
            self._add(markdown_table(kept), "table", 0, page, kept)

    @property
    def text(self) -> str:
        return _GAP.join(self._pieces)

    def put(self, packet: Packet, field: str = "text") -> None:
        """Set a field of a packet to the text, with its structure."""
        packet.set(field, self.text)
        put_blocks(packet, self.blocks, field)

    def _add(self, text: str, kind: str, level: int, page: int, rows: list[list[str]] | None) -> None:
        if not text or text.isspace():
            return
        start = self._end + len(_GAP) if self._pieces else 0
        self._end = start + len(text)
        self._pieces.append(text)
        self.blocks.append(Block(start, self._end, kind, level, page, rows))


def put_blocks(packet: Packet, blocks: Sequence[Block], field: str = "text") -> None:
    """Set the structure of the text in a field."""
    packet.set_meta(BLOCKS, [_to_json(block) for block in blocks], field)


def blocks_of(packet: Packet, field: str = "text") -> list[Block]:
    """The structure of the text in a field, in the order of the text; without one its paragraphs, which blank lines part.

    Entries that do not lie within the text, or are malformed, are passed over: somebody has changed the text.
    """
    text = packet.get(field)
    if not isinstance(text, str):
        return []
    given = packet.get_meta(BLOCKS, field)
    if not isinstance(given, list):
        return [*paragraphs(text, 0, len(text))]
    blocks: list[Block] = []
    end = 0
    for entry in given:
        block = _from_json(entry)
        if block is not None and end <= block.start < block.end <= len(text):
            blocks.append(block)
            end = block.end
    return blocks


def paragraphs(text: str, start: int, end: int) -> Iterator[Block]:
    """The paragraphs of ``text[start:end]``, which blank lines part."""
    while start < end:
        found = _BLANK.search(text, start, end)
        stop = found.start() if found else end
        piece = text[start:stop]
        if stripped := piece.strip():
            at = start + len(piece) - len(piece.lstrip())
            yield Block(at, at + len(stripped))
        start = found.end() if found else end


def with_headings(text: str, blocks: Iterable[Block]) -> Iterator[tuple[Block, tuple[str, ...]]]:
    """Each block with the headings that it stands under, outermost first; a heading stands under itself, too."""
    path: list[tuple[int, str]] = []
    headings: tuple[str, ...] = ()
    for block in blocks:
        if block.kind == "heading":
            while path and path[-1][0] >= block.level:
                path.pop()
            path.append((block.level, text[block.start : block.end]))
            headings = tuple(title for _, title in path)
        yield block, headings


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table in the form of Markdown, its first row as the head; short rows are filled up."""
    width = max(map(len, rows), default=0)
    if not width:
        return ""
    lines = ["| " + " | ".join(map(_cell, [*row, *[""] * (width - len(row))])) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _to_json(block: Block) -> dict[str, Any]:
    entry: dict[str, Any] = {"start": block.start, "end": block.end}
    if block.kind != "paragraph":
        entry["kind"] = block.kind
    if block.level:
        entry["level"] = block.level
    if block.page:
        entry["page"] = block.page
    if block.rows is not None:
        entry["rows"] = block.rows
    return entry


def _from_json(entry: Any) -> Block | None:
    if type(entry) is not dict or not {*map(type, map(entry.get, ("start", "end")))} <= {int}:
        return None
    kind, rows = entry.get("kind", "paragraph"), entry.get("rows")
    level, page = entry.get("level", 0), entry.get("page", 0)
    if kind not in KINDS or type(level) is not int or type(page) is not int or entry["start"] < 0:
        return None
    return Block(entry["start"], entry["end"], kind, level, page, rows if type(rows) is list else None)
