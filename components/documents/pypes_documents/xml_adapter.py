"""XML: its text, or fields that XPath finds in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pypes import Example, Help, Packet
from pypes_basic.passing import passes
from pypes_documents.file_adapter import FileAdapter
from pypes_documents.job import TextBounds

if TYPE_CHECKING:
    from pypes_documents.xml_reader import Path


class XML(FileAdapter):
    """Read XML: all of its text, or the values that XPath 1.0 finds, in one packet or in one for each of ``rows``.

    Without ``fields``, ``text`` has a block for each element with text of its own; elements called ``title`` or ``head`` are
    headings. With them, a field has the text of the element or attribute that its XPath finds, and several values if there are
    several. ``rows`` finds elements, each of which is a part ``row=1``, ``row=2`` … with ``fields`` looked for in it
    (``./name``). A namespace has a prefix in ``namespaces``, also the default one of the document.

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

    class Params(TextBounds):
        fields: Annotated[dict[str, str], Help("Fields, and the XPath of each. Empty: field text has all text.")] = {}
        rows: Annotated[str, Help("XPath of the elements that are parts. Empty: the document is one packet.")] = ""
        namespaces: Annotated[dict[str, str], Help("Prefixes in XPath, and the namespaces that they stand for.")] = {}

        def __post_init__(self) -> None:
            if self.rows and not self.fields:
                raise ValueError("rows needs fields that are looked for in each of them")
            compiled(self)

    def setup(self) -> None:
        super().setup()
        from pypes_documents.xml_reader import find

        self._find = find
        self._fields, self._rows = compiled(self.params)

    def process(self, packet: Packet) -> Any:
        if passes(packet):
            return packet
        if not self._fields:
            return super().process(packet)
        self.send_parts(self._find(packet, self.job(), self._fields, self._rows))
        return None


def compiled(params: XML.Params) -> tuple[dict[str, Path], Path | None]:
    """The XPath of fields and rows, ready to be used. Raises ``ValueError`` that names one that is none."""
    if not params.fields:
        return {}, None
    from pypes_documents.xml_reader import Path

    fields = {name: Path(name, path, params.namespaces) for name, path in params.fields.items()}
    if not params.rows:
        return fields, None
    rows = Path("rows", params.rows, params.namespaces)
    if not isinstance(rows.of_nothing, list):
        raise ValueError(f"rows: {params.rows!r} finds no elements, but a value")
    return fields, rows
