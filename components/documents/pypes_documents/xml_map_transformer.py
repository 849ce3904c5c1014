"""XMLMap: fields of the XML in a field, by rules."""

from __future__ import annotations

from typing import Annotated, Any

from pypes import Example, Help, Packet, Reject, Transformer
from pypes_documents.fates import Fates
from pypes_documents.job import TOO_LARGE, Job
from pypes_documents.xml_params import XMLParams, rules_of


class XMLMap(Transformer):
    """Set fields to what XPath finds in the XML that another field holds, as text or as bytes.

    Rules are those of ``XML``, which reads documents: ``fields``, ``rows`` and ``namespaces``, or ``map``, a file of rules as the
    original Pypes had them. The field with the XML is deleted. With ``rows``, each element that it finds is a part ``row=1``,
    ``row=2`` … with all other fields of the packet. A packet without the field, a deletion included, goes on as it is.

    Dead letters: ``document.malformed``, ``document.too_large`` (a bound is exceeded), ``document.no_text`` (nothing is found),
    ``xml.xpath`` (an XPath cannot be evaluated in this document), ``xml.field`` (the field has several values, or no text).
    """

    icon = "code-xml"
    tags = ("format", "xml")
    isolated = True
    timeout_s = 60.0
    example = Example(
        takes=Packet({"xml": "<part size='3'><name>pirn</name><of>shuttle</of><of>loom</of></part>", "shelf": "B1"}),
        gives=Packet({"name": "pirn", "of": "shuttle loom", "colour": "none", "shelf": "B1"}),
        params={
            "fields": {
                "name": "//name",
                "of": {"path": "//of", "mode": "append"},
                "colour": {"path": "//@colour", "default": "none"},
            }
        },
    )

    class Params(XMLParams):
        field: Annotated[str, Help("Field that holds the XML.", min_length=1)] = "xml"

        def __post_init__(self) -> None:
            if not (self.fields or self.map):
                raise ValueError("give rules: fields, or map")
            super().__post_init__()

    def setup(self) -> None:
        self._rules = rules_of(self.params, self.data_dir)

    def process(self, packet: Packet) -> Any:
        if self._rules is None or packet.is_deletion or (value := self._value(packet)) is None:
            return packet
        from pypes_documents.xml_fields import find
        from pypes_documents.xml_reader import tree_of

        data, charset = (value, None) if isinstance(value, bytes) else (value.encode("utf-8", "replace"), "utf-8")
        if len(data) > self.params.max_bytes:
            raise Reject(f"the XML is longer than max_bytes ({self.params.max_bytes}); raise it or split it", TOO_LARGE)
        root = tree_of(data, charset)
        packet.delete(self.params.field)
        Fates("rows").send_all(find(packet, root, self._rules, Job(self.params)), self.send)
        return None

    def _value(self, packet: Packet) -> str | bytes | None:
        """The XML of a packet; ``None`` without the field. Raises ``Reject`` if that holds anything else."""
        name = self.params.field
        value = packet.get(name)
        if packet.is_multivalued(name):
            if len(value) > 1:
                raise Reject(
                    f"field {name} has {len(value)} values, of which only one could be read; put Each before it,"
                    " which makes a part of each",
                    "xml.field",
                )
            value = value[0] if value else None
        if value is None or isinstance(value, (str, bytes)):
            return value
        try:
            with packet.open(name) as body:
                return body.read(self.params.max_bytes + 1)
        except TypeError:
            raise Reject(f"field {name} holds {type(value).__name__}; give it XML as text or bytes", "xml.field") from None
