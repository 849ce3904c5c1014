"""The text of a PPTX (Office Open XML, ECMA-376 part 1, 19 and 21), slide by slide."""

from __future__ import annotations

from typing import Any, Final

from pypes import Packet
from pypes_documents.job import Job, Text, finish
from pypes_documents.packages import Package, opened
from pypes_documents.pages import Pages
from pypes_documents.plain import whole

#: Transitional and strict documents differ in their namespaces alone.
_DRAWING: Final = ("{http://schemas.openxmlformats.org/drawingml/2006/main}", "{http://purl.oclc.org/ooxml/drawingml/main}")
_FALLBACK: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TITLES: Final = ("title", "ctrTitle")
#: Placeholders with what stands on each slide.
_EVERYWHERE: Final = ("dt", "ftr", "hdr", "sldNum", "sldImg")


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text and properties of a PPTX."""
    with opened(packet, job, "PPTX") as package:
        name = package.main(default="ppt/presentation.xml")
        slides = _slides(package, name)
        text = job.text()
        links: list[str] = []
        pages = Pages("PPTX", "slide")
        for number, slide in enumerate(slides, 1):
            with pages.reading(number):
                _add_slide(package, slide, text, number, links)
        pages.check(len(slides), text)
        facts = package.facts()
        facts["title"] = facts["title"] or _first_title(text)
        finish(packet, text, {**facts, "pages": len(slides), "links": links})
        pages.put(packet)


def _slides(package: Package, name: str) -> list[str]:
    """The names of the slides in their order; one that is missing as well."""
    root = package.root(name)
    relations = package.relations(name)
    found: list[str] = []
    for entry in root.iter("{*}sldId"):
        targets = [relations[value].target for key, value in entry.items() if key.endswith("}id") and value in relations]
        found += targets[:1] or ["that nothing relates to"]
    return found


def _add_slide(package: Package, name: str, text: Text, number: int, links: list[str]) -> None:
    """Add a slide, with its notes, diagrams and charts."""
    root = package.root(name)
    relations = package.relations(name)
    _add_shapes(root, text, number)
    for relation in relations.values():
        if relation.is_outside:
            if relation.kind == "hyperlink":
                links.append(relation.target)
        elif relation.kind == "notesSlide":
            _add_shapes(package.root(relation.target), text, number)
        elif relation.kind in ("diagramData", "chart"):
            part = package.root(relation.target)
            _add_paragraphs(part, text, number, "paragraph")
            names = [value.text or "" for cache in part.iter("{*}strCache") for value in cache.iter("{*}v")]
            text.add(", ".join(dict.fromkeys(names)), page=number)


def _first_title(text: Text) -> str:
    """The title of the first slide, which names the presentation."""
    first = text.blocks[0] if text.blocks else None
    return text.text[: first.end] if first and first.kind == "heading" and first.page == 1 else ""


def _add_shapes(root: Any, text: Text, page: int) -> None:
    """Add the shapes of a slide, titles first, with the tables among them."""
    titles: list[Any] = []
    others: list[tuple[Any, str]] = []
    for shape in root.iter("{*}sp", "{*}tbl"):
        if next(shape.iterancestors(_FALLBACK), None) is not None:
            continue
        if shape.tag.endswith("}tbl"):
            others.append((shape, "table"))
            continue
        holder = next(shape.iter("{*}ph"), None)
        kind = "" if holder is None else holder.get("type", "obj")
        if kind in _TITLES:
            titles.append(shape)
        elif kind not in _EVERYWHERE:
            others.append((shape, "item" if kind in ("obj", "body") and not root.tag.endswith("}notes") else "paragraph"))
    for shape in titles:
        text.add(_line(shape), "heading", level=1, page=page)
    for shape, kind in others:
        if kind == "table":
            cells = [
                [" ".join(line for line, _ in _paragraphs(cell)) for cell in row.iter("{*}tc")] for row in shape.iter("{*}tr")
            ]
            text.add_table(cells, page=page)
        else:
            _add_paragraphs(shape, text, page, kind)


def _add_paragraphs(shape: Any, text: Text, page: int, kind: str) -> None:
    for line, level in _paragraphs(shape):
        text.add(line, kind, level=level if kind == "item" else 0, page=page)


def _line(shape: Any) -> str:
    return " ".join(line for line, _ in _paragraphs(shape))


def _paragraphs(shape: Any) -> list[tuple[str, int]]:
    """The paragraphs of a shape or cell, with their levels."""
    found = []
    for paragraph in shape.iter(*(f"{space}p" for space in _DRAWING)):
        space = paragraph.tag.partition("}")[0] + "}"
        nodes = paragraph.iter(f"{space}t", f"{space}br")
        line = "".join((node.text or "") if node.tag.endswith("}t") else "\n" for node in nodes)
        properties = paragraph.find(f"{space}pPr")
        level = whole(properties.get("lvl")) if properties is not None else 0
        if line.strip():
            found.append((line, min(level, 8) + 1))
    return found
