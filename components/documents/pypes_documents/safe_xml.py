"""XML of strangers: nothing outside of it is read, its entities are not replaced, and its depth is bounded."""

from __future__ import annotations

from typing import Any, Final

from lxml import etree

from pypes import Reject
from pypes_documents.job import MALFORMED

#: The options of all parsers of lxml.
OPTIONS: Final[dict[str, Any]] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


def fault_of(error: etree.XMLSyntaxError, what: str) -> Reject:
    """The fault of XML that cannot be parsed. Raises ``MemoryError`` where there was no memory for it."""
    if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
        raise MemoryError(f"no memory for {what}") from error
    return Reject(f"{what}: {error}", MALFORMED)
