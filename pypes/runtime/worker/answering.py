"""Answers to other nodes of the fleet: what this one keeps itself, in all of its shards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pypes.access.audit import ITSELF, Cause
from pypes.ingest.deadletter import History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.outcome import DeadLetter, KeptTrace, receipt_of
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptQuery
from pypes.ingest.whereabouts import DocumentQuery, Looked
from pypes.runtime.contracts.fleet import Greeting, MemberCalls
from pypes.runtime.contracts.records import RecordCalls
from pypes.runtime.rpc import Peer
from pypes.runtime.rpc.contract import answer
from pypes.runtime.worker.owners import NodeOwners
from pypes.runtime.worker.records import Records


class MemberDesk:
    """Implements :class:`MemberCalls` with the shards of this node; ``greeting()`` is what it says of itself."""

    def __init__(self, owners: NodeOwners, greeting: Callable[[], Greeting]) -> None:
        self._owners = owners
        self._records = Records(owners)
        self._greeting = greeting

    async def handle(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        """Do a call that has come over a link."""
        return await answer(MemberCalls, self, method, params)

    async def greet(self, greeting: Greeting) -> Greeting:
        return self._greeting()

    def _owner_of(self, receipt: str) -> RecordCalls:
        return self._owners.of(ReceiptId.parse(receipt))

    def _owner_of_letter(self, id: str) -> RecordCalls:
        return self._owner_of(receipt_of(id))

    # -- receipts ---------------------------------------------------------------------------------------

    async def wait_receipt(self, id: str, wait_s: float) -> Receipt | None:
        return await self._owner_of(id).wait_receipt(id, wait_s)

    async def documents(self, id: str, limit: int, after: int = -1) -> list[DocumentReport] | None:
        return await self._owner_of(id).documents(id, limit, after)

    async def trace(self, id: str) -> KeptTrace | None:
        return await self._owner_of(id).trace(id)

    async def receipts(self, query: ReceiptQuery, limit: int, after: str = "", *, newest: bool = False) -> list[Receipt]:
        return (await self._records.receipts(query, limit, after, newest=newest)).found

    async def look(self, query: DocumentQuery, limit: int, before: int = 0) -> Looked:
        return (await self._records.look(query, limit, before)).found

    # -- dead letters -----------------------------------------------------------------------------------

    async def letters(self, query: LetterQuery, limit: int = 100, after: str = "", *, newest: bool = False) -> list[DeadLetter]:
        return (await self._records.letters(query, limit, after, newest=newest)).found

    async def letter(self, id: str) -> KeptLetter | None:
        return await self._owner_of_letter(id).letter(id)

    async def origin(self, id: str) -> Origin | None:
        return await self._owner_of_letter(id).origin(id)

    async def letter_groups(self, query: LetterQuery, history: History | None = None) -> list[LetterGroup]:
        return (await self._records.letter_groups(query, history)).found

    async def edit_letter(self, id: str, packet: bytes, cause: Cause = ITSELF) -> bool:
        return await self._owner_of_letter(id).edit_letter(id, packet, cause)

    async def delete_letters(self, ids: list[str], cause: Cause = ITSELF) -> int:
        by_shard: dict[int, list[str]] = {}
        for id in ids:
            by_shard.setdefault(ReceiptId.parse(receipt_of(id)).shard, []).append(id)
        counts = await asyncio.gather(*(self._owner_of_letter(some[0]).delete_letters(some, cause) for some in by_shard.values()))
        return sum(counts)

    async def replay(self, id: str, from_start: bool, is_traced: bool = False, cause: Cause = ITSELF) -> str:
        return await self._owner_of_letter(id).replay(id, from_start, is_traced, cause)

    async def replay_together(
        self, ids: Sequence[str], from_start: bool | None, is_traced: bool = False, cause: Cause = ITSELF
    ) -> Replayed:
        return await self._owner_of_letter(ids[0]).replay_together(list(ids), from_start, is_traced, cause)
