"""Markdown: its text with structure, without the markup."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.file_adapter import FileAdapter


class Markdown(FileAdapter):
    """Read Markdown: ``text`` with headings, items, tables, code and quotes, and ``links``.

    The title is that of the head (``---`` around plain entries as ``title: …``), or else the one heading at the top; ``author``,
    ``date``, ``tags`` and their like there become ``author``, ``created``, ``keywords``.
    Dead letters: ``document.too_large`` (a bound is exceeded), ``document.no_text``.
    """

    icon = "file-text"
    tags = ("format", "text")
    reader = "markdown_reader"
    example = Example(
        takes=Packet({"data": b"# Looms\n\nA loom has a [warp](https://example.org/warp)."}),
        gives=Packet.from_document(
            {"title": "Looms", "links": ["https://example.org/warp"], "text": "Looms\n\nA loom has a warp."}
        ),
    )
    accepts: ClassVar[tuple[str, ...]] = ("text/markdown", "text/x-markdown")
