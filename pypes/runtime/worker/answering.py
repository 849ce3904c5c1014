"""Answers to other nodes of the fleet: what this one keeps itself, in all of its shards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from pypes.access.audit import ITSELF, Cause
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import PypesError, Unavailable
from pypes.ingest.contracts.blobs import BlobWriter
from pypes.ingest.contracts.intake import Key
from pypes.ingest.deadletter import History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, KeptTrace, receipt_of
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptQuery
from pypes.ingest.whereabouts import DocumentQuery, Looked
from pypes.runtime.contracts.fleet import AgreementCalls, Greeting, MemberCalls, Sent, Taken
from pypes.runtime.contracts.handing import PREFIX, HandingCalls
from pypes.runtime.contracts.records import RecordCalls
from pypes.runtime.contracts.shard import ShardCalls
from pypes.runtime.rpc import Peer, error_to_obj
from pypes.runtime.rpc.contract import answer
from pypes.runtime.worker.owners import NodeOwners
from pypes.runtime.worker.records import Records


class Taking(Protocol):
    """The way of other nodes' deliveries into this one, to the shard that each belongs to."""

    def shard_of(self, graph: str, key: Key | None) -> ShardCalls: ...
    def spool(self, graph: str, key: Key | None) -> BlobWriter: ...
    def take(self, header: Header, body: bytes | Spooled, key: Key | None) -> Awaitable[str]: ...


class MemberDesk:
    """Answers other nodes with the shards of this one; ``greeting()`` is what it says of itself.

    ``adopting`` answers nodes that hand theirs over. What is about versions of graphs is passed on, by ``agreement()``, to the
    supervisor.
    """

    def __init__(
        self,
        owners: NodeOwners,
        taking: Taking,
        greeting: Callable[[], Greeting],
        adopting: HandingCalls,
        agreement: Callable[[], AgreementCalls],
    ) -> None:
        self._owners = owners
        self._records = Records(owners)
        self._taking = taking
        self._greeting = greeting
        self._adopting = adopting
        self._agreement = agreement
        self._callers: dict[Peer, MemberAnswers] = {}
        self._tasks = WatchedTasks(lambda name: None)

    async def handle(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        """Do a call that has come over a link."""
        if method.startswith(PREFIX):
            return await answer(HandingCalls, self._adopting, method.removeprefix(PREFIX), params)
        group, dot, name = method.partition(".")
        if dot and group == "agreement":
            return await answer(AgreementCalls, self._agreement(), name, params)
        caller = self._callers.get(peer)
        if caller is None:
            caller = self._callers[peer] = MemberAnswers(self._owners, self._records, self._taking, self._greeting)
        return await answer(MemberCalls, caller, method, params)

    def gone(self, peer: Peer) -> None:
        """A link has ended."""
        if (caller := self._callers.pop(peer, None)) is not None:
            self._tasks.start(caller.close(), "bodies of a link that has ended")

    async def close(self) -> None:
        """Leave nothing behind."""
        await self._tasks.close()


async def _taken(receipt: Awaitable[str]) -> Taken:
    try:
        return Taken(await receipt)
    except PypesError as error:
        return Taken("", error_to_obj(error))


class MemberAnswers:
    """Implements :class:`MemberCalls` for one link."""

    def __init__(self, owners: NodeOwners, records: Records, taking: Taking, greeting: Callable[[], Greeting]) -> None:
        self._owners = owners
        self._records = records
        self._taking = taking
        self._greeting = greeting
        #: Large bodies that come in pieces, by the names that the caller gave them.
        self._bodies: dict[str, BlobWriter] = {}

    async def greet(self, greeting: Greeting) -> Greeting:
        return self._greeting()

    async def close(self) -> None:
        """Remove what was not appended."""
        bodies, self._bodies = list(self._bodies.values()), {}
        for body in bodies:
            await body.__aexit__(None, None, None)

    # -- deliveries -------------------------------------------------------------------------------------

    async def claim(self, graph: str, key: Key, owner: str) -> str | None:
        return await self._taking.shard_of(graph, key).claim(graph, key, owner)

    async def let_go(self, graph: str, owner: str) -> int:
        return await self._taking.shard_of(graph, None).let_go(graph, owner)

    async def piece(self, body: str, graph: str, key: Key | None, data: bytes) -> None:
        if body not in self._bodies:
            self._bodies[body] = self._taking.spool(graph, key)
        await self._bodies[body].write(data)

    async def append(self, sent: list[Sent]) -> list[Taken]:
        # all are on their way before one is waited for
        taking = [self._begun(one) for one in sent]
        return [one if isinstance(one, Taken) else await _taken(one) for one in taking]

    def _begun(self, sent: Sent) -> asyncio.Future[str] | Taken:
        try:
            return asyncio.ensure_future(self._taking.take(sent.header, sent.body, sent.key))
        except PypesError as error:
            return Taken("", error_to_obj(error))

    async def append_pieces(self, header: Header, pieces: str, key: Key | None) -> str:
        writer = self._bodies.pop(pieces, None)
        if writer is None:
            raise Unavailable("the pieces of the body came over a link that has ended; post it again", code="fleet.pieces")
        async with writer:
            spooled = await writer.finish()
        return await self._taking.take(header, spooled, key)

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
        by_shard: dict[tuple[int, int], list[str]] = {}
        for id in ids:
            receipt = ReceiptId.parse(receipt_of(id))
            by_shard.setdefault((receipt.node, receipt.shard), []).append(id)
        counts = await asyncio.gather(*(self._owner_of_letter(some[0]).delete_letters(some, cause) for some in by_shard.values()))
        return sum(counts)

    async def replay(self, id: str, from_start: bool, is_traced: bool = False, cause: Cause = ITSELF) -> str:
        return await self._owner_of_letter(id).replay(id, from_start, is_traced, cause)

    async def replay_together(
        self, ids: Sequence[str], from_start: bool | None, is_traced: bool = False, cause: Cause = ITSELF
    ) -> Replayed:
        return await self._owner_of_letter(ids[0]).replay_together(list(ids), from_start, is_traced, cause)
