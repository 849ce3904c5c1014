"""Reading a document that must be in memory as a whole."""

from __future__ import annotations

from pypes import Packet, Reject


def read_whole(packet: Packet, max_bytes: int, code: str) -> bytes:
    """The bytes of field ``data``. Raises ``Reject`` under ``code`` if there are more than ``max_bytes``."""
    # one byte more than allowed is read, so that a document of any size costs no more than that
    with packet.open("data") as body:
        data = body.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise Reject(f"the document is longer than max_bytes ({max_bytes}); raise it or split the document", code)
    return data
