"""Pending changes of a queue that are not in its store yet: appends, acknowledgements, dead letters, changes to those."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec
import orjson

from pypes.access.audit import ITSELF, Cause
from pypes.ingest.accounts import Account, Counts, count, encode, encode_some
from pypes.ingest.backlog.deliveries import Delivery, Group
from pypes.ingest.contracts.cursors import Cursor
from pypes.ingest.contracts.intake import Key, Waiter
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.ordering import fresh_of
from pypes.ingest.outcome import Details, KeptTrace, Poison
from pypes.ingest.receipt import MAX_INDEX, ReceiptIds
from pypes.ingest.replaying import Link
from pypes.ingest.store.keys import key_row
from pypes.ingest.store.rows import pack
from pypes.ingest.store.schema import ROW_BYTES
from pypes.ingest.store.write_batch import DELETE, EDIT, REPLAY, RUN, Noted, Remains, WriteBatch

_COMMIT_BYTES = 8 << 20  # inline bodies per commit: bounds memory and the time for which one sync holds up the next
#: Rows that are written anew in one transaction: so many bytes of them (at least one row), and so many rows.
_REWRITTEN_BYTES = 1 << 20
_REWRITTEN_ROWS = 64

_encode = msgspec.msgpack.Encoder().encode


class Append(msgspec.Struct, eq=False):
    """An append on its way to the store; ``replays`` are the ids of the dead letters that go when it comes, ``link`` is what
    it runs again of their delivery.

    ``cursors`` are those of the source which fetched it: they are stored together. ``cause`` is that of a replay.
    """

    header: Header
    body: bytes | Spooled
    decoded: bytes | None
    waiter: Waiter
    key: Key | None = None
    replays: tuple[str, ...] = ()
    cursors: tuple[Cursor, ...] = ()
    link: Link | None = None
    cause: Cause = ITSELF


class Move:
    """Cursors that move on without anything to append; the future is done when they are stored.

    With a ``cause`` somebody has asked for it.
    """

    __slots__ = ("cause", "cursors", "future")

    def __init__(self, cursors: tuple[Cursor, ...], future: asyncio.Future[None], cause: Cause | None) -> None:
        self.cursors = cursors
        self.future = future
        self.cause = cause


class Change:
    """Dead letters to be edited (``packet``) or deleted; the future gives how many of them there were."""

    __slots__ = ("cause", "future", "ids", "packet")

    def __init__(self, ids: list[str], packet: bytes | None, future: asyncio.Future[int], cause: Cause) -> None:
        self.ids = ids
        self.packet = packet
        self.future = future
        self.cause = cause


class Commit:
    """A transaction on its way: what to tell to whom when it is through, or to take back when it failed."""

    __slots__ = (
        "appends",
        "batch",
        "changes",
        "complete",
        "finished",
        "moves",
        "number",
        "progressed",
        "rewritten",
        "spools",
        "touched",
    )

    def __init__(self, number: int, batch: WriteBatch) -> None:
        self.number = number
        self.batch = batch
        self.appends: list[Append] = []
        self.changes: list[Change] = []
        self.moves: list[Move] = []
        self.complete: list[Group] = []
        self.touched: dict[int, Group] = {}
        #: The documents of what is finished of these commits, by key and graph.
        self.finished: list[tuple[int, dict[str, Counts]]] = []
        self.progressed: list[tuple[int, dict[str, Counts]]] = []
        self.spools: list[str] = []
        #: Commits whose rows are written anew, with the bytes of bodies and the number of deliveries that are left out.
        self.rewritten: list[tuple[Group, int, int]] = []


class WriteBuffer:
    """Gathers while one commit is on its way; :meth:`take` makes the next of it.

    ``has_bulk`` tells whether deliveries of the bulk lane of a graph wait: keys of live ones are then noted as fresh.
    """

    def __init__(self, node: int, shard: int, has_bulk: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self.appends: list[Append] = []
        self.changes: list[Change] = []
        self.moves: list[Move] = []
        #: Commits done in part whose rows are to be written without what is done, a few in each transaction.
        self.rewrites: deque[Group] = deque()
        self.is_flush_due = False
        #: The number of commits that were made of it so far.
        self.taken = 0
        self._node = node
        self._shard = shard
        self._has_bulk = has_bulk
        self._clock = clock
        #: Changes that are written as they came.
        self._next = WriteBatch()
        self._complete: list[Group] = []
        self._touched: dict[int, Group] = {}
        #: The bytes of the details of deliveries, by commit key, until the commit is complete.
        self._detail_bytes: dict[int, int] = {}
        #: Commits whose row stays where it is when they are complete.
        self._unreadable: set[int] = set()
        self._crashes: dict[tuple[int, int], tuple[int, bytes | None]] = {}
        self._crashed: set[int] = set()
        self._spent_spools: list[str] = []

    def __bool__(self) -> bool:
        return bool(
            self.appends
            or self.changes
            or self.moves
            or self.rewrites
            or self._complete
            or self._touched
            or self._crashes
            or self._spent_spools
            or self._next.is_rare
        )

    # -- what is taken on --------------------------------------------------------------------------------

    def finished(
        self, deliveries: Sequence[Delivery], details: Details | None, remains: Remains | None, trace: KeptTrace | None = None
    ) -> None:
        """Take acknowledgements: their groups have the accounts. Only one that is alone has details, remains or a trace."""
        if trace is not None:
            (delivery,) = deliveries
            self._next.traces.append((delivery.group.key, delivery.position, trace.run, trace.data))
        if details is not None:
            (delivery,) = deliveries
            key, data = delivery.group.key, _encode(details)
            self._next.details.append((key, delivery.position, data))
            self._detail_bytes[key] = self._detail_bytes.get(key, 0) + len(data) + ROW_BYTES
        if remains is not None:
            self._next.dead.append(remains)
            self.is_flush_due = True  # a dead letter commits together with the acknowledgement that left it
        groups = {}
        for delivery in deliveries:
            group, header, body = delivery.group, delivery.header, delivery.body
            groups[group.key] = group
            if header.callback:
                self._next.callbacks.append((delivery.id, header.callback, self._clock()))
                context = header.context if trace is None or trace.spans is None else trace.spans.context
                if context is not None:
                    self._next.contexts.append((delivery.id, _encode(context)))
                self.is_flush_due = True
            if header.keys:
                # were it forgotten by a crash, it would run again behind newer ones of its keys that are not
                self.is_flush_due = True
            if not isinstance(body, Spooled):
                group.spent_bytes += len(body)
            elif remains is None or remains.spool is None:
                self._spent_spools.append(body.name)
        for key, group in groups.items():
            if group.remaining == 0:
                self._touched.pop(key, None)
                self._complete.append(group)
            else:
                self._touched[key] = group

    def damaged(self, group: Group, reason: str) -> None:
        """The row of a commit cannot be read: it stays where it is, for it may not even be possible to remove it."""
        self._next.damaged.append((group.key, reason))
        self._unreadable.add(group.key)

    def crashed(self, delivery: Delivery, poisons: tuple[Poison, ...]) -> None:
        key = delivery.group.key
        self._crashes[key, delivery.position] = (delivery.crashes, _encode(poisons) if poisons else None)
        self._crashed.add(key)

    def recall_crashes(self, key: int) -> None:
        """The store knows of crashes in a commit: they go when it does."""
        self._crashed.add(key)

    def called(self, receipt: str) -> None:
        self._next.called.append(receipt)

    def postponed(self, receipt: str, due: float) -> None:
        self._next.postponed.append((due, receipt))

    def stale(self, graph: str) -> None:
        """No bulk delivery of a graph waits any more: nobody will ask for its fresh keys."""
        self._next.stale.append(graph)

    # -- what is written ---------------------------------------------------------------------------------

    def take(self, key: int, salt: int) -> Commit | None:
        """Everything that goes into the next transaction, its appends under ``key``; None if there is nothing."""
        batch, self._next = self._next, WriteBatch()
        commit = Commit(self.taken + 1, batch)
        if self.appends:
            self._take_appends(commit, key, salt)
        if self.changes:
            self._take_changes(commit)
        if self.moves:
            commit.moves, self.moves = self.moves, []
            batch.cursors += [cursor for move in commit.moves for cursor in move.cursors]
            batch.noted += [Noted(each.cause, RUN, each.cursors[0][0]) for each in commit.moves if each.cause is not None]
        if self._complete:
            self._take_complete(commit)
        if self.is_flush_due or self.rewrites:
            self.is_flush_due = False
            self._take_touched(commit)
        if self.rewrites:
            self._take_rewrites(commit)
        if self._crashes:
            batch.crashes = [(key, position, count, poisons) for (key, position), (count, poisons) in self._crashes.items()]
            self._crashes = {}
        if not self._touched:
            commit.spools, self._spent_spools = self._spent_spools, []
        if batch.row is None and not (batch.receipts or batch.progress or batch.is_rare or commit.changes or commit.spools):
            return None
        self.taken = commit.number
        return commit

    def _take_complete(self, commit: Commit) -> None:
        batch = commit.batch
        commit.complete, self._complete = self._complete, []
        for group in commit.complete:
            key = group.key
            if key not in self._unreadable:
                batch.done.append(key)
            accounts: list[Account] = group.outcomes  # type: ignore[assignment]
            text, has_failed = encode(accounts)
            counts: dict[str, Counts] = {}
            count(accounts, counts)
            commit.finished.append((key, counts))
            size = ROW_BYTES + len(text)
            if self._detail_bytes:
                size += self._detail_bytes.get(key, 0)
            batch.receipts.append((key, group.salt, group.entries, int(has_failed), size, text))
            if group.has_progress:
                batch.progressed.append(key)
            if self._crashed and key in self._crashed:
                batch.recovered.append(key)

    def _take_touched(self, commit: Commit) -> None:
        # a group that is half acknowledged will soon be complete: its progress is written only when that takes long
        commit.touched, self._touched = self._touched, {}
        for group in commit.touched.values():
            accounts = list(group.outcomes or ())
            commit.batch.progress.append((group.key, encode_some(accounts)))
            counts: dict[str, Counts] = {}
            count(accounts, counts)
            commit.progressed.append((group.key, counts))
            group.has_progress = True

    def _take_rewrites(self, commit: Commit) -> None:
        # what is done of them is in the store, or goes there with this batch: a body is never gone before that
        size = 0
        while self.rewrites and size < _REWRITTEN_BYTES and len(commit.rewritten) < _REWRITTEN_ROWS:
            group = self.rewrites.popleft()
            if group.remaining and group.outcomes is not None and group.key not in self._unreadable:
                done = frozenset(position for position, account in enumerate(group.outcomes) if account is not None)
                commit.batch.rewrites.append((group.key, done))
                commit.rewritten.append((group, group.spent_bytes, len(done)))
                size += group.size

    def _take_changes(self, commit: Commit) -> None:
        commit.changes, self.changes = self.changes, []
        for change in commit.changes:
            commit.batch.noted.append(Noted(change.cause, DELETE if change.packet is None else EDIT, letters=change.ids))
            if change.packet is None:
                commit.batch.removed += change.ids
            else:
                commit.batch.edited += [(change.packet, id) for id in change.ids]

    def _take_fitting(self) -> list[Append]:
        """The appends of one commit: at least one, and no more inline bodies than one may have."""
        size = count = 0
        for append in islice(self.appends, MAX_INDEX + 1):
            if not isinstance(append.body, Spooled):
                size += len(append.body)
                if size > _COMMIT_BYTES and count:
                    break
            count += 1
        taken = self.appends[:count]
        del self.appends[:count]
        return taken

    def _take_appends(self, commit: Commit, key: int, salt: int) -> None:
        commit.appends = taken = self._take_fitting()
        total = 0
        batch = commit.batch
        spools: list[str] = []
        for position, append in enumerate(taken):
            header = append.header
            total += len(append.body)
            if isinstance(append.body, Spooled):
                spools.append(append.body.name)
            if append.key is not None:
                batch.keys.append(key_row(append.key.name, append.key.digest, key, position, salt, header.graph))
            if append.replays:
                batch.removed += append.replays
            if append.link is not None:
                id = ReceiptIds(self._node, self._shard, key, salt)[position]
                origin, letter, start, documents = append.link
                batch.replays.append((key, position, id, origin, letter, start, orjson.dumps(documents).decode()))
                batch.noted.append(Noted(append.cause, REPLAY, header.graph, append.replays, id))
            if append.cursors:
                batch.cursors += append.cursors
            if header.keys and not header.is_bulk and self._has_bulk(header.graph):
                batch.fresh += fresh_of(header.graph, header.keys, header.identities, key)
        data = pack([(append.header, append.body) for append in taken])
        batch.row = (key, salt, len(taken), total, orjson.dumps(spools).decode() if spools else None, data)

    def written(self, commit: Commit) -> None:
        """Finish a successful commit: forget the data kept for a second attempt."""
        for group in commit.complete:
            if self._detail_bytes:
                self._detail_bytes.pop(group.key, None)
            self._crashed.discard(group.key)
            self._unreadable.discard(group.key)

    def take_back(self, commit: Commit) -> tuple[list[Append], list[Change | Move]]:
        """Undo a failed commit: keep its removals for the next; returns the refused appends, later ones included."""
        batch = commit.batch
        self._complete = commit.complete + self._complete
        for key, group in commit.touched.items():
            if group.remaining:  # else it has become complete meanwhile
                self._touched[key] = group
        self.is_flush_due = self.is_flush_due or bool(commit.touched)
        self.rewrites.extendleft(group for group, _, _ in reversed(commit.rewritten))
        self._next.write_again(batch)
        self._crashes = {(key, position): (count, poisons) for key, position, count, poisons in batch.crashes} | self._crashes
        self._spent_spools = commit.spools + self._spent_spools
        refused, self.appends = commit.appends + self.appends, []
        changes: list[Change | Move] = [*commit.changes, *self.changes, *commit.moves, *self.moves]
        self.changes, self.moves = [], []
        return refused, changes
