"""Receipts and dead letters: looked up where their id leads to, or merged from the lists of all shards and nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Generic, NamedTuple, TypeVar

from pypes.access.audit import ITSELF, Cause
from pypes.errors import NotFound, PypesError, StoreError, Unavailable
from pypes.ingest.deadletter import History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.outcome import DeadLetter, KeptTrace, receipt_of
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptQuery
from pypes.ingest.replaying import starts_over
from pypes.ingest.whereabouts import DocumentQuery, Looked, merged
from pypes.runtime.contracts.records import RecordCalls
from pypes.runtime.worker.owners import ELSEWHERE, Owners, no_receipt

#: Dead letters handled at a time where many are: so many fit into one commit of a shard, and none waits long behind them.
PORTION = 200

T = TypeVar("T")


@dataclass
class ReplayedMany:
    """The result of replaying dead letters at once: how many went, how many edits that cost, the receipts, and those refused."""

    count: int = 0
    edits: int = 0
    receipts: list[str] = field(default_factory=list)
    refused: list[tuple[DeadLetter, PypesError]] = field(default_factory=list)
    #: Nodes that did not answer when they were asked for theirs.
    unanswered: set[str] = field(default_factory=set)

    def add(self, other: ReplayedMany) -> None:
        self.count += other.count
        self.edits += other.edits
        self.receipts += other.receipts
        self.refused += other.refused
        self.unanswered |= other.unanswered

    @property
    def has_to_end(self) -> bool:
        """True if one was refused for what the next would meet as well."""
        return any(isinstance(error, (StoreError, Unavailable)) for _, error in self.refused)


class Gathered(NamedTuple, Generic[T]):
    """A list that was gathered from all places, and the nodes that did not answer: what they have is missing."""

    found: T
    unanswered: tuple[str, ...] = ()


class Records:
    """Receipts and dead letters. Coroutines; none blocks, all may raise :class:`Unavailable`."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners

    def _owner_of(self, receipt: str) -> RecordCalls:
        """The owner that an id leads to; raises :class:`NotFound` if it leads nowhere."""
        return self._owners.of(ReceiptId.parse(receipt))

    def _owner_of_letter(self, id: str) -> RecordCalls:
        try:
            return self._owner_of(receipt_of(id))
        except NotFound as error:
            raise (error if error.code == ELSEWHERE else no_letter()) from None

    async def _gather(self, ask: Callable[[RecordCalls], Awaitable[T]]) -> Gathered[list[T]]:
        """The answers of all places. Raises what a shard of this node raises; other nodes may be silent."""
        owners = self._owners.every()
        answers = await asyncio.gather(*(ask(owner.calls) for owner in owners), return_exceptions=True)
        found, unanswered = [], []
        for owner, answer in zip(owners, answers, strict=True):
            if not isinstance(answer, BaseException):
                found.append(answer)
            elif owner.member and isinstance(answer, Unavailable):
                unanswered.append(owner.member)
            else:
                raise answer
        return Gathered(found, tuple(unanswered))

    # -- receipts ---------------------------------------------------------------------------------------

    async def receipt(self, id: str, wait_s: float = 0.0) -> Receipt:
        """The receipt of a delivery, after its end or ``wait_s``. Raises :class:`NotFound`, or :class:`Gone` once forgotten."""
        found = await self._owner_of(id).wait_receipt(id, wait_s)
        if found is None:
            raise no_receipt()
        return found

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

    async def receipts(self, query: ReceiptQuery, limit: int, after: str, *, newest: bool = False) -> Gathered[list[Receipt]]:
        """Receipts of all places as ``Queue.receipts`` has them: ids sort by time."""
        parts = await self._gather(lambda owner: owner.receipts(query, limit, after, newest=newest))
        merged = sorted((receipt for part in parts.found for receipt in part), key=lambda one: one.receipt, reverse=newest)
        return Gathered(merged[:limit], parts.unanswered)

    async def look(self, query: DocumentQuery, limit: int, before: int) -> Gathered[Looked]:
        """The deliveries with a document, as ``Receipts.look`` has them, of all places."""
        parts = await self._gather(lambda owner: owner.look(query, limit, before))
        return Gathered(merged(parts.found), parts.unanswered)

    # -- dead letters -----------------------------------------------------------------------------------

    async def letters(self, query: LetterQuery, limit: int, after: str, *, newest: bool = False) -> Gathered[list[DeadLetter]]:
        """Dead letters of all places that match, ascending by id, or with ``newest`` descending."""
        parts = await self._gather(lambda owner: owner.letters(query, limit, after, newest=newest))
        merged = sorted((letter for part in parts.found for letter in part), key=lambda letter: letter.id, reverse=newest)
        return Gathered(merged[:limit], parts.unanswered)

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

    async def letter_groups(self, query: LetterQuery, history: History | None = None) -> Gathered[list[LetterGroup]]:
        """Dead letters of all places that match, counted by graph, filter and code; most first. As ``Letters.groups``."""
        groups: dict[tuple[str, str, str], LetterGroup] = {}
        parts = await self._gather(lambda owner: owner.letter_groups(query, history))
        for group in chain.from_iterable(parts.found):
            key = (group.graph, group.filter, group.code)
            groups[key] = _sum(groups[key], group) if key in groups else group
        ordered = sorted(groups.values(), key=lambda group: (-group.count, group.graph, group.filter, group.code))
        return Gathered(ordered, parts.unanswered)

    async def edit_letter(self, id: str, packet: bytes, cause: Cause = ITSELF) -> None:
        """Give a dead letter another packet (its JSON form); raises :class:`NotFound`."""
        if not await self._owner_of_letter(id).edit_letter(id, packet, cause):
            raise no_letter()

    async def delete_letter(self, id: str, cause: Cause = ITSELF) -> None:
        """Delete a dead letter; raises :class:`NotFound`."""
        if not await self._owner_of_letter(id).delete_letters([id], cause):
            raise no_letter()

    async def delete_letters(self, query: LetterQuery, cause: Cause = ITSELF) -> Gathered[int]:
        """Delete the dead letters that match; gives how many there were.

        Each portion is a transaction of its shard, with its line in the audit log: what is deleted by then is told of, whatever
        ends this.
        """
        counts = await self._gather(lambda owner: self._delete_from(owner, query, cause))
        return Gathered(sum(counts.found), counts.unanswered)

    async def _delete_from(self, owner: RecordCalls, query: LetterQuery, cause: Cause) -> int:
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
        async for portion in self._portions(query, from_start, limit, done):
            for some in await asyncio.gather(*(self._replay_some(letters, from_start, cause) for letters in portion)):
                done.add(some)
            if done.has_to_end:
                break
        # another one has replayed or deleted it meanwhile: nothing is left to do, and nothing to tell
        done.refused = [(letter, error) for letter, error in done.refused if not isinstance(error, NotFound)]
        return done

    async def _portions(
        self, query: LetterQuery, from_start: bool | None, limit: int, done: ReplayedMany
    ) -> AsyncIterator[list[list[DeadLetter]]]:
        """``limit`` dead letters that match, about :data:`PORTION` at a time, those of one receipt together."""
        portion: list[list[DeadLetter]] = []
        count = size = 0
        after = ""
        while True:
            gathered = await self.letters(query, PORTION, after)
            done.unanswered.update(gathered.unanswered)
            letters = gathered.found
            if not letters:
                break
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


def no_letter() -> NotFound:
    """The error of a dead letter that is not there."""
    return NotFound("no such dead letter; it may have been replayed or deleted", code="deadletters.not_found")
