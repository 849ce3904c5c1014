"""The dead letters of a queue on a store: found, edited, deleted, and turned into deliveries again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial

from pypes.access.audit import ITSELF, Cause
from pypes.errors import Conflict
from pypes.ingest.contracts.blobs import Blobs
from pypes.ingest.deadletter import History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.delivery import Spooled
from pypes.ingest.outcome import DeadLetter
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.intake import StoredIntake
from pypes.ingest.queues.receipts import StoredReceipts
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.queues.write_buffer import Change
from pypes.ingest.replaying import from_filter, from_start, link_of, traced
from pypes.ingest.store.letter_reading import LetterReader


class StoredLetters:
    """Reads dead letters in a thread, once earlier acknowledgements are in the store; changes go through the write buffer."""

    def __init__(
        self,
        reader: LetterReader,
        reading: StoreThread,
        committer: Committer,
        intake: StoredIntake,
        receipts: StoredReceipts,
        blobs: Blobs,
    ) -> None:
        self._reader = reader
        self._reading = reading
        self._committer = committer
        self._intake = intake
        self._receipts = receipts
        self._blobs = blobs
        #: Dead letters that are being replayed.
        self._replaying: set[str] = set()

    async def find(
        self, query: LetterQuery | None = None, limit: int = 100, after: str = "", *, newest: bool = False
    ) -> list[DeadLetter]:
        await self._committer.settled()
        read = partial(self._reader.find, query or LetterQuery(), limit, after, newest=newest)
        found: list[DeadLetter] = await self._reading.call(read)
        return found

    async def get(self, id: str) -> KeptLetter | None:
        await self._committer.settled()
        found: KeptLetter | None = await self._reading.call(partial(self._reader.get, id))
        return found

    async def origin(self, id: str) -> Origin | None:
        await self._committer.settled()
        found: Origin | None = await self._reading.call(partial(self._reader.origin, id))
        return found

    async def groups(self, query: LetterQuery | None = None, history: History | None = None) -> list[LetterGroup]:
        await self._committer.settled()
        found: list[LetterGroup] = await self._reading.call(partial(self._reader.groups, query or LetterQuery(), history))
        return found

    async def edit(self, id: str, packet: bytes, cause: Cause = ITSELF) -> bool:
        return await self._change([id], packet, cause) > 0

    async def delete(self, ids: Sequence[str], cause: Cause = ITSELF) -> int:
        return await self._change(list(ids), None, cause) if ids else 0

    def _change(self, ids: list[str], packet: bytes | None, cause: Cause) -> asyncio.Future[int]:
        """Edit dead letters, or delete them (``packet`` is None); the future gives how many there were."""
        self._committer.check()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._committer.buffer.changes.append(Change(ids, packet, future, cause))
        self._committer.kick_soon()
        return future

    # -- replaying ---------------------------------------------------------------------------------------

    async def replay(self, id: str, from_start: bool, is_traced: bool = False, cause: Cause = ITSELF) -> str:
        replayed = await self._replay((id,), from_start, is_traced, cause)
        if not replayed.left:
            return replayed.receipt
        self._guard((id,))
        try:
            letter, is_edited, kept = await self._reading.call(partial(self._reader.single, id))
            header, packet = from_filter(letter, kept.header, is_edited=is_edited, is_needed=kept.is_needed)
            header = traced(header, is_traced)
            link = link_of([letter], header, from_start=False)
            self._receipts.note_replay()
            return await self._intake.put(header, packet, replays=(id,), link=link, cause=cause)
        finally:
            self._replaying.discard(id)

    async def replay_together(
        self, ids: Sequence[str], from_start: bool | None, is_traced: bool = False, cause: Cause = ITSELF
    ) -> Replayed:
        return await self._replay(tuple(ids), from_start, is_traced, cause)

    async def _replay(self, ids: tuple[str, ...], is_from_start: bool | None, is_traced: bool, cause: Cause) -> Replayed:
        """Replay those of the dead letters from the start that go from there, with all that are of the same documents."""
        await self._committer.settled()
        guarded = set(ids)
        self._guard(ids)
        try:
            while True:
                plan = await self._reading.call(partial(self._reader.plan, ids, is_from_start))
                others = {letter.id for letter in plan.letters} - guarded
                if not others:
                    break
                # one that goes along might be replayed by itself meanwhile: look again once it cannot be any more
                self._guard(others)
                guarded |= others
            if not plan.letters:
                return Replayed("", 0, plan.left)
            header, body = from_start(plan.letters, plan.kept.header, plan.kept.body)
            header = traced(header, is_traced)
            if isinstance(body, Spooled):
                # the file may be that of other letters, too: the delivery gets a name of its own for it
                body = await self._reading.call(partial(self._blobs.link, body))
            replays = tuple(letter.id for letter in plan.letters)
            link = link_of(plan.letters, header, from_start=True)
            self._receipts.note_replay()
            receipt = await self._intake.put(header, body, replays=replays, link=link, cause=cause)
            return Replayed(receipt, len(replays), plan.left, plan.edits)
        finally:
            self._replaying -= guarded

    def _guard(self, ids: Collection[str]) -> None:
        if not self._replaying.isdisjoint(ids):
            raise Conflict(
                "the dead letter is being replayed already; wait for the replay, then look again", code="deadletters.replaying"
            )
        self._replaying.update(ids)
