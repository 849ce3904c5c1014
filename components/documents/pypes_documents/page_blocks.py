"""The blocks of a page: headings, paragraphs, items, tables, code and quotes.

Marks are set into the tree before and behind each element that makes a block, and the parser puts the text together: two calls
for each such element, instead of some for every node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from selectolax.lexbor import LexborHTMLParser

from pypes_basic.line_breaks import unbroken
from pypes_documents.flow import SPACE
from pypes_documents.job import Text

#: Begins each mark; the letter behind it says which one.
MARK: Final = "\x02"

# letters of marks: a block begins, keeping the kind that was said; a block ends
_BEGIN, _END = "p", "e"
_ITEM, _LIST, _LIST_END, _CODE, _QUOTE, _QUOTE_END = "i", "(", ")", "c", "q", "Q"
_TABLE, _TABLE_END, _ROW, _CELL = "t", "T", "r", "d"
_HEADINGS: Final = "123456"

_BLOCKS: Final = (
    *("p", "div", "section", "article", "main", "header", "footer", "aside", "nav", "dl", "dt", "dd", "figure", "figcaption"),
    *(
        "details",
        "summary",
        "address",
        "form",
        "fieldset",
        "legend",
        "caption",
        "center",
        "hgroup",
        "dialog",
        "menu",
        "dir",
        "search",
    ),
)
_MARKS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        **dict.fromkeys(_BLOCKS, (MARK + _BEGIN, MARK + _END)),
        **{f"h{level}": (f"{MARK}{level}", MARK + _END) for level in _HEADINGS},
        "li": (MARK + _ITEM, MARK + _END),
        "ul": (MARK + _LIST, MARK + _LIST_END),
        "ol": (MARK + _LIST, MARK + _LIST_END),
        "pre": (MARK + _CODE, MARK + _END),
        "blockquote": (MARK + _QUOTE, MARK + _QUOTE_END),
        "table": (MARK + _TABLE, MARK + _TABLE_END),
        "tr": (MARK + _ROW, ""),
        "td": (MARK + _CELL, ""),
        "th": (MARK + _CELL, ""),
    }
)
_LETTERS: Final = frozenset((*_HEADINGS, *"pei()cqQtTrd"))
_SELECTED: Final = ", ".join(_MARKS)
#: Longer cells hold parts of the page, which was laid out by a table.
_LONGEST_CELL: Final = 2_000
#: Marks that are in no cell of a table that is one.
_NO_CELL: Final = frozenset((*_HEADINGS, _CODE, _QUOTE))
_LINES: Final = re.compile(r"[^\S\n]+(?=\n|\Z)")


def without_marks(source: str | bytes) -> str | bytes:
    """The source of a page without characters that would be taken for marks."""
    if isinstance(source, str):
        return source.replace(MARK, "") if MARK in source else source
    return source.replace(MARK.encode(), b"") if MARK.encode() in source else source


def add_blocks(text: Text, tree: LexborHTMLParser, *, page: int = 0) -> None:
    """Add the blocks of a page, of whose tree all was taken out that is not read."""
    body = tree.body
    if body is None:
        return
    for node in body.css(_SELECTED):
        before, behind = _MARKS[node.tag]  # type: ignore[index]
        node.insert_before(before)
        if behind:
            node.insert_after(behind)
    _Pieces(text, page).add(unbroken(body.text()).split(MARK))


class _Pieces:
    """Pieces of a page, each with the letter of the mark before it, on their way into blocks."""

    def __init__(self, text: Text, page: int) -> None:
        self._text = text
        self._page = page
        self._kind = "paragraph"
        self._level = 0
        #: A block of this kind was there already: the next one is a paragraph, unless a mark says otherwise.
        self._is_used = False
        self._lists = self._quotes = 0

    def add(self, pieces: Sequence[str]) -> None:
        self._add_text(pieces[0])
        at = 1
        while at < len(pieces):
            piece = pieces[at]
            letter = piece[:1]
            if letter == _TABLE:
                end = at + 1
                while end < len(pieces) and pieces[end][:1] not in (_TABLE, _TABLE_END):
                    end += 1
                if end < len(pieces) and pieces[end][:1] == _TABLE_END and self._add_table(pieces[at:end]):
                    at = end
                    continue
            if letter in _LETTERS:
                self._mark(letter)
                self._add_text(piece[1:])
            else:  # a mark that the page has itself, as a reference to a character
                self._add_text(piece)
            at += 1

    def _mark(self, letter: str) -> None:
        if letter in (_BEGIN, _CELL):
            if self._is_used:
                self._reset()
        elif letter in _HEADINGS:
            self._set("heading", int(letter))
        elif letter == _ITEM:
            self._set("item", max(self._lists, 1))
        elif letter == _CODE:
            self._set("code")
        elif letter == _LIST:
            self._lists += 1
            self._reset()
        elif letter == _QUOTE:
            self._quotes += 1
            self._reset()
        else:
            self._lists -= letter == _LIST_END and self._lists > 0
            self._quotes -= letter == _QUOTE_END and self._quotes > 0
            self._reset()

    def _reset(self) -> None:
        self._set("quote" if self._quotes else "paragraph")

    def _set(self, kind: str, level: int = 0) -> None:
        self._kind, self._level, self._is_used = kind, level, False

    def _add_text(self, piece: str) -> None:
        if not piece or piece.isspace():
            return
        content = _LINES.sub("", piece.replace(SPACE, "")) if self._kind == "code" else " ".join(piece.split())
        self._text.add(content, self._kind, level=self._level, page=self._page)
        self._is_used = True

    def _add_table(self, pieces: Sequence[str]) -> bool:
        """Add a table of cells; False if it has none, or lays out parts of the page."""
        rows: list[list[str]] = []
        before: list[str] = []
        for piece in pieces[1:]:
            letter, content = piece[:1], " ".join(piece[1:].split())
            if letter in _NO_CELL or len(content) > _LONGEST_CELL:
                return False
            if letter == _ROW:
                rows.append([])
            elif letter == _CELL and rows:
                rows[-1].append(content)
            elif content and rows and rows[-1]:
                rows[-1][-1] = f"{rows[-1][-1]} {content}".lstrip()
            elif content:
                before.append(content)
        rows = [row for row in rows if any(row)]
        if len(rows) < 2 or max(map(len, rows)) < 2:
            return False
        self._reset()
        for caption in before:
            self._text.add(caption, page=self._page)
        self._text.add_table(rows, page=self._page)
        return True
