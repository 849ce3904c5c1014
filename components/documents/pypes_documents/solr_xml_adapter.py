"""SolrXML: documents in the XML that is posted to Solr."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import Bounds, MaxParts


class SolrXML(FileAdapter):
    """Read the XML that clients post to Solr: one packet for each ``<doc>``, with a field for each ``<field>``.

    As with JSON, a document whose field ``id`` is set has that id, unless the file has one: then documents are its parts
    ``row=1``, ``row=2`` … An ``<id>`` in ``<delete>`` is a deletion.

    Dead letters: ``document.malformed`` (also for ``<delete><query>``; documents before the damage were sent),
    ``document.too_large`` (a bound is exceeded), ``document.no_text`` (no documents, or one without any value).
    """

    icon = "code-xml"
    tags = ("format", "xml")
    reader = "solr_reader"
    parts = "documents"
    example = Example(
        takes=Packet(
            {
                "data": b'<add><doc><field name="id">7</field><field name="title">Looms</field>'
                b'<field name="tag">a</field><field name="tag">b</field></doc></add>'
            }
        ),
        gives=Packet.from_document({"id": "7", "title": "Looms", "tag": ["a", "b"]}, {"row": 1}),
    )
    accepts: ClassVar[tuple[str, ...]] = ("application/vnd.solr+xml",)

    class Params(Bounds):
        max_parts: MaxParts = 10_000
