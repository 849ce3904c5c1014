"""HTML: title, text, links and metadata of a page."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, ClassVar
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pypes import Adapter, Example, Help, Packet, Parameters, Reject
from pypes_basic.charset import Found, decode
from pypes_basic.labels import UTF_8, labelled, split_mark
from pypes_basic.whole import read_whole
from pypes_documents.effort import eased, is_too_nested
from pypes_documents.flow import OUT_OF_LINE, SPACE, plain, running_text, spaced
from pypes_documents.prescan import declared_charset

#: Elements with what a page says about itself, with the base of its links, and those that do not belong to its text.
NODES = f"meta[content], base[href], {OUT_OF_LINE}"
#: Links within the page are passed over by the parser itself: pages of code have one per line.
LINKS = 'a[href]:not([href^="#"])'
NO_LINKS = ("#", "javascript:", "data:")


class HTML(Adapter):
    """Read a page: ``title``, ``text`` without scripts and styles, ``links`` (multi-valued), and metadata.

    Markup within a line (``<b>``, ``<wbr>``, ``<a>`` …) does not end a word of the text; blocks, cells and ``<br>`` do.
    ``<meta name=x>`` and ``<meta property=x>`` become fields ``meta.x``; the language becomes field ``language``.
    The character set is that of the content type, what the page declares where HTML looks for it, or found out; what was found
    is left in the packet's metadata as Text does: ``charset``, ``charset_declared``, ``charset_guessed``,
    ``replaced_characters``. Links are made absolute where the page or metadata ``url`` says against what.
    """

    icon = "code"
    tags = ("format", "web")
    example = Example(
        takes=Packet({"data": b"<title>Ada</title><p>Wrote the <b>first</b> program. <a href='/alan'>Alan</a>"}),
        gives=Packet.from_document({"title": "Ada", "text": "Wrote the first program. Alan", "links": ["/alan"]}),
    )

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
        if is_too_nested(source):
            # GAP: hostile pages get by; timeout_s of the filter ends those, and a class with isolated = True costs nobody else
            raise Reject("tags nest, or one tag has attributes, in their tens of thousands; mend the page", "html.too_nested")
        tree = LexborHTMLParser(spaced(eased(source)))
        packet.delete("data")
        for name, value in found.metadata.items():
            packet.set_meta(name, value)
        # PERF: one walk over the page for all but the links, which are many
        nodes = tree.css(NODES)
        if self.params.metadata:
            _set_metadata(packet, tree, nodes)
        if self.params.links:
            _set_links(packet, tree, nodes)
        title = tree.css_first("title")
        packet.set("title", plain(title.text()) if title else "")
        packet.set("text", running_text(tree, nodes))
        return packet


def _decoded(data: bytes, declared: str | None) -> tuple[str | bytes, Found]:
    """The page for the parser (bytes if sound UTF-8: it takes those as they are) and what was found of its character set."""
    mark, marked = split_mark(data[:4])
    if not marked and (declared is None or labelled(declared) is None):
        declared = declared_charset(data) or declared
    if data.isascii() and (declared is None or labelled(declared) == UTF_8):
        # PERF: nothing to look at, and most pages
        return data, Found(UTF_8)
    text, found = decode(data, declared)
    return (data[mark:] if found.charset == UTF_8 and not found.replaced else text), found


def _set_metadata(packet: Packet, tree: LexborHTMLParser, nodes: list[LexborNode]) -> None:
    for node in nodes:
        if node.tag != "meta":
            continue
        attributes = node.attributes
        name = attributes.get("name") or attributes.get("property")
        content = (attributes.get("content") or "").replace(SPACE, "")
        if name and content:
            field = f"meta.{name.strip().lower()}"
            if packet.has(field):
                packet.append(field, content)
            else:
                packet.set(field, content)
    language = tree.root.attributes.get("lang") if tree.root else None
    if language:
        packet.set("language", language)


def _set_links(packet: Packet, tree: LexborHTMLParser, nodes: list[LexborNode]) -> None:
    bases = (node.attributes.get("href") for node in nodes if node.tag == "base")
    base = (next(bases, None) or "").replace(SPACE, "") or packet.get_meta("url") or ""
    found: dict[str, None] = {}
    # PERF: attrs looks up the one, attributes makes a dict of all; pages link to the same again and again
    for href in dict.fromkeys([node.attrs["href"] for node in tree.css(LINKS)]):
        target = (href or "").replace(SPACE, "").strip()
        if not target or target.startswith(NO_LINKS):
            continue
        if base:
            # what is not an address, as found on real pages, is kept as it stands
            with suppress(ValueError):
                target = urljoin(base, target)
        found[target] = None
    packet.set("links", list(found), multi=True)
