"""DOCX: text with structure and properties of a document of Word."""

from __future__ import annotations

from typing import ClassVar, Final

from pypes import Example, Packet
from pypes_documents.examples import zipped
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import PackageBounds

_OFFICE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_W: Final = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_PARAGRAPH: Final = "<w:body><w:p><w:r><w:t>A loom.</w:t></w:r></w:p></w:body>"


class DOCX(FileAdapter):
    """Read a DOCX: ``text`` with headings, items and tables, and the properties that the document has.

    Comments, headers, footers and deleted text are left out; footnotes stand at the end. Blocks have a page where Word has noted
    the ends of pages. Fields are those of the vocabulary: ``title`` (or else the paragraph in the style Title, or the one heading
    at the top), ``author``, ``created``, ``modified``, ``language``, ``subject``, ``description``, ``keywords``, ``links``,
    ``pages``.

    Dead letters: ``document.encrypted``, ``document.malformed``, ``document.too_large`` (a bound is exceeded),
    ``document.no_text``.
    """

    icon = "file-text"
    tags = ("format", "office")
    reader = "docx_reader"
    example = Example(
        takes=Packet({"data": zipped({"word/document.xml": f"<w:document {_W}>{_PARAGRAPH}</w:document>"})}),
        gives=Packet({"text": "A loom."}),
    )
    accepts: ClassVar[tuple[str, ...]] = (
        f"{_OFFICE}.document",
        f"{_OFFICE}.template",
        "application/vnd.ms-word.document.macroenabled.12",
        "application/vnd.ms-word.template.macroenabled.12",
    )

    class Params(PackageBounds):
        pass
