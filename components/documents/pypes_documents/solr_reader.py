"""Documents in the XML of updates of Solr: ``<add><doc><field name="…">``, and ``<delete><id>``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

from lxml import etree

from pypes import Packet, Reject
from pypes_documents.job import MALFORMED, NO_TEXT, Job, Unread
from pypes_documents.plain import plain_text
from pypes_documents.safe_xml import OPTIONS, fault_of

_ROOTS: Final = ("add", "delete", "update", "docs", "response", "result")


def read(packet: Packet, job: Job) -> Iterator[Packet | Unread]:
    """Yield the documents, and the deletions of others."""
    data = job.take(packet)
    meta = packet.get_metas()[0]
    has_names = packet.id is not None or bool(packet.part)
    number = 0
    try:
        for event, element in etree.iterparse(io.BytesIO(data), events=("start", "end"), **OPTIONS):
            if event == "start":
                if element.getparent() is None and element.tag not in _ROOTS:
                    raise Reject(f"it is no XML of Solr: its root is <{element.tag}>, not <add> or <delete>", MALFORMED)
                continue
            parent = element.getparent()
            if element.tag == "doc" and parent is not None and parent.tag != "doc":
                number += 1
                job.begin_part()
                fields = _fields(element)
                if not any(fields.values()):
                    yield Unread.of(packet, "row", number, Reject("the document has no field with a value", NO_TEXT))
                elif has_names:
                    yield packet.derive("row", number, fields, {"row": number})
                else:
                    yield Packet.from_document(fields, {**meta, "row": number})
                parent.remove(element)
            elif element.tag == "id" and parent is not None and parent.tag == "delete" and (element.text or "").strip():
                number += 1
                yield Packet({}, {**meta, "requestmethod": "DELETE", "id": element.text.strip()})
            elif element.tag == "query" and parent is not None and parent.tag == "delete":
                raise Reject("<delete><query> asks an index which documents to delete; name their ids", MALFORMED)
    except etree.XMLSyntaxError as error:
        raise fault_of(error, f"after document {number}, the XML is malformed") from error
    if not number:
        raise Reject("there is no <doc> in it, and no <id> to delete", NO_TEXT)


def _fields(element: object) -> dict[str, object]:
    """The fields of a document; one that comes more than once has several values. Documents within it are passed over."""
    found: dict[str, list[str]] = {}
    for field in element.iterchildren("field"):  # type: ignore[attr-defined]
        name = field.get("name")
        if name and field.get("update", "set") in ("set", "add"):
            found.setdefault(name, []).append(plain_text("".join(field.itertext())))
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}
