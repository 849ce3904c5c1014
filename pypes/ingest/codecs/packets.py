"""``application/vnd.pypes.packets+json``: one packet in its JSON form, or an array of them, metadata included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pypes.core.limits import Limits
from pypes.errors import BadId, BadRequest, InvalidInput
from pypes.ingest.codecs import json
from pypes.packet import Packet

#: Metadata that a packet cannot say of itself: where its document came from, and which run of it this is.
_OURS = ("receipt", "origin", "index", "run")
#: Metadata that only a packet that has been in the graph says of itself.
_PLACE = ("document", "part", "made")


def documents(
    body: bytes, limits: Limits, meta: dict[str, Any] | None = None, first: int = 0, *, is_foreign: bool = True
) -> Iterator[Packet]:
    """The packets of a body. ``meta`` supplies metadata that a packet lacks.

    Its receipt is always ours, as is its ordinal; that of the first packet is ``first``. Those of a body that is foreign, not
    made here of a dead letter or by a source, are documents and no parts.
    """
    for number, value in enumerate(json.documents(body, limits), 1):
        try:
            packet = Packet.from_json(value)
        except InvalidInput as error:
            raise BadRequest(f"packet {number} is malformed: {error}", where=f"packet {number}") from error
        if meta is not None:
            place(packet, meta, first + number - 1, is_foreign=is_foreign)
        yield packet


def place(packet: Packet, meta: dict[str, Any], ordinal: int, *, is_foreign: bool) -> None:
    """Give a packet that was sent the metadata that it lacks, and its ordinal; see :func:`documents`."""
    for name in _OURS + _PLACE if is_foreign else _OURS:
        packet.delete_meta(name)
    for name, default in meta.items():
        if not packet.has_meta(name):
            packet.set_meta(name, default)
    if ordinal > 0:
        packet.set_meta("index", ordinal)
    if "run" in meta and not _has_document(packet):
        packet.delete_meta("run")


def _has_document(packet: Packet) -> bool:
    try:
        return packet.document is not None
    except BadId:  # publishers will tell
        return True


def check(body: bytes, limits: Limits) -> int:
    """Count the packets of a body; raises :class:`BadRequest` naming the first malformed one."""
    return sum(1 for _ in documents(body, limits))


class Checker(json.Checker):
    """Gathers a body of packets that arrives in pieces, up to ``json_bytes``."""

    def finish(self) -> int:
        body, self._body = bytes(self._body), bytearray()
        number = 0
        for number, packet in enumerate(documents(body, self._limits), 1):
            if self._seen is not None:
                self._seen.packet(packet, f"packet {number}")
        return number
