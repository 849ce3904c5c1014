"""Documents as adapters are given them."""

from __future__ import annotations

from typing import Any

from pypes.packet import Packet


def posted(data: Any, **meta: Any) -> Packet:
    """A packet as the server makes it of a body."""
    return Packet.from_document({"data": data}, meta)
