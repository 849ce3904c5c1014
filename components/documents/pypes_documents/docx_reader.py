"""The text of a DOCX (Office Open XML, ECMA-376 part 1, 17), read from its parts while they are unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pypes import Packet
from pypes_documents.job import Job, Text, finish
from pypes_documents.packages import Package, opened

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


class _Body:
    """The parts of a document with text, on their way into blocks."""

    def __init__(self, package: Package, name: str, text: Text) -> None:
        self.title = ""
        self._page = 0
        self._package = package
        self._text = text
        self._styles: dict[str, Style] = {}
        styles = [relation.target for relation in package.relations(name).values() if relation.kind == "styles"]
        root = package.tree(styles[0]) if styles else None
        if root is not None:
            self._styles = _styles(root)

    def read(self, name: str) -> None:
        """Add the blocks of a part."""
        tags = [f"{space}{tag}" for space in _NAMESPACES for tag in ("p", "tbl", "tr", "tc", "moveFrom", "lastRenderedPageBreak")]
        tables: list[list[list[str]]] = []
        cells: list[list[str]] = []
        hidden = 0
        for event, element in self._package.events(name, *tags, _FALLBACK):
            tag = element.tag.rpartition("}")[2]
            if tag in ("Fallback", "moveFrom"):
                hidden += 1 if event == "start" else -1
            elif tag == "lastRenderedPageBreak":
                if event == "start" and not hidden:
                    self._page = max(self._page, 1) + 1
            elif event == "start":
                if tag == "tbl":
                    tables.append([])
                elif tag == "tr" and tables:
                    tables[-1].append([])
                elif tag == "tc":
                    cells.append([])
            elif tag == "p":
                if not hidden:
                    self._end_paragraph(element, cells)
                _free(element)
            elif tag == "tc":
                self._end_cell(element, tables, cells.pop())
            elif tag == "tbl":
                table = tables.pop()
                if tables and cells:
                    cells[-1] += ["; ".join(filter(None, row)) for row in table]
                elif not hidden:
                    self._end_table(table)
                _free(element)

    def end_pages(self) -> int:
        """The number of pages, 0 unless Word has noted where they end; blocks that are added later are on none of them."""
        pages, self._page = self._page, 0
        if pages:
            self._text.blocks[:] = [block._replace(page=block.page or 1) for block in self._text.blocks]
        return pages

    def _end_paragraph(self, element: Any, cells: list[list[str]]) -> None:
        style, line = _paragraph(element, self._styles)
        if cells:
            cells[-1].append(line)
            return
        if style.is_title and not self.title:
            self.title = line
        self._text.add(line, style.kind, level=style.level, page=self._page)

    def _end_cell(self, element: Any, tables: list[list[list[str]]], lines: list[str]) -> None:
        if not tables or not tables[-1]:
            return
        tables[-1][-1].append(" ".join(filter(None, lines)))
        space = element.tag.partition("}")[0] + "}"
        span = element.find(f"{space}tcPr/{space}gridSpan")
        width = span.get(f"{space}val", "1") if span is not None else "1"
        if width.isdecimal():
            tables[-1][-1] += [""] * (min(int(width), 64) - 1)

    def _end_table(self, table: list[list[str]]) -> None:
        if max(map(len, table), default=0) > 1:
            self._text.add_table(table, page=self._page)
        else:  # a box around text
            for row in table:
                for cell in row:
                    self._text.add(cell, page=self._page)


def _paragraph(element: Any, styles: dict[str, Style]) -> tuple[Style, str]:
    """The style and the text of a paragraph."""
    space = element.tag.partition("}")[0] + "}"
    properties = element.find(f"{space}pPr")
    style = Style()
    if properties is not None:
        name = properties.find(f"{space}pStyle")
        style = _own_style(properties, space, styles.get(name.get(f"{space}val", ""), style) if name is not None else style)
    return style, "".join(_pieces(element, space))


def _pieces(element: Any, space: str) -> Iterator[str]:
    """The text of a paragraph, piece by piece; paragraphs within it were taken out before."""
    text, tab, line, hyphen = f"{space}t", f"{space}tab", f"{space}br", f"{space}noBreakHyphen"
    tabs, fallback, moved = f"{space}tabs", _FALLBACK, f"{space}moveFrom"
    for node in element.iter(text, tab, line, hyphen, f"{space}cr", _MATH):
        tag = node.tag
        if tag in (text, _MATH):
            if any(over.tag in (fallback, moved) for over in node.iterancestors(fallback, moved)):
                continue
            yield node.text or ""
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
    if outline is not None and style.kind != "heading":
        level = outline.get(f"{space}val", "")
        if level.isdecimal() and int(level) < 9:
            return Style("heading", int(level) + 1)
    numbering = properties.find(f"{space}numPr")
    if numbering is not None and style.kind == "paragraph":
        number = numbering.find(f"{space}numId")
        if number is None or number.get(f"{space}val") != "0":
            depth = numbering.find(f"{space}ilvl")
            level = depth.get(f"{space}val", "0") if depth is not None else "0"
            return Style("item", int(level) + 1 if level.isdecimal() else 1)
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
        return Style("heading", min(int(name[8:]), 9) or 1)
    if name == "title":
        return Style("heading", 1, is_title=True)
    if name in _STYLES:
        return Style(_STYLES[name])
    properties = entry.find(f"{space}pPr")
    return base if properties is None else _own_style(properties, space, base)


def _free(element: Any) -> None:
    """Let go of an element that was read, and of those before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and (before := element.getprevious()) is not None:
        parent.remove(before)
