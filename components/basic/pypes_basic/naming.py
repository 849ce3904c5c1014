"""Naming: the ids of documents that are fetched again and again, made from a template, and deletions by them."""

from __future__ import annotations

import hashlib
import re

from pypes.packet import Packet

#: Longer ids are cut and end with a digest of the whole. An id may have 2,048 bytes; the rest is for the numbers that adapters
#: add to it, for the rows of a table.
MOST_BYTES = 1500

_DIGEST_CHARS = 64
_PLACE = re.compile(r"\{(\w+)\}")


def template_pattern(*places: str) -> str:
    """The pattern of a template with at least one of these places (``{path}``); an empty one gives no ids."""
    return rf"^$|^[^{{}}]*(\{{({'|'.join(places)})\}}[^{{}}]*)+$"


def named(template: str, **values: str) -> str:
    """The id that a template gives; empty for an empty template."""
    text = _PLACE.sub(lambda found: values[found[1]], template)
    encoded = text.encode()
    if len(encoded) <= MOST_BYTES:
        return text
    kept = encoded[: MOST_BYTES - _DIGEST_CHARS - 1].decode(errors="ignore")
    return f"{kept}~{hashlib.sha256(encoded).hexdigest()}"


def deletion(id: str, **meta: str) -> Packet:
    """What asks publishers to delete the document of an id; ``meta`` says where it was."""
    return Packet.from_document({}, {"requestmethod": "DELETE", "id": id, **meta})
