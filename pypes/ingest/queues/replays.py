"""Receipts that lead on: from documents that failed to the deliveries that run them again, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from pypes.errors import Gone
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReplayedDocument, ReplayOf, ReplayState
from pypes.ingest.replaying import Link

#: Replays told with a receipt at most, the newest; its documents lead to all of them.
MOST_REPLAYS = 100
ALL = 1 << 40

#: A replay's receipt, and what it runs again.
Replay = tuple[str, Link]


class LinkedReceipts(ABC):
    """Combines a receipt with its replays. A subclass finds both."""

    @abstractmethod
    async def plain(self, id: str) -> Receipt | None:
        """As :meth:`get`, without replays."""

    @abstractmethod
    async def plain_documents(self, id: str, limit: int, after: int) -> list[DocumentReport] | None:
        """As :meth:`documents`, without replays."""

    @abstractmethod
    async def link_of(self, rid: ReceiptId) -> Link | None:
        """Origin of a delivery, if it is a replay."""

    @abstractmethod
    async def replays_of(self, origin: str, latest: int) -> list[Replay]:
        """The deliveries that run documents of another again, up to so many, the one that was appended last first."""

    async def get(self, id: str) -> Receipt | None:
        found = await self.plain(id)
        if found is None:
            return None
        if (link := await self.link_of(ReceiptId.parse(id))) is not None:
            found = replace(found, replay_of=ReplayOf(link.origin, link.letter, link.start or ""))
        if found.failed:
            latest = await self.replays_of(id, MOST_REPLAYS)
            states = [await self._state(receipt, link.number or found.accepted) for receipt, link in latest]
            found = replace(found, replays=tuple(state for state in states if state is not None))
        return found

    async def _state(self, receipt: str, documents: int) -> ReplayState | None:
        try:
            found = await self.plain(receipt)
        except Gone:
            return None
        return ReplayState(receipt, documents, found.state) if found is not None else None

    async def documents(self, id: str, limit: int, after: int = -1) -> list[DocumentReport] | None:
        found = await self.plain_documents(id, limit, after)
        return await self.linked(id, found) if found else found

    async def linked(self, id: str, found: list[DocumentReport]) -> list[DocumentReport]:
        """Documents of a delivery, of which there are some, in their order, with what replays say of them."""
        if (link := await self.link_of(ReceiptId.parse(id))) is not None:
            found = [replace(one, origin=ReplayedDocument(link.origin, link.document_of(one.index))) for one in found]
        if any(one.outcome == "failed" for one in found):
            first, last = found[0].index, found[-1].index
            # a letter is replayed once, but a document may have several: the latest replay is told last
            for receipt, link in reversed(await self.replays_of(id, ALL)):
                if link.may_have(first, last):
                    found = await self._replayed(found, receipt, link)
        return found

    async def _replayed(self, found: Sequence[DocumentReport], receipt: str, link: Link) -> list[DocumentReport]:
        """Documents with what became of them in a delivery that runs some of them again."""
        known = {one.index: link.index_of(one.index) for one in found if one.outcome == "failed"}
        places = {index: there for index, there in known.items() if there is not None}
        if not places:
            return list(found)
        first, last = min(places.values()), max(places.values())
        try:
            reports = await self.plain_documents(receipt, last - first + 1, first - 1) or []
        except Gone:
            reports = []
        outcomes = {one.index: one.outcome for one in reports}
        return [
            replace(one, replay=ReplayedDocument(receipt, places[one.index], outcomes.get(places[one.index])))
            if one.index in places
            else one
            for one in found
        ]
