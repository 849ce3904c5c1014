"""The in-memory queue: for tests and for graphs run without a server; nothing in it outlives the process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import Conflict, Gone, NotFound, StoreError
from pypes.ingest.accounts import Account, report, report_pending
from pypes.ingest.backlog.group import Delivery, Group
from pypes.ingest.deadletter import SHOWN_BYTES, KeptLetter, LetterGroup, LetterQuery, Replayed
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Blame, DeadLetter, Details, receipt_of
from pypes.ingest.queue import Callback, Capabilities, Key, QueueStats
from pypes.ingest.queues.idempotency import check
from pypes.ingest.queues.linked import LinkedQueue, Replay
from pypes.ingest.queues.replaying import Link, from_filter, link_of, starts_over, together
from pypes.ingest.queues.replaying import from_start as start_again
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptIds, commit_key, first_key
from pypes.ingest.store.turn import Remains


class MemoryQueue(LinkedQueue):
    """A queue in memory; make it inside a running event loop."""

    def __init__(self, *, limits: Limits | None = None, node: int = 0, shard: int = 0, clock: Clock | None = None) -> None:
        super().__init__(node=node, shard=shard, limits=limits or Limits(), max_cached_bytes=None, clock=clock or Clock())
        self._last_key = 0
        self._forgotten = 0
        self._finished_groups: dict[int, Group] = {}
        self._details: dict[int, Details] = {}
        self._keys: dict[str, tuple[bytes, str]] = {}
        self._callbacks: dict[str, Callback] = {}
        self._letters: dict[str, DeadLetter] = {}
        self._edited: set[str] = set()
        self._bodies: dict[str, Remains] = {}
        self._paths: dict[str, str] = {}
        #: What replays run again, by their receipt.
        self._links: dict[str, Link] = {}
        self._is_closed = False

    # -- deliveries --------------------------------------------------------------------------------------

    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        future: asyncio.Future[str] = self._loop.create_future()
        if key is not None and key.name in self._keys:
            digest, receipt = self._keys[key.name]
            _discard(body)
            check(key, digest)
            future.set_result(receipt)
            return future
        id = self._append(header, body, decoded)
        if key is not None:
            self._keys[key.name] = (key.digest, id)
        future.set_result(id)
        return future

    def _append(self, header: Header, body: bytes | Spooled, decoded: bytes | None, *, is_replay: bool = False) -> str:
        if self._is_closed:
            raise StoreError("the queue is closed", code="store.closed")
        self._reserve(header, len(body), is_replay=is_replay)
        self._last_key = commit_key(self._clock(), self._last_key)
        group = Group(self._last_key, 0, len(body), 1)
        id = ReceiptIds(self._node, self._shard, group.key, 0)[0]
        self._backlog.add(group, [Delivery(group, 0, id, header, body, decoded)])
        self._appended += 1
        self._notify_soon()
        return id

    def _finished(self, delivery: Delivery, account: Account, details: Details | None, remains: Remains | None) -> None:
        group, header, body = delivery.group, delivery.header, delivery.body
        del self._backlog.groups[group.key]
        self._finished_groups[group.key] = group
        if details is not None:
            self._details[group.key] = details
        while len(self._finished_groups) > self._limits.receipts_kept:
            self._forget(next(iter(self._finished_groups)))
        if remains is not None:
            self._letters |= {letter.id: letter for letter in remains.letters}
            self._bodies[remains.receipt] = remains
            self._count_letters()
        if header.callback:
            self._callbacks[delivery.id] = Callback(delivery.id, header.callback, self._clock(), 0)
            if self.on_callback is not None:
                self.on_callback()
        if isinstance(body, Spooled):
            if remains is not None and remains.spool is not None:
                self._paths[remains.receipt] = body.path
            else:
                _discard(body)

    def _forget(self, key: int) -> None:
        del self._finished_groups[key]
        self._details.pop(key, None)
        self._forgotten = max(self._forgotten, key)
        id = ReceiptIds(self._node, self._shard, key, 0)[0]
        self._links.pop(id, None)
        self._keys = {name: known for name, known in self._keys.items() if known[1] != id}

    def _crashed(self, delivery: Delivery, blames: tuple[Blame, ...]) -> None:
        """Nothing outlives the process, so there is nothing to keep."""

    def _fetch(self) -> None:
        """Everything is in memory already."""

    # -- receipts ----------------------------------------------------------------------------------------

    async def _receipt(self, id: str) -> Receipt | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None and group.deliveries is not None and (delivery := group.deliveries[0]) is not None:
            return self._unfinished_receipt(rid, delivery.header, delivery)
        account = self._account(rid)
        return None if account is None else self._finished_receipt(rid, account)

    def _account(self, rid: ReceiptId) -> Account | None:
        if rid.position or (rid.node, rid.shard, rid.salt) != (self._node, self._shard, 0):
            return None
        finished = self._finished_groups.get(rid.key)
        if finished is None and rid.key <= self._forgotten and rid.key not in self._backlog.groups:
            raise Gone("this receipt was given out here and is forgotten by now", code="receipt.forgotten")
        return finished.account(0) if finished is not None else None

    async def _documents(self, id: str, limit: int, after: int) -> list[DocumentReport] | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None and group.deliveries is not None and (delivery := group.deliveries[0]) is not None:
            return report_pending(delivery.header, limit, after)
        account = self._account(rid)
        if account is None:
            return None
        return report(account, self._details.get(rid.key), limit, after)

    async def _link(self, rid: ReceiptId) -> Link | None:
        return self._links.get(str(rid))

    async def _replays(self, origin: str, latest: int) -> list[Replay]:
        found = [(receipt, link) for receipt, link in sorted(self._links.items(), reverse=True) if link.origin == origin]
        return found[:latest]

    async def receipts(
        self, state: str | None, since: float, limit: int, after: str = "", *, newest: bool = False, graph: str = ""
    ) -> list[Receipt]:
        found: list[Receipt] = []
        first = first_key(self._times.first(since))
        for key in sorted([*self._finished_groups, *self._backlog.groups], reverse=newest):
            id = ReceiptIds(self._node, self._shard, key, 0)[0]
            is_beyond = not after or (id < after if newest else id > after)
            if is_beyond and key >= first:
                receipt = await self._receipt(id)
                if receipt is not None and state in (None, receipt.state) and graph in ("", receipt.graph):
                    found.append(receipt)
        return found[:limit]

    async def callbacks(self, now: float, limit: int) -> list[Callback]:
        return sorted((c for c in self._callbacks.values() if c.due <= now), key=lambda c: c.due)[:limit]

    async def next_callback(self) -> float | None:
        return min((callback.due for callback in self._callbacks.values()), default=None)

    def callback_done(self, receipt: str) -> None:
        self._callbacks.pop(receipt, None)

    def callback_failed(self, receipt: str, due: float) -> None:
        if (callback := self._callbacks.get(receipt)) is not None:
            self._callbacks[receipt] = structs.replace(callback, due=due, attempts=callback.attempts + 1)

    # -- dead letters ------------------------------------------------------------------------------------

    def _count_letters(self) -> None:
        found = [(letter.graph, 1, len(letter.packet) + len(letter.error)) for letter in self._letters.values()]
        found += [(remains.graph, 0, remains.size) for remains in self._bodies.values() if remains.has_body]
        self._watch(lambda: self._shares.set_letters(found))

    async def letters(
        self, query: LetterQuery | None = None, limit: int = 100, after: str = "", *, newest: bool = False
    ) -> list[DeadLetter]:
        query = query or LetterQuery()
        beyond = [id for id in sorted(self._letters, reverse=newest) if not after or (id < after if newest else id > after)]
        matching = (self._letters[id] for id in beyond if query.matches(self._letters[id]))
        return [structs.replace(letter, packet=b"", traceback="") for letter in matching][:limit]

    async def letter(self, id: str) -> KeptLetter | None:
        letter = self._letters.get(id)
        if letter is None:
            return None
        remains = self._bodies[letter.receipt]
        header = Header.decode(remains.header or b"")
        body = remains.body if remains.size <= SHOWN_BYTES else None
        size = remains.size if remains.has_body else 0
        return KeptLetter(letter, id in self._edited, remains.has_body, body, header.content_type, header.encoding, size)

    async def letter_groups(self, query: LetterQuery | None = None) -> list[LetterGroup]:
        query = query or LetterQuery()
        alike = [letter for letter in self._letters.values() if query.matches(letter)]
        counts = Counter((letter.graph, letter.filter, letter.code) for letter in alike)
        failures: Counter[tuple[str, str, str]] = Counter()
        for letter in alike:
            failures[letter.graph, letter.filter, letter.code] += letter.failures
        latest = {(letter.graph, letter.filter, letter.code): letter.time for letter in sorted(alike, key=lambda a: a.time)}
        return [
            LetterGroup(*place, count, latest[place], failures[place])
            for place, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))
        ]

    async def edit_letter(self, id: str, packet: bytes) -> bool:
        if id not in self._letters:
            return False
        self._letters[id] = structs.replace(self._letters[id], packet=packet)
        self._edited.add(id)
        self._count_letters()
        return True

    async def delete_letters(self, ids: Sequence[str]) -> int:
        return sum(self._delete(id) for id in ids)

    def _delete(self, id: str) -> bool:
        letter = self._letters.pop(id, None)
        if letter is None:
            return False
        self._edited.discard(id)
        if not any(other.startswith(f"{letter.receipt}-") for other in self._letters):
            self._bodies.pop(letter.receipt, None)
            if (path := self._paths.pop(letter.receipt, None)) is not None:
                Path(path).unlink(missing_ok=True)
        self._count_letters()
        self._notify_soon()
        return True

    async def replay(self, id: str, from_start: bool) -> str:
        replayed = await self.replay_together([id], from_start)
        if not replayed.left:
            return replayed.receipt
        letter, (old, _, is_needed) = self._letters[id], self._kept(receipt_of(id))
        header, packet = from_filter(letter, old, is_edited=id in self._edited, is_needed=is_needed)
        receipt = self._append(header, packet, None, is_replay=True)
        self._links[receipt] = link_of([letter], header, from_start=False)
        self._delete(id)
        return receipt

    async def replay_together(self, ids: Sequence[str], from_start: bool) -> Replayed:
        asked = [self._letters[id] for id in ids if id in self._letters]
        if not asked:
            raise NotFound("there is no such dead letter", code="deadletters.not_found")
        first = [letter for letter in asked if from_start or starts_over(letter, is_edited=letter.id in self._edited)]
        if not first:
            return Replayed("", 0, tuple(letter.id for letter in asked))
        receipt = first[0].receipt
        letters = together(first, [letter for letter in self._letters.values() if letter.receipt == receipt])
        header, body = start_again(letters, *self._kept(receipt)[:2])
        if isinstance(body, Spooled):
            body = _link(body, f"{body.path}-{self._last_key + 1:x}")
        receipt = self._append(header, body, None, is_replay=True)
        self._links[receipt] = link_of(letters, header, from_start=True)
        edits = sum(letter.id in self._edited for letter in letters)
        gone = {letter.id for letter in letters if self._delete(letter.id)}
        return Replayed(receipt, len(gone), tuple(letter.id for letter in asked if letter.id not in gone), edits)

    def _kept(self, receipt: str) -> tuple[Header, bytes | Spooled | None, bool]:
        remains = self._bodies[receipt]
        kept = Spooled(self._paths[receipt], remains.size) if remains.spool else remains.body
        return Header.decode(remains.header or b""), kept, remains.is_needed

    # -- the rest ----------------------------------------------------------------------------------------

    def stats(self) -> QueueStats:
        return self._stats(is_failed=False)

    def capabilities(self) -> Capabilities:
        return Capabilities(is_durable=False, is_shared=False, durability="never")

    async def close(self) -> None:
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()


def _link(body: Spooled, path: str) -> Spooled:
    try:
        Path(path).hardlink_to(body.path)
    except FileNotFoundError:
        raise Conflict("the file with the body is gone; post it again", code="deadletters.not_kept") from None
    return Spooled(path, body.size)


def _discard(body: bytes | Spooled) -> None:
    if isinstance(body, Spooled):
        Path(body.path).unlink(missing_ok=True)
