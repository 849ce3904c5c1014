"""Bodies as people read them: those of a binary form of documents as packets in JSON."""

from __future__ import annotations

import orjson

from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.ingest.codecs import records
from pypes.ingest.codecs.media import parse
from pypes.ingest.codecs.msgpack import MSGPACK
from pypes.packet import Packet


def is_legible(content_type: str) -> bool:
    """False for the type of a binary form of documents."""
    return parse(content_type).codec != "msgpack"


def legible(content_type: str, body: bytes, limits: Limits) -> tuple[str, bytes]:
    """Type and bytes of a body that says the same as one that was inflated, and is text where that has documents.

    Raises :class:`BadRequest` for a body that cannot be read.
    """
    if is_legible(content_type):
        return content_type, body
    found = [Packet.from_document(fields).to_json() for some in records.documents(MSGPACK, [body], limits) for fields in some]
    return PACKETS, orjson.dumps(found[0] if len(found) == 1 else found)
