"""Office files made of real text: sections of pages of the corpus, as DOCX, PPTX and XLSX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pypes import Packet
from pypes.structure import blocks_of
from pypes.testing import run_component
from pypes_documents.html_adapter import HTML

#: Pages that files are made of, and what is taken of each.
PAGES = 60
MOST_BLOCKS = 120


class Page(NamedTuple):
    """A page: its title, and its blocks as kind and text, headings with their level."""

    title: str
    blocks: list[tuple[str, int, str]]


def make(pages: list[Path], folder: Path) -> dict[str, list[Path]]:
    """Files of three kinds, of pages that are spread over those given; by kind. Needs python-docx, python-pptx and openpyxl."""
    chosen = pages[:: max(1, len(pages) // PAGES)][:PAGES]
    made: dict[str, list[Path]] = {"docx": [], "pptx": [], "xlsx": []}
    for number, page in enumerate(_read(chosen)):
        for kind, write in WRITERS.items():
            path = folder / kind / f"{number:03}.{kind}"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write(page, path)
            made[kind].append(path)
    return made


def _read(pages: list[Path]) -> Iterator[Page]:
    for path in pages:
        (packet,) = run_component(HTML, [Packet({"data": path.read_bytes()})]).packets
        text = packet["text"]
        blocks = [(block.kind, block.level, text[block.start : block.end]) for block in blocks_of(packet)][:MOST_BLOCKS]
        if blocks:
            yield Page(packet["title"] or path.stem, [(kind, level, _printable(said)) for kind, level, said in blocks])


def _printable(text: str) -> str:
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def _docx(page: Page, path: Path) -> None:
    import docx

    document = docx.Document()
    document.core_properties.title = page.title
    for kind, level, text in page.blocks:
        if kind == "heading":
            document.add_heading(text, min(max(level, 1), 9))
        else:
            document.add_paragraph(text, "List Bullet" if kind == "item" else None)
    document.save(str(path))


def _pptx(page: Page, path: Path) -> None:
    import pptx

    presentation = pptx.Presentation()
    presentation.core_properties.title = page.title
    body: Any = None
    for kind, _, text in page.blocks:
        if kind == "heading" or body is None:
            slide = presentation.slides.add_slide(presentation.slide_layouts[1])
            slide.shapes.title.text = text if kind == "heading" else page.title
            body = slide.placeholders[1].text_frame
            if kind == "heading":
                continue
        body.add_paragraph().text = text
    presentation.save(str(path))


def _xlsx(page: Page, path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.properties.title = page.title
    sheet = book.active
    sheet.title = "Blocks"
    sheet.append(["number", "kind", "text"])
    for number, (kind, _, text) in enumerate(page.blocks, 1):
        # what begins with = would be a formula
        sheet.append([number, kind, text.lstrip("=")[:32_000]])
    book.save(str(path))


#: What writes a page as a file of a kind.
WRITERS: Final[Mapping[str, Callable[[Page, Path], None]]] = MappingProxyType({"docx": _docx, "pptx": _pptx, "xlsx": _xlsx})
