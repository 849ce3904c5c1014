"""The text of a PDF, page by page, by pypdf or by pdfium."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from pypes import Packet, Reject
from pypes_documents.dates import date_of_pdf
from pypes_documents.job import ENCRYPTED, MALFORMED, NO_TEXT, PAGES_OCR, Job, Text, finish
from pypes_documents.ocr import Draw
from pypes_documents.pages import Pages
from pypes_documents.pdf_letters import know_variants, with_ligatures
from pypes_documents.plain import as_list, paragraphs_of, plain_line, plain_text

#: Entries of the outline that are looked for in the text.
MOST_OUTLINE: Final = 5_000
#: Lines over which a heading may run.
MOST_HEADING_LINES: Final = 4
#: A word that goes on in the next line; between capitals or digits the hyphen is mostly its own.
_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010\ufffe]\n[ \t]*(?=[^\W\d_])")
#: Letters that are set as one, for which nobody searches.
_LIGATURES: Final = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)
_NUMBER: Final = re.compile(r"^[\dA-Z]{0,4}(?:\.\d+)*\.?\s+")

#: The title that programs write where they have none.
_UNTITLED: Final = "untitled"
LOCKED: Final = "the PDF needs a password; save it without one"


class Entry(NamedTuple):
    """An entry of the outline: heading, depth from 1, and number of its page from 1."""

    title: str
    level: int
    page: int


class Document(Protocol):
    """A PDF as one of the libraries reads it. All methods may raise any exception over a damaged file."""

    def __len__(self) -> int: ...
    def properties(self) -> Mapping[str, str]: ...
    def outline(self) -> Iterator[Entry]: ...
    def page_text(self, index: int) -> str: ...


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text and properties of a PDF."""
    data = job.take(packet)
    if b"%PDF-" not in data[:1024]:
        raise Reject("it is no PDF: it does not begin with %PDF-", MALFORMED)
    document: Document
    try:
        if job.pdf == "pdfium":
            from pypes_documents.pdfium import Pdfium

            document = Pdfium(data)
        else:
            document = PyPDF(data)
        pages = len(document)
    except Reject:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise Reject(f"the PDF is damaged: {type(error).__name__}: {error}", MALFORMED) from error
    if not pages:
        raise Reject("the PDF has no pages", MALFORMED)
    text = job.text()
    read_pages = Pages("PDF")
    recognized = _add_pages(document, pages, text, _recognition(data, job), read_pages)
    read_pages.check(pages, text)
    if not text.blocks:
        advice = "none was recognized in pictures, either" if job.recognizer else "if they are pictures of pages, set ocr to auto"
        raise Reject(f"the {pages} page(s) of the PDF have no text; {advice}", NO_TEXT)
    facts = _facts(document)
    facts["pages"] = pages
    finish(packet, text, facts)
    read_pages.put(packet)
    if recognized:
        packet.set_meta(PAGES_OCR, recognized)


def _recognition(data: bytes, job: Job) -> Callable[[int], str] | None:
    """Recognition of the text of a page by its index, if that is wanted; the pages are drawn by pdfium."""
    recognizer = job.recognizer
    if recognizer is None:
        return None
    draw: list[Draw] = []

    def recognize(index: int) -> str:
        if not draw:  # most documents have text on all of their pages
            from pypes_documents.pdfium import drawn

            draw.append(drawn(data))
        picture = draw[0](index)
        return "\n\n".join(recognizer.texts(picture)) if picture else ""

    return recognize


def _add_pages(document: Document, count: int, text: Text, recognize: Callable[[int], str] | None, pages: Pages) -> list[int]:
    """Add the text of all pages that can be read; returns those whose text was recognized."""
    headings: dict[int, list[Entry]] = {}
    try:
        for entry in document.outline():
            headings.setdefault(entry.page, []).append(entry)
    except MemoryError:
        raise
    except Exception:
        headings = {}  # a document without headings is better than none
    recognized: list[int] = []
    for number in range(1, count + 1):
        try:
            found = document.page_text(number - 1)
            if recognize and not found.strip() and (found := recognize(number - 1)).strip():
                recognized.append(number)
        except MemoryError:
            raise
        except Exception as error:
            pages.lose(number, f"{type(error).__name__}: {error}")
        else:
            _add_page(found, headings.get(number, ()), number, text)
    return recognized


def _add_page(page: str, headings: tuple[Entry, ...] | list[Entry], number: int, text: Text) -> None:
    page = page if page.isascii() else page.translate(_LIGATURES)
    page = plain_text(_HYPHEN.sub("", page.replace("\r\n", "\n").replace("\r", "\n")))
    wanted = {_bare(entry.title): entry for entry in headings}
    for paragraph in paragraphs_of(page):
        lines = [line.rstrip() for line in paragraph.split("\n")]
        kept: list[str] = []
        at = 0
        while at < len(lines):
            entry, end = _heading_at(lines, at, wanted) if wanted else (None, at)
            if entry is None:
                kept.append(lines[at])
                at += 1
                continue
            text.add("\n".join(kept), page=number)
            kept = []
            text.add(" ".join(map(str.strip, lines[at:end])), "heading", level=entry.level, page=number)
            at = end
        text.add("\n".join(kept), page=number)


def _heading_at(lines: list[str], at: int, wanted: dict[str, Entry]) -> tuple[Entry | None, int]:
    """The entry whose heading begins in a line, which is taken out of ``wanted``, and the line behind it."""
    for end in range(at + 1, min(at + MOST_HEADING_LINES, len(lines)) + 1):
        entry = wanted.pop(_bare(" ".join(lines[at:end])), None)
        if entry is not None:
            return entry, end
    return None, at


def _bare(title: str) -> str:
    """A heading without its number, to be compared."""
    return _NUMBER.sub("", plain_line(title)).casefold().replace(" ", "")


def _facts(document: Document) -> dict[str, Any]:
    try:
        found = document.properties()
    except MemoryError:
        raise
    except Exception:
        return {}  # the text is there
    title = found.get("Title", "")
    return {
        "title": "" if title.strip().casefold() == _UNTITLED else title,
        "author": [name for name in re.split(r";|,| and ", found.get("Author", "")) if name.strip()],
        "created": date_of_pdf(found.get("CreationDate", "")),
        "modified": date_of_pdf(found.get("ModDate", "")),
        "subject": found.get("Subject", ""),
        "keywords": as_list(found.get("Keywords", "")),
    }


class PyPDF:
    """A PDF by pypdf: in Python alone, slow, and hard to harm."""

    def __init__(self, data: bytes) -> None:
        import pypdf
        from pypdf import _cmap
        from pypdf.errors import DependencyError

        know_variants(_cmap)
        # it tells of each oddity of each file
        logging.getLogger("pypdf").setLevel(logging.CRITICAL)
        try:
            self._reader = pypdf.PdfReader(io.BytesIO(data))
            if self._reader.is_encrypted and not self._reader.decrypt(""):
                raise Reject(LOCKED, ENCRYPTED)
        except DependencyError as error:
            reason = (
                "the PDF is encrypted with AES, and what decrypts that is not installed; run pip install 'pypes-documents[aes]'"
            )
            raise Reject(reason, ENCRYPTED) from error

    def __len__(self) -> int:
        return len(self._reader.pages)

    def properties(self) -> Mapping[str, str]:
        found: Mapping[Any, Any] = self._reader.metadata or {}
        return {str(name).removeprefix("/"): str(value) for name, value in found.items() if isinstance(value, str)}

    def outline(self) -> Iterator[Entry]:
        left = MOST_OUTLINE
        waiting: list[tuple[Any, int]] = [(iter(self._reader.outline), 1)]
        while waiting and left:
            entries, level = waiting[-1]
            entry = next(entries, None)
            if entry is None:
                waiting.pop()
            elif isinstance(entry, list):
                waiting.append((iter(entry), level + 1))
            else:
                left -= 1
                page = self._reader.get_destination_page_number(entry)
                if page is not None and page >= 0 and entry.title:
                    yield Entry(str(entry.title), level, page + 1)

    def page_text(self, index: int) -> str:
        return with_ligatures(self._reader.pages[index].extract_text())
