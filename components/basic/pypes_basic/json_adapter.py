"""JSON: takes in JSON documents and packets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pypes.component import Adapter
from pypes.packet import Packet


class JSON(Adapter):
    """Take in JSON documents: every key of the object becomes a field, an array a multi-valued one.

    The server has parsed them already when they get here, so they pass as they are; so do packets in their
    own JSON form, and deletions.
    """

    accepts: ClassVar[tuple[str, ...]] = ("application/json", "application/x-ndjson", "application/vnd.pypes.packets+json")

    def process_batch(self, packets: list[Packet]) -> Iterable[Packet]:
        return packets
