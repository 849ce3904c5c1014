"""The tree of XML, and the text of it."""

from __future__ import annotations

from typing import Any, Final

from lxml import etree

from pypes import Packet, Reject
from pypes_documents.job import MIB, TOO_LARGE, Job, Text, finish
from pypes_documents.safe_xml import OPTIONS, fault_of

#: A document becomes a tree, which takes ten times as much memory.
MOST_BYTES: Final = 32 * MIB
#: Elements with headings in the schemas for texts (DocBook, TEI, JATS, DITA).
_TITLES: Final = frozenset(("title", "head", "h1", "h2", "h3", "h4", "h5", "h6"))


def tree_of(data: bytes, charset: str | None = None) -> Any:
    """The root of a document. Nothing outside of it is read, and entities of its own are not replaced.

    Without ``charset``, the document says itself which it has.
    """
    if len(data) > MOST_BYTES:
        raise Reject(f"the XML is longer than {MOST_BYTES} bytes; split it", TOO_LARGE)
    try:
        return etree.fromstring(data, etree.XMLParser(**OPTIONS, remove_comments=True, encoding=charset))
    except etree.XMLSyntaxError as error:
        raise fault_of(error, "the XML is malformed") from error


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text of XML."""
    root = tree_of(job.take(packet))
    text = job.text()
    _add(root, text)
    language = root.get("{http://www.w3.org/XML/1998/namespace}lang") or ""
    finish(packet, text, {"title": text.title, "language": language}, empty="there is no text in the XML, only elements")


def _add(root: Any, text: Text) -> None:
    """Add a block for each element with text of its own, with all that is in it; what holds only elements is gone through."""
    waiting: list[tuple[Any, int]] = [(root, 0)]
    while waiting:
        element, depth = waiting.pop()
        if not isinstance(element.tag, str):
            continue
        name = element.tag.rpartition("}")[2].lower()
        if (element.text or "").strip() or any((child.tail or "").strip() for child in element):
            line = " ".join("".join(element.itertext()).split())
            if name in _TITLES:
                text.add(line, "heading", level=int(name[1]) if name[1:].isdecimal() else max(depth, 1))
            else:
                text.add(line)
            continue
        is_section = any(isinstance(child.tag, str) and child.tag.rpartition("}")[2].lower() in _TITLES for child in element)
        waiting += [(child, depth + is_section) for child in reversed(element)]
