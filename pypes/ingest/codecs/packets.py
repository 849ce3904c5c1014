"""``application/vnd.pypes.packets+json``: one packet in its JSON form, or an array of them, metadata included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pypes.core.limits import Limits
from pypes.errors import BadRequest, InvalidInput
from pypes.ingest.codecs import json
from pypes.packet import Packet


def documents(body: bytes, limits: Limits, meta: dict[str, Any] | None = None) -> Iterator[Packet]:
    """The packets of a body. ``meta`` fills in what a packet does not say of itself; its receipt is always ours."""
    for number, value in enumerate(json.documents(body, limits), 1):
        try:
            packet = Packet.from_json(value)
        except InvalidInput as error:
            raise BadRequest(f"packet {number} is malformed: {error}", where=f"packet {number}") from error
        if meta is not None:
            for name, default in meta.items():
                if name == "receipt" or not packet.has_meta(name):
                    packet.set_meta(name, default)
        yield packet


def check(body: bytes, limits: Limits) -> int:
    """Count the packets of a body; raises :class:`BadRequest` naming the first malformed one."""
    return sum(1 for _ in documents(body, limits))


class Checker(json.Checker):
    """Gathers a body of packets that arrives in pieces, up to ``json_bytes``."""

    def finish(self) -> int:
        number = 0
        for number, packet in enumerate(documents(bytes(self._body), self._limits), 1):
            if self._seen is not None:
                self._seen.packet(packet, f"packet {number}")
        return number
