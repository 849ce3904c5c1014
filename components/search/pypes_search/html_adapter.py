"""HTML: title, text, links and metadata of a page."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, ClassVar
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from pypes.component import Adapter
from pypes.core.parameters import Help, Parameters
from pypes.packet import Packet
from pypes_basic.charset import Found, decode
from pypes_basic.labels import UTF_8, split_mark
from pypes_basic.whole import read_whole

#: What a reader does not see.
INVISIBLE = ["script", "style", "noscript", "template", "svg"]

#: Links within the page are passed over by the parser itself: pages of code have one per line.
LINKS = 'a[href]:not([href^="#"])'
NO_LINKS = ("#", "javascript:", "data:")

DECLARED_BYTES = 1024
DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE)


class HTML(Adapter):
    """Read a page: ``title``, ``text`` without scripts and styles, ``links`` (multi-valued), and metadata.

    ``<meta name=x>`` and ``<meta property=x>`` become fields ``meta.x``; the language becomes field ``language``.
    The character set is that of the content type, the page's own word, or found out; it is left in the
    packet's metadata as ``charset``. Links are made absolute where the page or metadata ``url`` says against what.
    """

    accepts: ClassVar[tuple[str, ...]] = ("text/html", "application/xhtml+xml")

    class Params(Parameters):
        links: Annotated[bool, Help("Collect the links.")] = True
        metadata: Annotated[bool, Help("Collect the metadata.")] = True
        max_bytes: Annotated[int, Help("Longer pages are rejected: a page is parsed whole, in memory.", ge=1)] = 16 * 1024 * 1024

    def process(self, packet: Packet) -> Packet:
        if packet.is_deletion:
            return packet
        data = read_whole(packet, self.params.max_bytes, "html.too_large")
        source, found = _decoded(data, packet.get_meta("charset"))
        # GAP: the parser needs quadratic time for tags nested, or attributes of one tag, in their tens of thousands
        # (20,000 take 0.5 s), and nothing here stops it; where pages are hostile, derive a class with isolated = True.
        tree = LexborHTMLParser(source)
        packet.delete("data")
        for name, value in found.metadata.items():
            packet.set_meta(name, value)
        if self.params.metadata:
            _set_metadata(packet, tree)
        if self.params.links:
            _set_links(packet, tree)
        title = tree.css_first("title")
        packet.set("title", " ".join(title.text().split()) if title else "")
        tree.strip_tags(INVISIBLE)
        # each piece apart: neighbouring cells and list items must not become one word
        packet.set("text", " ".join(tree.body.text(separator=" ").split()) if tree.body else "")
        return packet


def _decoded(data: bytes, declared: str | None) -> tuple[str | bytes, Found]:
    """The page for the parser (bytes if UTF-8: it takes those as they are) and what was found of its character set."""
    mark, marked = split_mark(data[:4])
    if not marked and not declared:
        tag = DECLARED.search(data, 0, DECLARED_BYTES)
        declared = tag[1].decode("ascii") if tag else None
    text, found = decode(data, declared)
    return (data[mark:] if found.charset == UTF_8 else text), found


def _set_metadata(packet: Packet, tree: LexborHTMLParser) -> None:
    for node in tree.css("meta[content]"):
        attributes = node.attributes
        name = attributes.get("name") or attributes.get("property")
        content = attributes.get("content")
        if name and content:
            field = f"meta.{name.strip().lower()}"
            if packet.has(field):
                packet.append(field, content)
            else:
                packet.set(field, content)
    language = tree.root.attributes.get("lang") if tree.root else None
    if language:
        packet.set("language", language)


def _set_links(packet: Packet, tree: LexborHTMLParser) -> None:
    base_node = tree.css_first("base[href]")
    base = (base_node.attributes.get("href") if base_node else None) or packet.get_meta("url") or ""
    found: dict[str, None] = {}
    for node in tree.css(LINKS):
        target = (node.attributes.get("href") or "").strip()
        if not target or target.startswith(NO_LINKS):
            continue
        if base:
            # what is not an address, as found on real pages, is kept as it stands
            with suppress(ValueError):
                target = urljoin(base, target)
        found[target] = None
    packet.set("links", list(found), multi=True)
