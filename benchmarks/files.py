"""Files of the kinds that people have, each with a text of its own, and what a script would call to read them."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.corpus.office import WRITERS, Page
from benchmarks.documents import PROSE
from benchmarks.load import Skipped
from benchmarks.samples import Sections, write_epub, write_pdf
from pypes import Adapter, Packet
from pypes_documents.docx_adapter import DOCX
from pypes_documents.eml_adapter import EML
from pypes_documents.epub_adapter import EPUB
from pypes_documents.formats import FORMATS, format_of, reader_of
from pypes_documents.html_adapter import HTML
from pypes_documents.job import Job, NestedBounds, Unread
from pypes_documents.markdown_adapter import Markdown
from pypes_documents.pdf_adapter import PDF
from pypes_documents.pptx_adapter import PPTX
from pypes_documents.xlsx_adapter import XLSX
from pypes_documents.xml_adapter import XML

#: Characters of a paragraph, and paragraphs of a section.
PARAGRAPH, PARAGRAPHS = 400, 4
#: From the text of one file to that of the next: a prime number, so that a place seldom comes again.
STEP = 7_919


#: What writes the files, as pip calls it.
WRITTEN_BY = "openpyxl python-docx python-pptx reportlab"


class Kind(NamedTuple):
    """A kind of file: its format as the readers call it, its adapter, its writer, and sections that take some milliseconds."""

    format: str
    adapter: type[Adapter]
    write: Callable[[Path, str, Sections], None]
    sections: int

    @property
    def media_type(self) -> str:
        return FORMATS[self.format].types[0]


def sections(number: int, count: int) -> Sections:
    """So many sections of the text of the file with a number."""
    size = count * PARAGRAPHS * PARAGRAPH
    start = number * STEP % (len(PROSE) - size)
    words = " ".join(PROSE[start : start + size].split())
    paragraphs = [words[at : at + PARAGRAPH].strip() for at in range(0, len(words), PARAGRAPH)]
    return [
        (f"Section {number}.{at // PARAGRAPHS + 1}", paragraphs[at : at + PARAGRAPHS])
        for at in range(0, len(paragraphs), PARAGRAPHS)
    ]


def _office(kind: str) -> Callable[[Path, str, Sections], None]:
    def write(path: Path, title: str, text: Sections) -> None:
        blocks = [
            block
            for heading, paragraphs in text
            for block in [("heading", 1, heading), *(("paragraph", 0, each) for each in paragraphs)]
        ]
        WRITERS[kind](Page(title, blocks), path)

    return write


def _write_mail(path: Path, title: str, text: Sections) -> None:
    mail = EmailMessage()
    mail["From"] = "office@example.org"
    mail["To"] = "weaving@example.org"
    mail["Subject"] = title
    mail["Date"] = "Mon, 02 Nov 2026 09:15:00 +0100"
    mail["Message-ID"] = f"<{title.replace(' ', '-')}@example.org>"
    (heading, first), *others = text
    mail.set_content("\n\n".join([heading, *first]))
    mail.add_alternative(_page(title, text), subtype="html")
    for heading, paragraphs in others[:2]:
        mail.add_attachment("\n\n".join(paragraphs), filename=f"{heading}.txt")
    path.write_bytes(mail.as_bytes(policy=SMTP))


def _page(title: str, text: Sections) -> str:
    parts = [f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body>']
    for heading, paragraphs in text:
        parts.append(f"<h1>{heading}</h1>")
        parts += [f'<p class="text"><a href="#{n}">{n}</a> {html.escape(each)}</p>' for n, each in enumerate(paragraphs)]
    return "\n".join([*parts, "</body></html>"])


def _write_page(path: Path, title: str, text: Sections) -> None:
    path.write_text(_page(title, text), encoding="utf-8")


def _write_markdown(path: Path, title: str, text: Sections) -> None:
    parts = [f"# {title}", *(part for heading, paragraphs in text for part in (f"## {heading}", *paragraphs))]
    path.write_text("\n\n".join(parts), encoding="utf-8")


def _write_xml(path: Path, title: str, text: Sections) -> None:
    parts = [f"<?xml version='1.0' encoding='utf-8'?>\n<book xml:lang='en'><title>{title}</title>"]
    for heading, paragraphs in text:
        inner = "".join(f"<p>{html.escape(each)}</p>" for each in paragraphs)
        parts.append(f"<section><title>{heading}</title>{inner}</section>")
    path.write_text("\n".join([*parts, "</book>"]), encoding="utf-8")


KINDS = {
    "PDF": Kind("pdf", PDF, write_pdf, 4),
    "DOCX": Kind("docx", DOCX, _office("docx"), 20),
    "PPTX": Kind("pptx", PPTX, _office("pptx"), 10),
    "XLSX": Kind("xlsx", XLSX, _office("xlsx"), 40),
    "EML": Kind("eml", EML, _write_mail, 40),
    "EPUB": Kind("epub", EPUB, write_epub, 20),
    "HTML": Kind("html", HTML, _write_page, 60),
    "Markdown": Kind("markdown", Markdown, _write_markdown, 10),
    "XML": Kind("xml", XML, _write_xml, 60),
}


@cache
def files(kind: str, count: int) -> tuple[bytes, ...]:
    """So many files of a kind. Raises :class:`Skipped` without the library that writes them."""
    writer, length = KINDS[kind].write, KINDS[kind].sections
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        made = []
        for number in range(count):
            try:
                writer(path, f"{kind} {number}", sections(number, length))
            except ImportError as error:
                raise Skipped(f"{error.name} is not installed: .venv/bin/pip install {WRITTEN_BY}") from error
            made.append(path.read_bytes())
    return tuple(made)


def packet_of(kind: str, data: bytes) -> Packet:
    return Packet.from_document({"data": data}, {"mimetype": KINDS[kind].media_type})


def read(name: str, packet: Packet) -> Iterator[Packet]:
    """Read a document of a format, and the files in it, by calls of the readers alone; a file that is not read is an error."""
    parts = reader_of(name)(packet, Job(NestedBounds()))
    for part in parts or ():
        if isinstance(part, Unread):
            raise part.fault
        yield from read(format_of(part), part)
    yield packet
