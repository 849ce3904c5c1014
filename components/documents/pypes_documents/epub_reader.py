"""The text of an EPUB (EPUB 2 and 3), document by document in the order of its spine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pypes import Packet, Reject
from pypes_documents.dates import date_of_w3c
from pypes_documents.html_reader import parsed
from pypes_documents.job import ENCRYPTED, MALFORMED, Job, finish
from pypes_documents.packages import opened, resolved
from pypes_documents.pages import Pages
from pypes_documents.plain import as_list

_PAGES: Final = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
#: Obscured fonts are no encryption of the text.
_FONTS: Final = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text and the facts of a book."""
    with opened(packet, job, "EPUB") as package:
        container = package.tree("META-INF/container.xml")
        roots = [] if container is None else [root.get("full-path", "") for root in container.iter("{*}rootfile")]
        name = next((root for root in roots if root in package.names), "")
        if not name:
            raise Reject("the EPUB is damaged, or none: META-INF/container.xml names no book", MALFORMED)
        locks = package.tree("META-INF/encryption.xml")
        if locks is not None and any(_method(lock) not in _FONTS for lock in locks.iter("{*}EncryptedData")):
            raise Reject("the EPUB is encrypted (DRM); get it without", ENCRYPTED)
        book = package.root(name)
        text = job.text()
        pages = Pages("EPUB", "chapter")
        count = 0
        for part in _chapters(book, name):
            count += 1
            with pages.reading(count):
                parsed(package.read(part), "utf-8").add_text(text)
        pages.check(count, text)
        finish(packet, text, _facts(book))
        pages.put(packet)


def _chapters(book: Any, name: str) -> Iterator[str]:
    """The parts with the documents of a book, in the order of its spine."""
    items = {item.get("id"): item for item in book.iter("{*}item")}
    for entry in book.iter("{*}itemref"):
        item = items.get(entry.get("idref"))
        if item is None:
            yield f"of the spine {entry.get('idref')!r}"  # which is missing
        elif item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or "").split():
            yield resolved(name, item.get("href", ""))


def _method(lock: Any) -> str:
    """The algorithm by which a file in the book is encrypted."""
    method = lock.find("{*}EncryptionMethod")
    return "" if method is None else str(method.get("Algorithm", ""))


def _facts(book: Any) -> dict[str, Any]:
    found: dict[str, list[str]] = {}
    changed = ""
    for node in book.iter():
        if not isinstance(node.tag, str):
            continue
        if node.tag.startswith("{http://purl.org/dc/elements/1.1/}") and (node.text or "").strip():
            found.setdefault(node.tag.rpartition("}")[2], []).append(node.text)
        elif node.get("property") == "dcterms:modified":
            changed = node.text or ""
    dates = [date for value in found.get("date", ()) if (date := date_of_w3c(value))]
    return {
        "title": "".join(found.get("title", ())[:1]),
        "author": found.get("creator", []),
        "created": dates[0] if dates else "",
        "modified": date_of_w3c(changed),
        "language": "".join(found.get("language", ())[:1]),
        "description": "".join(found.get("description", ())[:1]),
        "keywords": [word for value in found.get("subject", ()) for word in as_list(value)],
    }
