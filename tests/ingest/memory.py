"""A queue in memory behind the contracts, as far away as one over a network: it yields to the loop between any two steps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from msgspec import structs

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import Conflict, Gone, NotFound, StoreError
from pypes.ingest.accounts import Account, report, report_pending
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import Delivery, Group
from pypes.ingest.contracts.callbacks import Callback
from pypes.ingest.contracts.cursors import Cursor
from pypes.ingest.contracts.intake import Key
from pypes.ingest.contracts.leasing import Lease, Settled, Stream
from pypes.ingest.contracts.queue import QueueStats
from pypes.ingest.deadletter import SHOWN_BYTES, KeptLetter, LetterGroup, LetterQuery, Replayed
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, Details, Poison, receipt_of
from pypes.ingest.queues.idempotency import check
from pypes.ingest.queues.lending import Lending
from pypes.ingest.queues.prefetched import Prefetched
from pypes.ingest.queues.replays import LinkedReceipts, Replay
from pypes.ingest.queues.room import Room
from pypes.ingest.queues.statistics import stats_of
from pypes.ingest.queues.telling import Telling
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptIds, commit_key, first_key
from pypes.ingest.replaying import Link, from_filter, link_of, starts_over, together
from pypes.ingest.replaying import from_start as start_again
from pypes.ingest.store.spool import SpoolDir
from pypes.ingest.store.write_batch import Remains


async def step() -> None:
    """Let everything else in the loop go first, as an answer over a network would."""
    for _ in range(3):
        await asyncio.sleep(0)


class Shelf:
    """What the queue keeps, shared by its parts."""

    def __init__(self, limits: Limits, node: int, shard: int, clock: Clock) -> None:
        self.limits = limits
        self.node = node
        self.shard = shard
        self.clock = clock
        self.telling = Telling(node, shard, clock)
        self.backlog = Backlog(first_token=1)
        self.room = Room(limits, self.backlog.held, shard, lambda: self.lending.notify_soon())
        self.callbacks = MemoryCallbacks()
        self.lending = Lending(
            self.backlog,
            self.room,
            clock,
            max_kept_bytes=limits.dead_letter_body_bytes,
            on_finished=self.finished,
            on_crashed=lambda delivery, poisons: None,
            fetch=lambda: None,
        )
        self.appended = 0
        self.is_closed = False
        self.last_key = 0
        self.forgotten = 0
        self.groups: dict[int, Group] = {}
        self.details: dict[int, Details] = {}
        self.keys: dict[str, tuple[bytes, str]] = {}
        self.letters: dict[str, DeadLetter] = {}
        self.edited: set[str] = set()
        self.bodies: dict[str, Remains] = {}
        self.paths: dict[str, str] = {}
        #: What replays run again, by their receipt.
        self.links: dict[str, Link] = {}
        self.cursors: dict[tuple[str, str], str] = {}

    def put(self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, *, is_replay: bool = False) -> str:
        if self.is_closed:
            raise StoreError("the queue is closed", code="store.closed")
        self.room.reserve(header, len(body), is_replay=is_replay)
        self.last_key = commit_key(self.clock.now(), self.last_key)
        group = Group(self.last_key, 0, len(body), 1)
        id = ReceiptIds(self.node, self.shard, group.key, 0)[0]
        self.backlog.add(group, [Delivery(group, 0, id, header, body, decoded)])
        self.appended += 1
        self.lending.notify_soon()
        return id

    def finished(self, delivery: Delivery, account: Account, details: Details | None, remains: Remains | None) -> None:
        group, header, body = delivery.group, delivery.header, delivery.body
        del self.backlog.groups[group.key]
        self.groups[group.key] = group
        if details is not None:
            self.details[group.key] = details
        while len(self.groups) > self.limits.receipts_kept:
            self._forget(next(iter(self.groups)))
        if remains is not None:
            self.letters |= {letter.id: letter for letter in remains.letters}
            self.bodies[remains.receipt] = remains
            self.count_letters()
        if header.callback:
            self.callbacks.add(Callback(delivery.id, header.callback, self.clock.now(), 0))
        if isinstance(body, Spooled):
            if remains is not None and remains.spool is not None:
                self.paths[remains.receipt] = body.path
            else:
                discard(body)

    def _forget(self, key: int) -> None:
        del self.groups[key]
        self.details.pop(key, None)
        self.forgotten = max(self.forgotten, key)
        id = ReceiptIds(self.node, self.shard, key, 0)[0]
        self.links.pop(id, None)
        self.keys = {name: known for name, known in self.keys.items() if known[1] != id}

    def count_letters(self) -> None:
        found = [(letter.graph, 1, len(letter.packet) + len(letter.error)) for letter in self.letters.values()]
        found += [(remains.graph, 0, remains.size) for remains in self.bodies.values() if remains.has_body]
        self.room.set_letters(found)

    def delete_letter(self, id: str) -> bool:
        letter = self.letters.pop(id, None)
        if letter is None:
            return False
        self.edited.discard(id)
        if not any(other.startswith(f"{letter.receipt}-") for other in self.letters):
            self.bodies.pop(letter.receipt, None)
            if (path := self.paths.pop(letter.receipt, None)) is not None:
                Path(path).unlink(missing_ok=True)
        self.count_letters()
        self.lending.notify_soon()
        return True


class MemoryIntake:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._loop = asyncio.get_running_loop()

    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        keys = self._shelf.keys
        if key is not None and key.name in keys:
            digest, receipt = keys[key.name]
            discard(body)
            check(key, digest)
            return self.later(receipt)
        id = self._shelf.put(header, body, decoded)
        if key is not None:
            keys[key.name] = (key.digest, id)
        return self.later(id)

    def later(self, receipt: str) -> asyncio.Future[str]:
        """A future that is done some iterations of the loop from now."""
        future: asyncio.Future[str] = self._loop.create_future()

        def done() -> None:
            if not future.done():
                future.set_result(receipt)

        self._loop.call_soon(lambda: self._loop.call_soon(done))
        return future

    def check_room(self, size: int, graph: str = "", *, is_bulk: bool = False) -> None:
        self._shelf.room.check(size, graph, is_bulk=is_bulk)

    def reserve_arriving(self, size: int, *, is_repeatable: bool = False) -> None:
        self._shelf.room.reserve_arriving(size, is_repeatable=is_repeatable)

    def release_arriving(self, size: int) -> None:
        self._shelf.room.release_arriving(size)

    def deployed(self, graphs: Collection[str]) -> None:
        self._shelf.room.deployed(graphs)


class YieldingLeasing:
    """A :class:`RemoteLeasing` over the leases of a shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self.on_lost: Callable[[int], None] | None = None
        self._lending = shelf.lending
        self._backlog = shelf.backlog
        self.lent: dict[int, Lease] = {}
        #: Raised by every call while it is set: the network is down.
        self.failure: Exception | None = None

    @property
    def on_ready(self) -> Callable[[], None] | None:
        return self._lending.on_ready

    @on_ready.setter
    def on_ready(self, on_ready: Callable[[], None] | None) -> None:
        self._lending.on_ready = on_ready

    async def _step(self) -> None:
        await step()
        if self.failure is not None:
            raise self.failure

    async def streams(self) -> tuple[list[Stream], frozenset[str]]:
        await self._step()
        found = self._lending.streams()
        graphs = {delivery.header.graph for delivery in self._backlog.leased.values()} | {stream.graph for stream in found}
        held = frozenset(graph for graph in graphs if self._lending.is_held(graph))
        await self._step()
        return found, held

    async def fetch(self, stream: Stream, n: int, max_bytes: int) -> list[Lease]:
        await self._step()
        leases = self._lending.take(stream, n, max_bytes)
        self.lent |= {lease.token: lease for lease in leases}
        await step()
        return leases

    async def record_crash(self, token: int, *, poison: Poison | None = None) -> None:
        await self._step()
        if (lease := self.lent.get(token)) is not None:
            if poison is None:
                self._lending.record_crash(lease)
            else:
                self._lending.record_poison(lease, poison)

    async def settle(self, batch: Sequence[Settled]) -> None:
        await self._step()
        for each in batch:
            lease = self.lent.pop(each.token, None)
            if lease is None:
                continue
            if each.outcome is not None:
                self._lending.ack(lease, each.outcome, each.id)
            else:
                self._lending.nack(lease, each.delay_s, suspect=each.is_suspect)

    def take_away(self, lease: Lease) -> None:
        """Have a holder lose a lease: its time is over, and the delivery may be lent again."""
        del self.lent[lease.token]
        self._lending.nack(lease)
        if self.on_lost is not None:
            self.on_lost(lease.token)


class MemoryReceipts(LinkedReceipts):
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def wait(self, id: str, wait_s: float) -> Receipt | None:
        rid = ReceiptId.parse(id)
        if wait_s > 0 and self._shelf.telling.group_of(rid, self._shelf.backlog) is not None:
            await self._shelf.lending.wait_finished(rid.key, rid.position, wait_s)
        return await self.get(id)

    def _waiting(self, rid: ReceiptId) -> Delivery | None:
        group = self._shelf.telling.group_of(rid, self._shelf.backlog)
        return group.deliveries[0] if group is not None and group.deliveries is not None else None

    async def plain(self, id: str) -> Receipt | None:
        await step()
        rid, telling = ReceiptId.parse(id), self._shelf.telling
        if (delivery := self._waiting(rid)) is not None:
            return telling.unfinished(rid, delivery.header, delivery)
        account = self._account(rid)
        return None if account is None else telling.finished(rid, account)

    def _account(self, rid: ReceiptId) -> Account | None:
        shelf = self._shelf
        if rid.position or rid.salt or not shelf.telling.is_own(rid):
            return None
        finished = shelf.groups.get(rid.key)
        if finished is None and rid.key <= shelf.forgotten and rid.key not in shelf.backlog.groups:
            raise Gone(
                "the receipt was issued here and has been forgotten; receipts are kept for a limited time",
                code="receipt.forgotten",
            )
        return finished.account(0) if finished is not None else None

    async def plain_documents(self, id: str, limit: int, after: int) -> list[DocumentReport] | None:
        await step()
        rid = ReceiptId.parse(id)
        if (delivery := self._waiting(rid)) is not None:
            return report_pending(delivery.header, limit, after)
        account = self._account(rid)
        return None if account is None else report(account, self._shelf.details.get(rid.key), limit, after)

    async def link_of(self, rid: ReceiptId) -> Link | None:
        await step()
        return self._shelf.links.get(str(rid))

    async def replays_of(self, origin: str, latest: int) -> list[Replay]:
        await step()
        found = [(receipt, link) for receipt, link in sorted(self._shelf.links.items(), reverse=True) if link.origin == origin]
        return found[:latest]

    async def find(
        self, state: str | None, since: float, limit: int, after: str = "", *, newest: bool = False, graph: str = ""
    ) -> list[Receipt]:
        shelf = self._shelf
        found: list[Receipt] = []
        first = first_key(shelf.clock.first(since))
        for key in sorted([*shelf.groups, *shelf.backlog.groups], reverse=newest):
            id = ReceiptIds(shelf.node, shelf.shard, key, 0)[0]
            is_beyond = not after or (id < after if newest else id > after)
            if is_beyond and key >= first:
                receipt = await self.plain(id)
                if receipt is not None and state in (None, receipt.state) and graph in ("", receipt.graph):
                    found.append(receipt)
        return found[:limit]


class MemoryLetters:
    def __init__(self, shelf: Shelf, intake: MemoryIntake) -> None:
        self._shelf = shelf
        self._intake = intake

    async def find(
        self, query: LetterQuery | None = None, limit: int = 100, after: str = "", *, newest: bool = False
    ) -> list[DeadLetter]:
        await step()
        query, letters = query or LetterQuery(), self._shelf.letters
        beyond = [id for id in sorted(letters, reverse=newest) if not after or (id < after if newest else id > after)]
        matching = (letters[id] for id in beyond if query.matches(letters[id]))
        return [structs.replace(letter, packet=b"", traceback="") for letter in matching][:limit]

    async def get(self, id: str) -> KeptLetter | None:
        await step()
        letter = self._shelf.letters.get(id)
        if letter is None:
            return None
        remains = self._shelf.bodies[letter.receipt]
        header = Header.decode(remains.header or b"")
        body = remains.body if remains.size <= SHOWN_BYTES else None
        size = remains.size if remains.has_body else 0
        is_edited = id in self._shelf.edited
        return KeptLetter(letter, is_edited, remains.has_body, body, header.content_type, header.encoding, size)

    async def groups(self, query: LetterQuery | None = None) -> list[LetterGroup]:
        await step()
        query = query or LetterQuery()
        alike = [letter for letter in self._shelf.letters.values() if query.matches(letter)]
        counts = Counter((letter.graph, letter.filter, letter.code) for letter in alike)
        failures: Counter[tuple[str, str, str]] = Counter()
        for letter in alike:
            failures[letter.graph, letter.filter, letter.code] += letter.failures
        latest = {(letter.graph, letter.filter, letter.code): letter.time for letter in sorted(alike, key=lambda a: a.time)}
        return [
            LetterGroup(*place, count, latest[place], failures[place])
            for place, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))
        ]

    async def edit(self, id: str, packet: bytes) -> bool:
        await step()
        shelf = self._shelf
        if id not in shelf.letters:
            return False
        shelf.letters[id] = structs.replace(shelf.letters[id], packet=packet)
        shelf.edited.add(id)
        shelf.count_letters()
        return True

    async def delete(self, ids: Sequence[str]) -> int:
        await step()
        return sum(self._shelf.delete_letter(id) for id in ids)

    async def replay(self, id: str, from_start: bool) -> str:
        replayed = await self.replay_together([id], from_start)
        if not replayed.left:
            return replayed.receipt
        shelf = self._shelf
        letter, (old, _, is_needed) = shelf.letters[id], self._kept(receipt_of(id))
        header, packet = from_filter(letter, old, is_edited=id in shelf.edited, is_needed=is_needed)
        receipt = shelf.put(header, packet, is_replay=True)
        shelf.links[receipt] = link_of([letter], header, from_start=False)
        shelf.delete_letter(id)
        return await self._intake.later(receipt)

    async def replay_together(self, ids: Sequence[str], from_start: bool) -> Replayed:
        await step()
        shelf = self._shelf
        asked = [shelf.letters[id] for id in ids if id in shelf.letters]
        if not asked:
            raise NotFound("no such dead letter; it may have been replayed or deleted", code="deadletters.not_found")
        first = [letter for letter in asked if from_start or starts_over(letter, is_edited=letter.id in shelf.edited)]
        if not first:
            return Replayed("", 0, tuple(letter.id for letter in asked))
        origin = first[0].receipt
        letters = together(first, [letter for letter in shelf.letters.values() if letter.receipt == origin])
        header, body = start_again(letters, *self._kept(origin)[:2])
        if isinstance(body, Spooled):
            body = _link(body, f"{body.path}-{shelf.last_key + 1:x}")
        receipt = shelf.put(header, body, is_replay=True)
        shelf.links[receipt] = link_of(letters, header, from_start=True)
        edits = sum(letter.id in shelf.edited for letter in letters)
        gone = {letter.id for letter in letters if shelf.delete_letter(letter.id)}
        return Replayed(receipt, len(gone), tuple(letter.id for letter in asked if letter.id not in gone), edits)

    def _kept(self, receipt: str) -> tuple[Header, bytes | Spooled | None, bool]:
        remains = self._shelf.bodies[receipt]
        kept = Spooled(self._shelf.paths[receipt], remains.size) if remains.spool else remains.body
        return Header.decode(remains.header or b""), kept, remains.is_needed


class MemoryCallbacks:
    def __init__(self) -> None:
        self.on_due: Callable[[], None] | None = None
        self._known: dict[str, Callback] = {}

    def add(self, callback: Callback) -> None:
        self._known[callback.receipt] = callback
        if self.on_due is not None:
            self.on_due()

    async def due(self, now: float, limit: int) -> list[Callback]:
        await step()
        return sorted((c for c in self._known.values() if c.due <= now), key=lambda c: c.due)[:limit]

    async def next_due(self) -> float | None:
        await step()
        return min((callback.due for callback in self._known.values()), default=None)

    def done(self, receipt: str) -> None:
        self._known.pop(receipt, None)

    def failed(self, receipt: str, due: float) -> None:
        if (callback := self._known.get(receipt)) is not None:
            self._known[receipt] = structs.replace(callback, due=due, attempts=callback.attempts + 1)


class MemoryCursors:
    def __init__(self, shelf: Shelf, intake: MemoryIntake) -> None:
        self._shelf = shelf
        self._intake = intake

    def append(self, header: Header, body: bytes, *cursors: Cursor) -> asyncio.Future[str]:
        receipt = self._intake.append(header, body)
        self._move(cursors)
        return receipt

    def move(self, *cursors: Cursor) -> asyncio.Future[None]:
        self._move(cursors)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        return future

    def _move(self, cursors: Sequence[Cursor]) -> None:
        self._shelf.cursors |= {(graph, filter): cursor for graph, filter, cursor in cursors}

    async def of_filter(self, filter: str, graph: str | None = None) -> dict[str, str]:
        await step()
        return {g: cursor for (g, f), cursor in self._shelf.cursors.items() if f == filter and graph in (None, g)}

    async def of_graph(self, graph: str) -> dict[str, str]:
        await step()
        return {filter: cursor for (g, filter), cursor in self._shelf.cursors.items() if g == graph}


class MemoryQueue:
    """A queue of all contracts; make it inside a running event loop. Nothing in it outlives the process."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        node: int = 0,
        shard: int = 0,
        clock: Clock | None = None,
        folder: Path | None = None,
        ahead: int = 0,
    ) -> None:
        shelf = self._shelf = Shelf(limits or Limits(), node, shard, clock or Clock())
        self._folder = folder
        self.intake = MemoryIntake(shelf)
        self.remote = YieldingLeasing(shelf)
        self.failures: list[str] = []
        self.leasing = Prefetched(self.remote, self.failures.append, ahead=ahead, retry_s=0.01)
        self.receipts = MemoryReceipts(shelf)
        self.letters = MemoryLetters(shelf, self.intake)
        self.callbacks = shelf.callbacks
        self.cursors = MemoryCursors(shelf, self.intake)

    @property
    def blobs(self) -> SpoolDir:
        assert self._folder is not None, "give the queue a folder for large bodies"
        return SpoolDir(self._folder, "never")

    def stats(self) -> QueueStats:
        shelf = self._shelf
        return stats_of(shelf.backlog, shelf.room, appended=shelf.appended, now=shelf.clock.now(), is_failed=False)

    async def unfinished(self, graph: str) -> int:
        await step()
        return self._shelf.backlog.unfinished(graph)

    async def close(self) -> None:
        await self.leasing.close()
        self._shelf.is_closed = True
        self._shelf.lending.close()
        assert not self.failures


def _link(body: Spooled, path: str) -> Spooled:
    try:
        Path(path).hardlink_to(body.path)
    except FileNotFoundError:
        raise Conflict("the file with the body is gone; post it again", code="deadletters.not_kept") from None
    return Spooled(path, body.size)


def discard(body: bytes | Spooled) -> None:
    if isinstance(body, Spooled):
        Path(body.path).unlink(missing_ok=True)
