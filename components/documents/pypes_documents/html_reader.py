"""The text of a page with its structure, and the facts that it tells of itself."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pypes import Packet, Reject
from pypes_basic.charset import Found, decode
from pypes_basic.labels import UTF_8, labelled, split_mark
from pypes_documents.dates import date_of_w3c
from pypes_documents.effort import eased, is_too_nested
from pypes_documents.flow import OUT_OF_LINE, SPACE, plain, spaced, take_out
from pypes_documents.job import Job, Text, finish
from pypes_documents.page_blocks import add_blocks, without_marks
from pypes_documents.plain import as_list
from pypes_documents.prescan import declared_charset

#: Elements with facts that a page tells of itself, with the base of its links, and those that do not belong to its text.
_NODES: Final = f"meta[content], base[href], {OUT_OF_LINE}"
#: Links within the page are passed over by the parser itself: pages of code have one per line.
_LINKS: Final = 'a[href]:not([href^="#"])'
_NO_LINKS: Final = ("#", "javascript:", "data:")

_EMPTY: Final = "the page has no text; if scripts make it, post what a browser shows"
#: Elements whose content is elsewhere, or made by a browser.
_DRAWN: Final = "script, frameset, frame, iframe, object, embed"

#: Metadata of pages by the fields that they are, those that come first going before.
_FACTS: Final = {
    "author": ("author", "dc.creator", "dcterms.creator", "article:author"),
    "description": ("description", "og:description", "dc.description"),
    "keywords": ("keywords",),
    "created": ("article:published_time", "dcterms.created", "dc.date", "date"),
    "modified": ("article:modified_time", "dcterms.modified", "last-modified"),
}


class Page(NamedTuple):
    """A page that was parsed, with the elements that were found in it, and its character set."""

    tree: LexborHTMLParser
    nodes: list[LexborNode]
    found: Found

    @property
    def metadata(self) -> dict[str, list[str]]:
        """The values of ``<meta>`` by their names."""
        told: dict[str, list[str]] = {}
        for node in self.nodes:
            if node.tag == "meta":
                attributes = node.attributes
                name = attributes.get("name") or attributes.get("property")
                content = (attributes.get("content") or "").replace(SPACE, "")
                if name and content:
                    told.setdefault(name.strip().lower(), []).append(content)
        return told

    @property
    def language(self) -> str:
        return (self.tree.root.attributes.get("lang") if self.tree.root else None) or ""

    @property
    def title(self) -> str:
        title = self.tree.css_first("title")
        return plain(title.text()) if title else ""

    def links(self, url: str) -> list[str]:
        """The addresses that it links to, absolute where it, or else ``url``, says against what."""
        bases = (node.attributes.get("href") for node in self.nodes if node.tag == "base")
        base = (next(bases, None) or "").replace(SPACE, "") or url
        found: dict[str, None] = {}
        # PERF: attrs looks up the one, attributes makes a dict of all; pages link to the same again and again
        for href in dict.fromkeys([node.attrs["href"] for node in self.tree.css(_LINKS)]):
            target = (href or "").replace(SPACE, "").strip()
            if not target or target.startswith(_NO_LINKS):
                continue
            if base:
                # what is not an address, as found on real pages, is kept as it stands
                with suppress(ValueError):
                    target = urljoin(base, target)
            found[target] = None
        return list(found)

    @property
    def fault_if_empty(self) -> str:
        """The fault of a page without text; none where all that it has to tell is its title. Ask before :meth:`add_text`."""
        return "" if self.title and self.tree.css_first(_DRAWN) is None else _EMPTY

    def add_text(self, text: Text, *, main: bool = False) -> None:
        """Add its blocks, with ``main`` those of its main content; call it last, since it changes the tree."""
        take_out(self.nodes)
        add_blocks(text, _main_content(self.tree) if main else self.tree)


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text, links and facts of a page."""
    fill(packet, job.take(packet), job.text())


def fill(packet: Packet, data: bytes, text: Text, *, links: bool = True, metadata: bool = True, main: bool = False) -> None:
    """Fill a packet with a page: with ``main`` the text of its main content; its links and metadata only if they are wanted."""
    page = parsed(data, packet.get_meta("charset"))
    for name, value in page.found.metadata.items():
        packet.set_meta(name, value)
    told: dict[str, Any] = {}
    if metadata:
        found = page.metadata
        for name, values in found.items():
            packet.set(f"meta.{name}", values if len(values) > 1 else values[0], multi=len(values) > 1)
        told = {**facts(found), "language": page.language}
    if links:
        told["links"] = page.links(packet.get_meta("url") or "")
    title, fault = page.title, page.fault_if_empty
    page.add_text(text, main=main)
    finish(packet, text, {**told, "title": title or text.title}, empty=fault)


def parsed(data: bytes, charset: str | None) -> Page:
    """Parse a page. Raises ``Reject`` where that would take minutes."""
    source, found = _decoded(data, charset)
    if is_too_nested(source):
        # GAP: hostile pages get by; timeout_s of the filter ends those, and a class with isolated = True costs nobody else
        raise Reject("tags nest, or one tag has attributes, in their tens of thousands; mend the page", "html.too_nested")
    tree = LexborHTMLParser(spaced(eased(without_marks(source))))
    # PERF: one walk over the page for all but the links, which are many
    return Page(tree, tree.css(_NODES), found)


def facts(metadata: dict[str, list[str]]) -> dict[str, Any]:
    """Fields of the vocabulary from the metadata of a page."""
    found: dict[str, Any] = {}
    for field, names in _FACTS.items():
        values = next((metadata[name] for name in names if name in metadata), None)
        if values is None:
            continue
        if field in ("created", "modified"):
            found[field] = date_of_w3c(values[0])
        elif field == "keywords":
            found[field] = [word for value in values for word in as_list(value)]
        else:
            found[field] = values if field == "author" else values[0]
    return found


def fragment_text(source: str, text: Text) -> None:
    """Add the blocks of a piece of HTML within another format."""
    parsed(source.encode("utf-8", "replace"), "utf-8").add_text(text)


def _main_content(tree: LexborHTMLParser) -> LexborHTMLParser:
    """The main content of a page, as resiliparse finds it: headings, paragraphs, lists and code, without tables."""
    from resiliparse.extract.html2text import extract_plain_text

    content = extract_plain_text(tree.html or "", preserve_formatting="minimal_html", main_content=True, alt_texts=False)
    return LexborHTMLParser(spaced(content))


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
