"""The text of a DOCX (Office Open XML, ECMA-376 part 1, 17), read from its parts while they are unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pypes import Packet, Reject
from pypes_documents.job import MOST_CELLS, TOO_LARGE, Job, Text, finish
from pypes_documents.packages import Package, free, opened
from pypes_documents.plain import whole

#: Columns that one cell may span (Word has no wider tables).
MOST_COLUMNS: Final = 64
#: The end of a page among pieces of text, which have no such character.
_PAGE_END: Final = "\f"

#: Transitional and strict documents differ in their namespaces alone.
_NAMESPACES: Final = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}",
)
_MATH: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
#: The same drawing again for older readers.
_FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
#: Names of built-in styles, which are English in every language of Word, and the kinds of blocks that they are.
_STYLES: Final = {
    "quote": "quote",
    "intense quote": "quote",
    "block text": "quote",
    "html preformatted": "code",
    "source code": "code",
    "macro text": "code",
}


class Style(NamedTuple):
    """The kind of block that paragraphs of a style are, and its level."""

    kind: str = "paragraph"
    level: int = 0
    is_title: bool = False


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text and properties of a DOCX."""
    with opened(packet, job, "DOCX") as package:
        name = package.main(default="word/document.xml")
        text = job.text()
        body = _Body(package, name, text)
        relations = package.relations(name)
        body.read(name)
        pages = body.end_pages()
        for relation in relations.values():
            if relation.kind in ("footnotes", "endnotes") and relation.target in package.names:
                body.read(relation.target)
        facts = package.facts()
        facts["title"] = facts["title"] or body.title or text.title
        facts["pages"] = pages or None
        facts["links"] = [
            relation.target for relation in relations.values() if relation.kind == "hyperlink" and relation.is_outside
        ]
        finish(packet, text, facts)


class _Cell:
    """A cell that is being read."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        #: The columns that it spans.
        self.width = 1


class _Table:
    """A table that is being read; its page is that of its first text."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.page = 0
        self.cells = 0


class _Body:
    """The parts of a document with text, on their way into blocks."""

    def __init__(self, package: Package, name: str, text: Text) -> None:
        self.title = ""
        self._page = 1
        self._package = package
        self._text = text
        self._styles: dict[str, Style] = {}
        styles = [relation.target for relation in package.relations(name).values() if relation.kind == "styles"]
        root = package.tree(styles[0]) if styles else None
        if root is not None:
            self._styles = _styles(root)

    def read(self, name: str) -> None:
        """Add the blocks of a part."""
        tags = [f"{space}{tag}" for space in _NAMESPACES for tag in ("p", "tbl", "tr", "tc", "gridSpan", "moveFrom")]
        tables: list[_Table] = []
        cells: list[_Cell] = []
        hidden = 0
        for event, element in self._package.events(name, *tags, _FALLBACK):
            tag = element.tag.rpartition("}")[2]
            if tag in ("Fallback", "moveFrom"):
                hidden += 1 if event == "start" else -1
            elif event == "start":
                if tag == "tbl":
                    tables.append(_Table())
                elif tag == "tr" and tables:
                    tables[-1].rows.append([])
                elif tag == "tc":
                    cells.append(_Cell())
                elif tag == "gridSpan" and cells and _is_of_cell(element):
                    cells[-1].width = min(whole(element.get(f"{element.tag.partition('}')[0]}}}val"), 1), MOST_COLUMNS) or 1
            elif tag == "p":
                if not hidden:
                    self._end_paragraph(element, tables, cells)
                free(element)
            elif tag == "tc":
                self._end_cell(tables, cells.pop())
            elif tag == "tbl":
                table = tables.pop()
                if tables and cells:
                    cells[-1].lines += ["; ".join(filter(None, row)) for row in table.rows]
                elif not hidden:
                    self._end_table(table)
                free(element)

    def end_pages(self) -> int:
        """The number of pages, 0 unless Word has noted where they end; blocks that are added later are on none of them."""
        pages, self._page = self._page, 0
        if pages == 1:
            self._text.blocks[:] = [block._replace(page=0) for block in self._text.blocks]
            return 0
        return pages

    def _end_paragraph(self, element: Any, tables: list[_Table], cells: list[_Cell]) -> None:
        paragraph = _paragraph(element, self._styles)
        page = self._page and self._page + paragraph.breaks_before
        self._page = self._page and self._page + paragraph.breaks
        style, line = paragraph.style, paragraph.line
        if cells:
            cells[-1].lines.append(line)
            if tables and not tables[0].page and line.strip():
                tables[0].page = page
            return
        if style.is_title and not self.title:
            self.title = line
        self._text.add(line, style.kind, level=style.level, page=page)

    def _end_cell(self, tables: list[_Table], cell: _Cell) -> None:
        if not tables or not tables[-1].rows:
            return
        tables[-1].cells += cell.width
        if tables[-1].cells > MOST_CELLS:
            raise Reject(f"a table has more than {MOST_CELLS} cells; split it", TOO_LARGE)
        tables[-1].rows[-1] += [" ".join(filter(None, cell.lines)), *[""] * (cell.width - 1)]

    def _end_table(self, table: _Table) -> None:
        if max(map(len, table.rows), default=0) > 1:
            self._text.add_table(table.rows, page=table.page)
        else:  # a box around text
            for row in table.rows:
                for cell in row:
                    self._text.add(cell, page=table.page)


def _is_of_cell(span: Any) -> bool:
    """True unless a change that was tracked is what an element tells of: the width of the cell before."""
    properties = span.getparent()
    return properties is not None and properties.getparent() is not None and properties.getparent().tag.endswith("}tc")


class Paragraph(NamedTuple):
    """A paragraph: its style and text, and the pages that end before its text, and all in all."""

    style: Style
    line: str
    breaks_before: int
    breaks: int


def _paragraph(element: Any, styles: dict[str, Style]) -> Paragraph:
    space = element.tag.partition("}")[0] + "}"
    properties = element.find(f"{space}pPr")
    style = Style()
    if properties is not None:
        name = properties.find(f"{space}pStyle")
        style = _own_style(properties, space, styles.get(name.get(f"{space}val", ""), style) if name is not None else style)
    pieces: list[str] = []
    before = breaks = 0
    has_text = False
    for piece in _pieces(element, space):
        if piece == _PAGE_END:
            breaks += 1
            continue
        pieces.append(piece)
        if not has_text and piece.strip():
            has_text, before = True, breaks
    return Paragraph(style, "".join(pieces), before, breaks)


def _pieces(element: Any, space: str) -> Iterator[str]:
    """The text of a paragraph, piece by piece, and the ends of pages; paragraphs within it were taken out before."""
    text, tab, line, hyphen = f"{space}t", f"{space}tab", f"{space}br", f"{space}noBreakHyphen"
    tabs, fallback, moved = f"{space}tabs", _FALLBACK, f"{space}moveFrom"
    page = f"{space}lastRenderedPageBreak"
    for node in element.iter(text, tab, line, hyphen, page, f"{space}cr", _MATH):
        tag = node.tag
        if tag in (text, page, _MATH):
            if next(node.iterancestors(fallback, moved), None) is not None:
                continue
            yield _PAGE_END if tag == page else node.text or ""
        elif tag == hyphen:
            yield "-"
        elif tag == tab:
            if node.getparent().tag != tabs:  # there, it is a place to stop at
                yield "\t"
        else:
            yield "\n"


def _own_style(properties: Any, space: str, style: Style) -> Style:
    """The style of a paragraph or style with these properties, on top of another one."""
    outline = properties.find(f"{space}outlineLvl")
    if outline is not None and style.kind != "heading" and (depth := whole(outline.get(f"{space}val"), 9)) < 9:
        return Style("heading", depth + 1)
    numbering = properties.find(f"{space}numPr")
    if numbering is not None and style.kind == "paragraph":
        number = numbering.find(f"{space}numId")
        if number is None or number.get(f"{space}val") != "0":
            level = numbering.find(f"{space}ilvl")
            return Style("item", whole(level.get(f"{space}val")) + 1 if level is not None else 1)
    return style


def _styles(root: Any) -> dict[str, Style]:
    """The styles of paragraphs by their ids, with what they inherit."""
    space = root.tag.partition("}")[0] + "}"
    entries = {entry.get(f"{space}styleId", ""): entry for entry in root.iter(f"{space}style")}
    found: dict[str, Style] = {}
    for name in entries:
        chain: list[str] = []
        at = name
        while at in entries and at not in found and at not in chain and len(chain) < 50:
            chain.append(at)
            based = entries[at].find(f"{space}basedOn")
            at = based.get(f"{space}val", "") if based is not None else ""
        style = found.get(at, Style())
        for each in reversed(chain):
            style = found[each] = _named_style(entries[each], space, style)
    return found


def _named_style(entry: Any, space: str, base: Style) -> Style:
    named = entry.find(f"{space}name")
    name = (named.get(f"{space}val", "") if named is not None else "").lower()
    if name.startswith("heading ") and name[8:].isdecimal():
        return Style("heading", min(whole(name[8:], 9), 9) or 1)
    if name == "title":
        return Style("heading", 1, is_title=True)
    if name in _STYLES:
        return Style(_STYLES[name])
    properties = entry.find(f"{space}pPr")
    return base if properties is None else _own_style(properties, space, base)
