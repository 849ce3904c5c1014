"""XML: its text, or fields that XPath finds in it."""

from __future__ import annotations

from typing import Any, ClassVar

from pypes import Example, Packet
from pypes_basic.passing import passes
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import MIB, MaxChars
from pypes_documents.xml_params import XMLParams, rules_of


class XML(FileAdapter):
    """Read XML: all of its text, or the values that XPath 1.0 finds, in one packet or in one for each of ``rows``.

    Without ``fields``, ``text`` has a block for each element with text of its own; elements called ``title`` or ``head`` are
    headings. With them, a field has the text of the element or attribute that its XPath finds, and several values if there are
    several, or what its rule says: ``{"path": "//tag", "mode": "append", "default": "none"}`` has all in one text, and ``none``
    where there is none. ``rows`` finds elements, each of which is a part ``row=1``, ``row=2`` … with ``fields`` looked for in it
    (``./name``). A namespace has a prefix in ``namespaces``, also the default one of the document. ``map`` is a file
    of rules as the original Pypes had them, in place of all three; it is read at set-up.

    Nothing outside of the document is read, and its entities are not replaced. Dead letters: ``document.malformed``,
    ``document.too_large`` (a bound is exceeded), ``document.no_text`` (no text, or nothing is found), ``xml.xpath`` (an XPath
    cannot be evaluated in this document).
    """

    icon = "code-xml"
    tags = ("format", "xml")
    reader = "xml_reader"
    parts = "rows"
    example = Example(
        takes=Packet({"data": b"<list><part size='3'>pirn</part><part>heddle</part></list>"}),
        gives=[Packet({"name": "pirn", "cm": "3"}, {"row": 1}), Packet({"name": "heddle"}, {"row": 2})],
        params={"rows": "//part", "fields": {"name": ".", "cm": "@size"}},
    )
    accepts: ClassVar[tuple[str, ...]] = ("text/xml", "application/xml")

    class Params(XMLParams):
        max_chars: MaxChars = 32 * MIB

    def setup(self) -> None:
        super().setup()
        self._rules = rules_of(self.params, self.data_dir)

    def process(self, packet: Packet) -> Any:
        if passes(packet):
            return packet
        if self._rules is None:
            return super().process(packet)
        from pypes_documents.xml_fields import find
        from pypes_documents.xml_reader import tree_of

        job = self.job()
        root = tree_of(job.take(packet))
        self.send_parts(find(packet, root, self._rules, job))
        return None
