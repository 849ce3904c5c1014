"""EPUB: the text of a book, and its facts."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.examples import zipped
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import PackageBounds


class EPUB(FileAdapter):
    """Read a book: ``text`` with the structure of its pages, in the order of its spine, and what it says of itself.

    Fields are those of the vocabulary: ``title``, ``author``, ``created``, ``modified``, ``language``, ``description``,
    ``keywords``. Chapters that are missing or damaged are named in metadata ``pages_lost`` by their place in the spine, and
    counted; the others are there.

    Dead letters: ``document.encrypted`` (DRM), ``document.malformed``, ``document.too_large`` (a bound is
    exceeded), ``document.no_text``.
    """

    icon = "book"
    tags = ("format", "book")
    reader = "epub_reader"
    example = Example(
        takes=Packet(
            {
                "data": zipped(
                    {
                        "META-INF/container.xml": "<container><rootfile full-path='book.opf'/></container>",
                        "book.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Looms</dc:title>'
                        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/><itemref idref="a"/></package>',
                        "a.xhtml": "<p>A loom.</p>",
                    }
                )
            }
        ),
        gives=Packet({"title": "Looms", "text": "A loom."}),
    )
    accepts: ClassVar[tuple[str, ...]] = ("application/epub+zip",)

    class Params(PackageBounds):
        pass
