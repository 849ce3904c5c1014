"""Document: whatever file it is, read by the reader for it."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.formats import FORMATS
from pypes_documents.nested_adapter import NestedAdapter


class Document(NestedAdapter):
    """Read files of all kinds: PDF, Word, PowerPoint, Excel, mails, books, pages, Markdown, XML, feeds, archives, tables, text.

    The content tells what a file is, then its name and its media type; metadata ``mimetype`` is what it is, ``declared_type`` the
    label where that said something else. Attachments of mails, members of archives and mails of mailboxes (mbox) are read as
    well, whatever they are: they are parts ``attachment=NAME``, ``member=PATH`` and ``member=ID`` of the document, with
    ``filename`` and ``mimetype`` of their own, and metadata ``within`` names the files in which they lie. Fields and structure
    are those of the adapter for one format, and of the vocabulary.

    A file in the document that cannot be read makes it a dead letter that names the file, while all others have been sent on.
    Files that no reader is for, and empty ones, are passed over and counted (``parts_skipped``, and by kind,
    such as ``parts_skipped_rtf``), and the log says why. A table is one document
    here, with the names of its columns as the first row; for one for each row, have the graph read CSV by ``CSV``, and Parquet
    and Arrow by ``Parquet``. Rows of these that cannot be read are named in metadata ``rows_lost`` and counted.

    Dead letters: those of the single adapters, and ``document.unknown`` for a file that no reader is for.
    """

    icon = "files"
    tags = ("format", "office", "mail", "archive")
    example = Example(
        takes=Packet({"data": b"# Looms\n\nA loom has a [warp](https://example.org/warp)."}, {"filename": "looms.md"}),
        gives=Packet.from_document(
            {"title": "Looms", "links": ["https://example.org/warp"], "text": "Looms\n\nA loom has a warp."},
            {"mimetype": "text/markdown"},
        ),
    )
    #: Tables are among them as text, so that an adapter for them goes before.
    accepts: ClassVar[tuple[str, ...]] = (
        *(media_type for name, format in FORMATS.items() if name not in ("table", "text") for media_type in format.types),
        *("text/plain", "text/*", "application/octet-stream"),
    )
