"""Bodies as people read them: those of a binary form of documents as packets in JSON."""

from __future__ import annotations

import orjson

from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.ingest.codecs import records
from pypes.ingest.codecs.forms import FORMS
from pypes.ingest.codecs.media import parse
from pypes.packet import Packet


def is_legible(content_type: str) -> bool:
    """False for the type of a binary form of documents."""
    return parse(content_type).codec not in FORMS


def legible(content_type: str, body: bytes, limits: Limits) -> tuple[str, bytes]:
    """Type and bytes of a body that says the same as one that was inflated, and is text where that has documents.

    Raises :class:`BadRequest` for a body that cannot be read.
    """
    form = FORMS.get(parse(content_type).codec)
    if form is None:
        return content_type, body
    found = [
        (each if isinstance(each, Packet) else Packet.from_document(each)).to_json()
        for some in records.documents(form, [body], limits)
        for each in some
    ]
    return PACKETS, orjson.dumps(found[0] if len(found) == 1 else found)
