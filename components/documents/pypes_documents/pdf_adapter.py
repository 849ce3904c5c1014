"""PDF: text of each page, headings by the outline, and properties."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, ClassVar, Literal

from pypes import Example, Help, Packet
from pypes_documents.examples import pdf
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import Job, TextBounds
from pypes_documents.ocr import Languages, PageS, Recognizer, Wanted, check

Engine = Annotated[
    Literal["pypdf", "pdfium"],
    Help(
        "Library that reads PDF. pdfium is ten times as fast and needs pip install 'pypes-documents[pdfium]'; hostile files end"
        " its process, which costs these alone."
    ),
]


def check_engine(engine: str) -> None:
    """Raise ``ValueError`` if the library is not installed."""
    if engine == "pdfium" and find_spec("pypdfium2") is None:
        raise ValueError("pdfium needs pypdfium2, not installed here; run pip install 'pypes-documents[pdfium]'")


class PDF(FileAdapter):
    """Read a PDF: ``text`` with the page of each block, headings where the outline (bookmarks) names them, and properties.

    Words that are hyphenated at the end of a line are put together. Pages that cannot be read are named in metadata
    ``pages_lost``, the others are there. Fields are those of the vocabulary: ``title``, ``author``, ``created``, ``modified``,
    ``subject``, ``keywords``, ``pages``.

    With ``ocr``, the text of pages that are pictures is recognized, and metadata ``pages_ocr`` has their numbers. That
    takes about a second for a page: give the filter a ``timeout_s`` that a book keeps.

    Dead letters: ``document.encrypted`` (a password is needed, or AES without the extra ``aes``), ``document.malformed`` (also
    where no page can be read), ``document.no_text`` (pictures of pages, without ``ocr``), ``document.too_large`` (a bound is
    exceeded), ``isolated.timeout`` and ``isolated.killed`` for what ends or stops the library.
    """

    icon = "file-text"
    tags = ("format", "pdf")
    reader = "pdf_reader"
    example = Example(takes=Packet({"data": pdf("A loom.")}), gives=Packet({"text": "A loom.", "pages": 1}))
    accepts: ClassVar[tuple[str, ...]] = ("application/pdf", "application/x-pdf")

    class Params(TextBounds):
        engine: Engine = "pypdf"
        ocr: Wanted = "never"
        ocr_languages: Languages = "eng"
        ocr_page_s: PageS = 30.0

        def __post_init__(self) -> None:
            check_engine(self.engine)
            if self.ocr != "never":
                check(needs_pdfium=True)

    def job(self) -> Job:
        params = self.params
        recognizer = Recognizer(params.ocr_languages, params.ocr_page_s) if params.ocr != "never" else None
        return Job(params, params.engine, recognizer)
