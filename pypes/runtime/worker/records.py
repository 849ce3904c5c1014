"""Receipts and dead letters of a node: looked up in the shard that their id names, or merged from the lists of all shards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from pypes.access.audit import ITSELF, Cause
from pypes.errors import NotFound, PypesError, StoreError, Unavailable
from pypes.ingest.deadletter import History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.outcome import DeadLetter, KeptTrace, receipt_of
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptQuery
from pypes.ingest.replaying import starts_over
from pypes.ingest.whereabouts import DocumentQuery, Looked, merged
from pypes.runtime.contracts.shard import ShardCalls
from pypes.runtime.worker.peers import Peers

#: Dead letters handled at a time where many are: so many fit into one commit of a shard, and none waits long behind them.
PORTION = 200
#: Code of what another node has given out.
ELSEWHERE = "receipt.other_node"


@dataclass
class ReplayedMany:
    """The result of replaying dead letters at once: how many went, how many edits that cost, the receipts, and those refused."""

    count: int = 0
    edits: int = 0
    receipts: list[str] = field(default_factory=list)
    refused: list[tuple[DeadLetter, PypesError]] = field(default_factory=list)

    def add(self, other: ReplayedMany) -> None:
        self.count += other.count
        self.edits += other.edits
        self.receipts += other.receipts
        self.refused += other.refused

    @property
    def has_to_end(self) -> bool:
        """True if one was refused for what the next would meet as well."""
        return any(isinstance(error, (StoreError, Unavailable)) for _, error in self.refused)


class Records:
    """Receipts and dead letters of the node numbered ``node``. Coroutines; none blocks, all may raise :class:`Unavailable`.

    ``topology()`` is what the worker knows of the node: a receipt says so if its graph cannot run.
    """

    def __init__(self, peers: Peers, node: int, topology: Callable[[], Topology]) -> None:
        self._topology = topology
        self._peers = peers
        self._node = node

    def _owner_of(self, receipt: str) -> ShardCalls:
        """The owner of the shard that an id leads to; raises :class:`NotFound` if it leads nowhere."""
        parsed = ReceiptId.parse(receipt)
        if parsed.node != self._node:
            raise _of_another_node(parsed.node, self._node)
        if parsed.shard not in self._peers.numbers():
            raise no_receipt()
        return self._peers.shard(parsed.shard)

    def _owner_of_letter(self, id: str) -> ShardCalls:
        try:
            return self._owner_of(receipt_of(id))
        except NotFound as error:
            raise (error if error.code == ELSEWHERE else no_letter()) from None

    # -- receipts ---------------------------------------------------------------------------------------

    async def receipt(self, id: str, wait_s: float = 0.0) -> Receipt:
        """The receipt of a delivery, after its end or ``wait_s``. Raises :class:`NotFound`, or :class:`Gone` once forgotten."""
        found = await self._owner_of(id).wait_receipt(id, wait_s)
        if found is None:
            raise no_receipt()
        return self._explained(found)

    def _explained(self, receipt: Receipt) -> Receipt:
        """With the reason why it waits, if its graph is that."""
        if receipt.state not in ("queued", "processing"):
            return receipt
        topology = self._topology()
        if receipt.graph in topology.failed:
            # it may have been with an instance before, but nobody has it now
            reason = f"the graph cannot be set up: {topology.failed[receipt.graph]}"
            return replace(receipt, state="queued", reason=reason)
        if receipt.graph in topology.stalled:
            return replace(receipt, reason=f"the graph cannot run: {topology.stalled[receipt.graph]}")
        if receipt.graph in topology.paused and receipt.state == "queued":
            return replace(receipt, reason="the graph is paused")
        return receipt

    async def documents(self, id: str, limit: int, after: int) -> list[DocumentReport]:
        """The fates of the documents of a delivery; raises as :meth:`receipt`."""
        found = await self._owner_of(id).documents(id, limit, after)
        if found is None:
            raise no_receipt()
        return found

    async def trace(self, id: str) -> KeptTrace:
        """The trace of a delivery; raises as :meth:`receipt`, and as ``Queue.trace``."""
        found = await self._owner_of(id).trace(id)
        if found is None:
            raise no_receipt()
        return found

    async def receipts(self, query: ReceiptQuery, limit: int, after: str, *, newest: bool = False) -> list[Receipt]:
        """Receipts of all shards as ``Queue.receipts`` has them: ids sort by time."""
        found = await asyncio.gather(*(owner.receipts(query, limit, after, newest=newest) for owner in self._peers.every()))
        merged = sorted((receipt for part in found for receipt in part), key=lambda receipt: receipt.receipt, reverse=newest)
        return [self._explained(receipt) for receipt in merged[:limit]]

    async def look(self, query: DocumentQuery, limit: int, before: int) -> Looked:
        """The deliveries with a document, as ``Receipts.look`` has them, of all shards."""
        looked = merged(await asyncio.gather(*(owner.look(query, limit, before) for owner in self._peers.every())))
        return replace(looked, found=[replace(each, receipt=self._explained(each.receipt)) for each in looked.found])

    # -- dead letters -----------------------------------------------------------------------------------

    async def letters(self, query: LetterQuery, limit: int, after: str, *, newest: bool = False) -> list[DeadLetter]:
        """Dead letters of all shards that match, ascending by id, or with ``newest`` descending."""
        found = await asyncio.gather(*(owner.letters(query, limit, after, newest=newest) for owner in self._peers.every()))
        return sorted((letter for part in found for letter in part), key=lambda letter: letter.id, reverse=newest)[:limit]

    async def letter(self, id: str) -> KeptLetter:
        """One dead letter with what is kept of it; raises :class:`NotFound`."""
        found = await self._owner_of_letter(id).letter(id)
        if found is None:
            raise no_letter()
        return found

    async def origin(self, id: str) -> Origin:
        """A dead letter with the delivery that it is of; raises :class:`NotFound`."""
        found = await self._owner_of_letter(id).origin(id)
        if found is None:
            raise no_letter()
        return found

    async def letter_groups(self, query: LetterQuery, history: History | None = None) -> list[LetterGroup]:
        """Dead letters of all shards that match, counted by graph, filter and code; most first. As ``Letters.groups``."""
        groups: dict[tuple[str, str, str], LetterGroup] = {}
        for part in await asyncio.gather(*(owner.letter_groups(query, history) for owner in self._peers.every())):
            for group in part:
                key = (group.graph, group.filter, group.code)
                if (known := groups.get(key)) is not None:
                    group = _sum(known, group)
                groups[key] = group
        return sorted(groups.values(), key=lambda group: (-group.count, group.graph, group.filter, group.code))

    async def edit_letter(self, id: str, packet: bytes, cause: Cause = ITSELF) -> None:
        """Give a dead letter another packet (its JSON form); raises :class:`NotFound`."""
        if not await self._owner_of_letter(id).edit_letter(id, packet, cause):
            raise no_letter()

    async def delete_letter(self, id: str, cause: Cause = ITSELF) -> None:
        """Delete a dead letter; raises :class:`NotFound`."""
        if not await self._owner_of_letter(id).delete_letters([id], cause):
            raise no_letter()

    async def delete_letters(self, query: LetterQuery, cause: Cause = ITSELF) -> int:
        """Delete the dead letters that match; returns how many there were.

        Each portion is a transaction of its shard, with its line in the audit log: what is deleted by then is told of, whatever
        ends this.
        """
        counts = await asyncio.gather(*(self._delete_from(owner, query, cause) for owner in self._peers.every()))
        return sum(counts)

    async def _delete_from(self, owner: ShardCalls, query: LetterQuery, cause: Cause) -> int:
        count, after = 0, ""
        while True:
            letters = await owner.letters(query, PORTION, after)
            if not letters:
                return count
            count += await owner.delete_letters([letter.id for letter in letters], cause)
            after = letters[-1].id

    async def replay(self, id: str, from_start: bool, *, is_traced: bool = False, cause: Cause = ITSELF) -> Replayed:
        """Turn a dead letter into a delivery, from the start with those of the same document. Raises as ``Queue.replay``."""
        together = await self._owner_of_letter(id).replay_together([id], from_start, is_traced, cause)
        return Replayed(await self._replay_single(id, cause, is_traced=is_traced), 1) if together.left else together

    async def _replay_single(self, id: str, cause: Cause, *, is_traced: bool = False) -> str:
        """The receipt of the delivery that goes on where a dead letter failed."""
        return await self._owner_of_letter(id).replay(id, False, is_traced, cause)

    async def replay_all(self, query: LetterQuery, from_start: bool | None, limit: int, cause: Cause = ITSELF) -> ReplayedMany:
        """Replay ``limit`` dead letters that match, the oldest first; ``from_start`` as for ``Queue.replay_together``.

        What goes from the start is one delivery for each receipt, so a receipt is not cut in two: there may be more of it than
        ``limit``. Ends early when the queue is full or the disk fails: what was not come to stays among the dead letters.
        """
        done = ReplayedMany()
        async for portion in self._portions(query, from_start, limit):
            for some in await asyncio.gather(*(self._replay_some(letters, from_start, cause) for letters in portion)):
                done.add(some)
            if done.has_to_end:
                break
        # another one has replayed or deleted it meanwhile: nothing is left to do, and nothing to tell
        done.refused = [(letter, error) for letter, error in done.refused if not isinstance(error, NotFound)]
        return done

    async def _portions(self, query: LetterQuery, from_start: bool | None, limit: int) -> AsyncIterator[list[list[DeadLetter]]]:
        """``limit`` dead letters that match, about :data:`PORTION` at a time, those of one receipt together."""
        portion: list[list[DeadLetter]] = []
        count = size = 0
        after = ""
        while letters := await self.letters(query, PORTION, after):
            after = letters[-1].id
            for letter in letters:
                is_same = bool(portion) and portion[-1][0].receipt == letter.receipt
                is_together = is_same and (from_start or starts_over(letter, is_edited=False))
                if count >= limit and not is_together:
                    if is_same and not from_start:
                        continue  # of those that go together, none stays behind
                    yield portion
                    return
                if is_same:
                    portion[-1].append(letter)
                else:
                    if size >= PORTION:
                        yield portion
                        portion, size = [], 0
                    portion.append([letter])
                count, size = count + 1, size + 1
        if portion:
            yield portion

    async def _replay_some(self, letters: list[DeadLetter], from_start: bool | None, cause: Cause) -> ReplayedMany:
        """Replay dead letters of one receipt: first those that go from the start, together, then each of the others."""
        done = ReplayedMany()
        first, singles = letters, []
        if from_start is False:
            first = [letter for letter in letters if starts_over(letter, is_edited=False)]
            singles = [letter for letter in letters if not starts_over(letter, is_edited=False)]
        if first:
            owner = self._owner_of_letter(first[0].id)
            ids = [letter.id for letter in first]
            try:
                together = await owner.replay_together(ids, from_start, cause=cause)
            except PypesError as error:
                done.refused += [(letter, error) for letter in first]
            else:
                done.count += together.letters
                done.edits += together.edits
                done.receipts += [together.receipt] if together.receipt else []
                singles += [letter for letter in first if letter.id in together.left]
        for start in range(0, len(singles), PORTION):
            if done.has_to_end:
                break
            some = singles[start : start + PORTION]
            found = await asyncio.gather(*(self._replay_single(one.id, cause) for one in some), return_exceptions=True)
            for letter, answer in zip(some, found, strict=True):
                if isinstance(answer, PypesError):
                    done.refused.append((letter, answer))
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    done.receipts.append(answer)
                    done.count += 1
        return done


def _sum(one: LetterGroup, other: LetterGroup) -> LetterGroup:
    """The same group in two shards."""
    latest, failures = max(one.latest, other.latest), one.failures + other.failures
    # a shard that has none of late has none
    history = tuple(map(sum, zip_longest(one.history, other.history, fillvalue=0)))
    return LetterGroup(one.graph, one.filter, one.code, one.count + other.count, latest, failures, history)


def _of_another_node(node: int, here: int) -> NotFound:
    return NotFound(
        f"the id names node {node}, and this is node {here}: ask that node (GET /healthz tells the number of each)",
        code=ELSEWHERE,
    )


def no_receipt() -> NotFound:
    """The error of a receipt that is not there."""
    return NotFound("no such receipt; this node never issued the id", code="receipt.not_found")


def no_letter() -> NotFound:
    """The error of a dead letter that is not there."""
    return NotFound("no such dead letter; it may have been replayed or deleted", code="deadletters.not_found")
