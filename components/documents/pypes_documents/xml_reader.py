"""The text of XML, or fields that are found in it by XPath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lxml import etree

from pypes import Packet, Reject
from pypes_documents.job import MIB, NO_TEXT, TOO_LARGE, Job, Text, Unread, finish, put_facts
from pypes_documents.safe_xml import OPTIONS, fault_of

#: A document becomes a tree, which takes ten times as much memory.
MOST_BYTES: Final = 32 * MIB
#: Elements with headings in the schemas for texts (DocBook, TEI, JATS, DITA).
_TITLES: Final = frozenset(("title", "head", "h1", "h2", "h3", "h4", "h5", "h6"))


def tree_of(data: bytes) -> Any:
    """The root of a document. Nothing outside of it is read, and entities of its own are not replaced."""
    if len(data) > MOST_BYTES:
        raise Reject(f"the XML is longer than {MOST_BYTES} bytes; split it", TOO_LARGE)
    try:
        return etree.fromstring(data, etree.XMLParser(**OPTIONS, remove_comments=True))
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


class Path:
    """An XPath that is used for many documents."""

    def __init__(self, name: str, path: str, namespaces: Mapping[str, str]) -> None:
        """``name`` says what it is for. Raises ``ValueError`` if it is none, or cannot be evaluated."""
        self._what = f"{name}: {path!r}"
        self.path = path
        try:
            self._find = etree.XPath(path, namespaces=dict(namespaces) or None, smart_strings=False)
        except (etree.XPathError, TypeError, ValueError) as error:
            raise ValueError(f"{self._what} is no XPath: {error}") from error
        try:
            #: The result for a document with nothing in it.
            self.of_nothing = self(etree.Element("nothing"))
        except Reject as error:
            raise ValueError(str(error)) from error

    def __call__(self, element: Any) -> Any:
        """The elements, attributes, texts, or the one value that it finds. Raises ``Reject`` where it cannot be evaluated."""
        try:
            return self._find(element)
        except etree.XPathError as error:  # also for prefixes, variables and functions that nobody has declared
            raise Reject(f"{self._what} cannot be evaluated: {error}", "xml.xpath") from error


def find(packet: Packet, job: Job, fields: Mapping[str, Path], rows: Path | None) -> Iterator[Packet | Unread]:
    """The packet with the fields that are found in it, or with ``rows``, a part for each element that these give."""
    root = tree_of(job.take(packet))
    if rows is None:
        put_found(packet, root, fields)
        yield packet
        return
    found = [element for element in rows(root) if isinstance(getattr(element, "tag", None), str)]
    if not found:
        raise Reject(f"no element of the XML is {rows.path}", NO_TEXT)
    for number, element in enumerate(found, 1):
        row = packet.derive("row", number, meta={"row": number})
        try:
            put_found(row, element, fields)
        except Reject as fault:
            yield Unread(row.part, fault)
        else:
            yield row


def put_found(packet: Packet, element: Any, fields: Mapping[str, Path]) -> None:
    """Set the fields that are found below an element; one with several values is multi-valued."""
    found = {name: _values(path(element)) for name, path in fields.items()}
    if not any(found.values()):
        raise Reject(f"none of {', '.join(fields)} is found in the XML", NO_TEXT)
    put_facts(packet, {name: values[0] if len(values) == 1 else values for name, values in found.items()})


def _values(found: Any) -> list[str]:
    """The texts of what an XPath has found: elements, attributes, texts, or one number, text or truth."""
    if not isinstance(found, list):
        if isinstance(found, bool):
            return [str(found).lower()]
        found = [format(found, ".15g") if isinstance(found, float) else found]
    return [value for each in found if (value := " ".join(_text(each).split()))]


def _text(found: Any) -> str:
    if isinstance(found, str):
        return found
    if isinstance(found, tuple):  # a namespace: prefix and address
        return found[1] or ""
    return "".join(found.itertext()) if isinstance(found.tag, str) else found.text or ""
