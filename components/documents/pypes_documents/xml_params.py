"""Parameters of components that find fields in XML by rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pypes import Help
from pypes.errors import ComponentError
from pypes_documents.job import MIB, Bounds, MaxParts, MaxUnpackedBytes
from pypes_documents.xml_rule import Rule

if TYPE_CHECKING:
    from pypes_documents.xml_fields import Rules

#: A map has a line for each field.
_MOST_MAP_BYTES = 1 << 20


class XMLParams(Bounds):
    max_unpacked_bytes: MaxUnpackedBytes = 256 * MIB
    max_parts: MaxParts = 100_000
    fields: Annotated[dict[str, str | Rule], Help("Fields, and for each its XPath, or a rule with path, mode and default.")] = {}
    rows: Annotated[str, Help("XPath of the elements that are parts. Empty: the document is one packet.")] = ""
    namespaces: Annotated[dict[str, str], Help("Prefixes in XPath, and the namespaces that they stand for.")] = {}
    map: Annotated[
        str, Help("Map of the original Pypes in place of these: a file, from the data directory if relative.", path=True)
    ] = ""

    def __post_init__(self) -> None:
        if self.map and (self.fields or self.rows or self.namespaces):
            raise ValueError("map has all rules: leave fields, rows and namespaces out, or map")
        if self.rows and not self.fields:
            raise ValueError("rows needs fields that are looked for in each of them")
        rules_in(self)


def rules_in(params: XMLParams) -> Rules | None:
    """The rules of ``fields``; ``None`` without any. Raises ``ValueError`` that names one that is none."""
    if not params.fields:
        return None
    from pypes_documents.xml_fields import compiled

    return compiled(params.fields, params.rows, params.namespaces, {})


def rules_of(params: XMLParams, data_dir: str) -> Rules | None:
    """The rules of ``fields`` or of the map. Raises ``ComponentError`` for a map that cannot be read."""
    if not params.map:
        return rules_in(params)
    from pypes_documents import xml_map

    try:
        with Path(data_dir, params.map).open("rb") as file:
            data = file.read(_MOST_MAP_BYTES + 1)
        if len(data) > _MOST_MAP_BYTES:
            raise ValueError(f"it is longer than {_MOST_MAP_BYTES} bytes")
        return xml_map.rules_of(data)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ComponentError(f"map {params.map} cannot be used: {reason}") from error
