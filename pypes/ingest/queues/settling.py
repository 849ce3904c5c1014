"""What becomes of deliveries that were lent, alike in every queue: acknowledged, dead-lettered, blamed; and their receipts."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import structs

from pypes.ingest.accounts import Account, Kind, details_of, kind_of
from pypes.ingest.backlog.group import Delivery, Group
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Blame, DeadLetter, Details, Outcome, dead_letter_id, failure_told
from pypes.ingest.protocol import Rerun
from pypes.ingest.queue import Lease
from pypes.ingest.queues.leasing import LeasingQueue
from pypes.ingest.receipt import Receipt, ReceiptId, rfc3339
from pypes.ingest.store.turn import Remains

log = logging.getLogger(__name__)


class SettlingQueue(LeasingQueue):
    """Base of the in-memory and the embedded queue. Subclasses keep what :meth:`_finished` and the others tell them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._waiters: dict[tuple[int, int], list[asyncio.Future[None]]] = {}
        # PERF: the outcome of published documents is shared, and so is what is made of it
        self._last_outcome: Outcome | None = None
        self._last_kind = Kind("", 0, 0, 0, 0, 0, (), "")
        self._last_details: Details | None = None
        self._last_id: str | None = None

    # -- what a subclass keeps ---------------------------------------------------------------------------

    @abstractmethod
    def _finished(self, delivery: Delivery, account: Account, details: Details | None, remains: Remains | None) -> None:
        """A delivery was finished: its group has the account; keep that, its details, and what remains of it."""

    @abstractmethod
    def _crashed(self, delivery: Delivery, blames: tuple[Blame, ...]) -> None:
        """The count of crashes of a delivery changed, or its blames did; keep them."""

    # -- ending a lease ----------------------------------------------------------------------------------

    def ack(self, lease: Lease, outcome: Outcome, id: str | None = None) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        remains = self._remains(delivery, outcome) if outcome.dead_letters else None
        self._finish(delivery, outcome, remains, id)
        return True

    def _remains(self, delivery: Delivery, outcome: Outcome) -> Remains:
        header, body, letters = delivery.header.encode(), delivery.body, outcome.dead_letters
        size = len(body)
        is_needed = outcome.keeps_body and not outcome.has_whole_packets
        if size > self._limits.dead_letter_body_bytes and not outcome.keeps_body:
            return Remains(delivery.id, letters, header, None, None, size, False)
        if isinstance(body, Spooled):
            return Remains(delivery.id, letters, header, None, body.name, size, is_needed)
        return Remains(delivery.id, letters, header, body, None, size, is_needed)

    def _finish(self, delivery: Delivery, outcome: Outcome, remains: Remains | None, id: str | None = None) -> None:
        group, header = delivery.group, delivery.header
        kind = self._last_kind
        if outcome is not self._last_outcome or header.documents != kind[2] or header.graph != kind[0]:
            kind = self._recall(header, outcome)
        if id is None:
            id = self._last_id
        received = group.key >> 6
        started = delivery.started - received if delivery.started else -1
        finished = int(self._clock() * 1000) - received
        if finished < started or started < -1:  # the clock was set back
            started, finished = max(started, 0), max(started, finished, 0)
        # PERF: as Account(...), at half the cost
        account = tuple.__new__(Account, (kind, started, finished if finished > 0 else 0, id))
        group.finish(delivery.position, account)
        self._ended(delivery)
        if remains is not None:
            self._add_letters(((remains.graph, len(remains.letters), remains.size if remains.has_body else 0),))
        self._finished(delivery, account, self._last_details, remains)
        if self._waiters:
            for waiter in self._waiters.pop((group.key, delivery.position), ()):
                _wake(waiter)

    def _add_letters(self, changes: Iterable[tuple[str, int, int]]) -> None:
        """Dead letters came or went: graph, count, bytes."""

        def add() -> None:
            for change in changes:
                self._shares.add_letters(*change)

        self._watch(add)

    def _recall(self, header: Header, outcome: Outcome) -> Kind:
        """What is made of an outcome, kept for the next delivery that has the same."""
        kind = kind_of(header, outcome)
        if kind != self._last_kind:  # else the same object is told apart by nobody, and encoded once
            self._last_kind = kind
        self._last_outcome = outcome
        details = details_of(header.documents, outcome)
        if details is not None and (header.route is not None or header.filename is not None):
            details = structs.replace(details, file=header.filename, route=header.route)
        self._last_details = details
        details = outcome.details
        self._last_id = details.ids.get(0) if details is not None and details.ids and header.documents == 1 else None
        return self._last_kind

    def dead_letter(self, lease: Lease, code: str, reason: str) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        self._bury(delivery, code, reason)
        return True

    def _bury(self, delivery: Delivery, code: str, reason: str, *, has_body: bool = True) -> None:
        """Finish a whole delivery as failed, with one dead letter for all of its documents."""
        header, body = delivery.header, delivery.body
        letter = DeadLetter(
            id=dead_letter_id(delivery.id, 0, ""),
            documents=(),
            graph=header.graph,
            version=0,
            filter="",
            component="",
            code=code,
            error=reason,
            traceback="",
            attempts=delivery.attempt,
            packet=b"",
            time=self._clock(),
            named=header.named,
        )
        outcome = Outcome(failed=header.documents, dead_letters=(letter,), keeps_body=has_body)
        if has_body:
            remains = self._remains(delivery, outcome)
        else:
            remains = Remains(delivery.id, (letter,), header.encode(), None, None, len(body), True)
        log.warning("documents failed", extra=failure_told(delivery.id, header.graph, outcome))
        self._finish(delivery, outcome, remains, header.id)

    # -- deaths of instances -----------------------------------------------------------------------------

    def record_crash(self, lease: Lease) -> int:
        delivery = self._backlog.leased.get(lease.token)
        if delivery is None:
            return lease.crashes
        delivery.crashes += 1
        group = delivery.group
        group.crashes = {**(group.crashes or {}), delivery.position: delivery.crashes}
        self._crashed(delivery, self._blames(delivery))
        return delivery.crashes

    def blame(self, lease: Lease, blame: Blame) -> None:
        delivery = self._backlog.leased.get(lease.token)
        if delivery is None:
            return
        place = (delivery.group.key, delivery.position)
        past = self._past.get(place) or Rerun()
        others = tuple(other for other in past.blames if other.document != blame.document)
        self._past[place] = structs.replace(past, blames=(*others, blame))
        self._crashed(delivery, self._blames(delivery))

    def _blames(self, delivery: Delivery) -> tuple[Blame, ...]:
        past = self._past.get((delivery.group.key, delivery.position))
        return past.blames if past is not None else ()

    def committed(self, lease: Lease, publisher: str, documents: Sequence[int]) -> None:
        delivery = self._backlog.leased.get(lease.token)
        if delivery is None:
            return
        place = (delivery.group.key, delivery.position)
        past = self._past.get(place) or Rerun()
        known = past.committed.get(publisher, ())
        given = {**past.committed, publisher: tuple(sorted({*known, *documents}))}
        self._past[place] = structs.replace(past, committed=given)

    # -- receipts ----------------------------------------------------------------------------------------

    async def wait_receipt(self, id: str, wait_s: float) -> Receipt | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None and group.account(rid.position) is None and wait_s > 0:
            waiters = self._waiters.setdefault((rid.key, rid.position), [])
            waiter = self._loop.create_future()
            waiters.append(waiter)
            timer = self._loop.call_later(wait_s, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                waiters.remove(waiter)
                if not waiters and self._waiters.get((rid.key, rid.position)) is waiters:
                    del self._waiters[rid.key, rid.position]
        return await self.receipt(id)

    def _find(self, rid: ReceiptId) -> Group | None:
        group = self._backlog.groups.get(rid.key)
        if group is None or (rid.node, rid.shard, rid.salt) != (self._node, self._shard, group.salt):
            return None
        return group if rid.position < group.entries else None

    def _time(self, at: float) -> str:
        """The time of day at a time of the node, in words."""
        return rfc3339(self._times.shown(at))

    def _unfinished_receipt(self, rid: ReceiptId, header: Header, delivery: Delivery | None) -> Receipt:
        is_taken = delivery is not None and delivery.attempt > 0
        started = self._time(delivery.started / 1000) if delivery is not None and delivery.started else None
        return Receipt(
            receipt=str(rid),
            state="processing" if is_taken else "queued",
            accepted=header.documents,
            published=0,
            dropped=0,
            failed=0,
            pending=header.documents,
            received=self._time(rid.received),
            started=started,
            finished=None,
            graph=header.graph,
        )

    def _finished_receipt(self, rid: ReceiptId, account: Account) -> Receipt:
        kind, started, finished, _ = account
        return Receipt(
            receipt=str(rid),
            state="failed" if kind.failed else "done",
            accepted=kind.accepted,
            published=kind.published,
            dropped=kind.dropped,
            failed=kind.failed,
            pending=0,
            received=self._time(rid.received),
            started=self._time(rid.received + started / 1000) if started >= 0 else None,
            finished=self._time(rid.received + finished / 1000),
            graph=kind.graph,
            version=kind.version,
        )


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
