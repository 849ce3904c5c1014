"""HTML: title, text with structure, links and metadata of a page."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, ClassVar

from pypes import Adapter, Example, Help, Packet
from pypes_basic.passing import passes
from pypes_basic.whole import read_whole
from pypes_documents.html_reader import fill
from pypes_documents.job import MIB, Text, TextBounds


class HTML(Adapter):
    """Read a page: ``title`` (or the one heading at the top), ``text`` without scripts and styles, ``links``, and metadata.

    The text has the structure of the page: headings, items, tables, code and quotes. Markup within a line (``<b>``, ``<wbr>``,
    ``<a>`` …) does not end a word of the text; blocks, cells and ``<br>`` do.
    ``<meta name=x>`` and ``<meta property=x>`` become fields ``meta.x``, and where they say so the fields ``author``,
    ``description``, ``keywords``, ``created`` and ``modified``; the language becomes field ``language``.
    The character set is that of the content type, what the page declares where HTML looks for it, or found out; what was found
    is left in the packet's metadata as Text does: ``charset``, ``charset_declared``, ``charset_guessed``,
    ``replaced_characters``. Links are made absolute where the page or metadata ``url`` says against what.

    Dead letters: ``document.no_text`` (not where the title is all that there is, and no script or frame brings more),
    ``html.too_large`` (``max_bytes``), ``document.too_large`` (``max_chars``), ``html.too_nested`` (a page that would take the
    parser minutes).
    """

    icon = "code"
    tags = ("format", "web")
    example = Example(
        takes=Packet({"data": b"<title>Ada</title><p>Wrote the <b>first</b> program. <a href='/alan'>Alan</a>"}),
        gives=Packet.from_document({"title": "Ada", "text": "Wrote the first program. Alan", "links": ["/alan"]}),
    )

    accepts: ClassVar[tuple[str, ...]] = ("text/html", "application/xhtml+xml")

    class Params(TextBounds):
        links: Annotated[bool, Help("Collect the links.")] = True
        metadata: Annotated[bool, Help("Collect the metadata.")] = True
        main: Annotated[
            bool,
            Help("Read the main content only, without menus and the like; needs pip install 'pypes-documents[main]'."),
        ] = False
        max_bytes: Annotated[int, Help("Longer pages are rejected: a page is parsed whole, in memory.", ge=1)] = 16 * MIB

        def __post_init__(self) -> None:
            if self.main and find_spec("resiliparse") is None:
                raise ValueError("main needs resiliparse, not installed here; run pip install 'pypes-documents[main]'")

    def process(self, packet: Packet) -> Packet:
        if passes(packet):
            return packet
        params = self.params
        data = read_whole(packet, params.max_bytes, "html.too_large")
        packet.delete("data")
        fill(packet, data, Text(params.max_chars), links=params.links, metadata=params.metadata, main=params.main)
        return packet
