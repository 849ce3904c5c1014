"""Identities of an intake: the documents of which components are told when nothing more of them can come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypes.core.identity import Identity, Version
from pypes.errors import BadId
from pypes.ingest.protocol import Item
from pypes.packet import Packet
from pypes.runtime.scheduler.completions import Known


class Identities:
    """Documents that have an identity, by their number in the intake; whoever runs them takes out those that are done with.

    ``run`` is the time at which this run began, in ms, the last part of their versions. With ``has_nameless``, documents without
    an id are there, too, with an empty one.
    """

    def __init__(self, run: int, *, has_nameless: bool = False) -> None:
        self.run = run
        self.has_nameless = has_nameless
        self.known: dict[int, Known] = {}

    def add(self, item: Item, packets: Sequence[Packet], number: int, ordinals: Iterable[int]) -> None:
        """Add documents of a delivery from ``number`` on; ``ordinals`` are those in its body."""
        header = item.header
        receipt, first = header.origin or (item.receipt, 0)
        is_partial = bool(header.replays and header.start)
        for at, (packet, ordinal) in enumerate(zip(packets, ordinals, strict=False), number):
            document = _document_of(packet)
            if document is None and self.has_nameless:
                document = Identity(header.route or "", "")
            if document is not None:
                version = Version(receipt, first + ordinal, self.run)
                self.known[at] = Known(document, version, packet.is_deletion, is_partial)

    def add_lone(self, item: Item, number: int, id: str) -> None:
        """Add the only document of a delivery, unless it is there already; an empty id is that of one that has none."""
        header = item.header
        if number not in self.known and (id or self.has_nameless):
            receipt, first = header.origin or (item.receipt, 0)
            document = Identity(header.route or "", id)
            self.known[number] = Known(document, Version(receipt, first, self.run), header.method == "DELETE")

    def supersede(self, number: int) -> None:
        """Take note that a document does not run, because a newer one is there: nothing may be removed for it."""
        known = self.known.get(number)
        if known is not None:
            self.known[number] = known._replace(is_partial=True)


def _document_of(packet: Packet) -> Identity | None:
    try:
        return packet.document
    except BadId:
        return None
