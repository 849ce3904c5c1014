"""Arrived: a delivery in an instance, before it is put into its graph."""

from __future__ import annotations

from typing import Any, NamedTuple

from pypes.ingest.protocol import Item


class Arrived(NamedTuple):
    """A delivery as it came from an ingest worker, with its body; ``connection`` is where the acknowledgement goes."""

    connection: Any
    item: Item
    body: bytes

    @property
    def documents(self) -> int:
        return self.item.header.documents
