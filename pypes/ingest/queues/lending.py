"""Lending: leases of deliveries whose order is kept in memory, and what becomes of the deliveries when they are settled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from msgspec import structs

from pypes.core.nodetime import Clock
from pypes.ingest.accounts import Account, Kind, details_of, kind_of
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import Delivery, StreamBacklog
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Details, KeptTrace, Outcome, Poison, failed_whole, failure_log_fields
from pypes.ingest.protocol import Rerun
from pypes.ingest.queues.room import Room
from pypes.ingest.store.write_batch import Remains

log = logging.getLogger(__name__)


class Finished(NamedTuple):
    """The end of deliveries: an account of each; of one that is alone, details, its dead letters, and its trace."""

    deliveries: Sequence[Delivery]
    accounts: Sequence[Account]
    details: Details | None
    remains: Remains | None
    trace: KeptTrace | None


#: Keeps what became of deliveries.
OnFinished = Callable[[Finished], None]

_backlog_of = attrgetter("backlog")


class Lending:
    """Implements :class:`pypes.ingest.contracts.leasing.Leasing` on a backlog.

    ``on_finished`` keeps what became of deliveries, ``on_crashed(delivery, poisons)`` that it saw its holder die. ``fetch()`` is
    to bring what goes next of what is in the store only, unless enough is in memory, and then to call :meth:`notify`.
    ``on_leased(graph, deliveries)`` hears of what was lent at once.
    """

    def __init__(
        self,
        backlog: Backlog,
        room: Room,
        clock: Clock,
        *,
        max_kept_bytes: int,
        on_finished: OnFinished,
        on_crashed: Callable[[Delivery, tuple[Poison, ...]], None],
        fetch: Callable[[], None],
        on_leased: Callable[[str, int], None] | None = None,
    ) -> None:
        self.on_ready: Callable[[], None] | None = None
        self.on_lost: Callable[[Lease], None] | None = None
        self._backlog = backlog
        self._room = room
        self._clock = clock.now
        self._max_kept_bytes = max_kept_bytes
        self._on_finished = on_finished
        self._on_crashed = on_crashed
        self._fetch = fetch
        self._on_leased = on_leased
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_notifying = False
        self._waiters: dict[tuple[int, int], list[asyncio.Future[None]]] = {}
        # PERF: the outcome of published documents is shared, and so is what is made of it
        self._last_outcome: Outcome | None = None
        self._last_kind = Kind("", 0, 0, 0, 0, 0, (), "")
        self._last_details: Details | None = None
        self._last_id: str | None = None

    # -- leases ------------------------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        self._backlog.tick(self._loop.time())
        return self._backlog.streams()

    def is_held(self, graph: str) -> bool:
        return self._backlog.is_held(graph)

    def waiting(self, stream: Stream) -> int:
        return self._backlog.waiting(stream)

    def take(self, stream: Stream, n: int, max_bytes: int) -> list[Lease]:
        backlog = self._backlog
        backlog.tick(self._loop.time())
        self._room.show_drain()
        backlog.now_ms = int(self._clock() * 1000)
        leases = backlog.lease(stream, n, max_bytes)
        if backlog.cache.has_cold:
            self._fetch()
        if self._on_leased is not None and leases:
            self._on_leased(stream.graph, len(leases))
        return leases

    def ack(self, lease: Lease, outcome: Outcome, id: str | None = None) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        remains = self._remains(delivery, outcome) if outcome.dead_letters else None
        self._finish([(delivery, id)], outcome, remains)
        return True

    def ack_all(self, leases: Sequence[Lease], outcome: Outcome, ids: Sequence[str | None]) -> None:
        settle = self._backlog.settle
        pairs = zip(leases, ids, strict=True)
        settled = [(delivery, id) for lease, id in pairs if (delivery := settle(lease.token)) is not None]
        if settled:
            self._finish(settled, outcome, None)

    def nack(self, lease: Lease, delay_s: float = 0.0, *, suspect: bool = False) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        delivery.is_suspect = delivery.is_suspect or suspect
        self._backlog.give_back(delivery, self._loop.time() + delay_s if delay_s > 0 else None)
        if delay_s > 0:
            self._set_timer()
        else:
            self.notify_soon()
        return True

    def dead_letter(self, lease: Lease, code: str, reason: str) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        self.bury(delivery, code, reason)
        return True

    def rerun(self, lease: Lease) -> Rerun | None:
        delivery = self._backlog.leased.get(lease.token)
        return None if delivery is None else self._backlog.rerun(delivery)

    async def settled(self) -> None:
        """Returns at once: leases settled here take effect immediately."""

    # -- deaths of holders -------------------------------------------------------------------------------

    def record_crash(self, lease: Lease) -> int:
        delivery = self._backlog.leased.get(lease.token)
        if delivery is None:
            return lease.crashes
        delivery.crashes += 1
        group = delivery.group
        group.crashes = {**(group.crashes or {}), delivery.position: delivery.crashes}
        self._on_crashed(delivery, self._backlog.poisons(delivery))
        return delivery.crashes

    def record_poison(self, lease: Lease, poison: Poison) -> None:
        delivery = self._backlog.leased.get(lease.token)
        if delivery is None:
            return
        place = (delivery.group.key, delivery.position)
        past = self._backlog.past.get(place) or Rerun()
        others = tuple(other for other in past.poisons if other.document != poison.document)
        self._backlog.past[place] = structs.replace(past, poisons=(*others, poison))
        self._on_crashed(delivery, self._backlog.poisons(delivery))

    # -- how deliveries end ------------------------------------------------------------------------------

    def bury(self, delivery: Delivery, code: str, reason: str, *, has_body: bool = True) -> None:
        """Finish a delivery that is lent to nobody as failed, with one dead letter for all of its documents."""
        header, body = delivery.header, delivery.body
        now, attempts = self._clock(), delivery.attempt
        outcome = failed_whole(delivery.id, header, code, reason, attempts=attempts, time=now, keeps_body=has_body)
        if has_body:
            remains = self._remains(delivery, outcome)
        else:
            remains = Remains(delivery.id, outcome.dead_letters, header.encode(), None, None, len(body), True)
        log.warning("documents failed", extra=failure_log_fields(delivery.id, header.graph, outcome))
        self._finish([(delivery, header.id)], outcome, remains)

    def _remains(self, delivery: Delivery, outcome: Outcome) -> Remains:
        header, body, letters = delivery.header.encode(), delivery.body, outcome.dead_letters
        size = len(body)
        is_needed = outcome.keeps_body and not outcome.has_whole_packets
        if size > self._max_kept_bytes and not outcome.keeps_body:
            return Remains(delivery.id, letters, header, None, None, size, False)
        if isinstance(body, Spooled):
            return Remains(delivery.id, letters, header, None, body.name, size, is_needed)
        return Remains(delivery.id, letters, header, body, None, size, is_needed)

    def _finish(self, settled: Sequence[tuple[Delivery, str | None]], outcome: Outcome, remains: Remains | None) -> None:
        """Finish deliveries that ended alike, each with the id of its one document if it is known; ``remains`` of a lone one."""
        now = int(self._clock() * 1000)
        deliveries, accounts = [], []
        for delivery, id in settled:
            group, header, kind = delivery.group, delivery.header, self._last_kind
            is_same = header.documents == kind[2] and header.graph == kind[0] and header.poster == kind[9]
            if outcome is not self._last_outcome or not is_same:
                kind = self._recall(header, outcome)
            received = group.key >> 6
            started = delivery.started - received if delivery.started else -1
            finished = now - received
            if finished < started or started < -1:  # the clock was set back
                started, finished = max(started, 0), max(started, finished, 0)
            # PERF: as Account(...), at half the cost
            account = tuple.__new__(
                Account, (kind, started, finished if finished > 0 else 0, self._last_id if id is None else id)
            )
            group.finish(delivery.position, account)
            deliveries.append(delivery)
            accounts.append(account)
        for backlog, own in groupby(deliveries, _backlog_of):
            self._free(backlog, [*own])
        if remains is not None:
            self._room.add_letters(((remains.graph, len(remains.letters), remains.size if remains.has_body else 0),))
        self._on_finished(Finished(deliveries, accounts, self._last_details, remains, outcome.trace))
        if self._waiters:
            for delivery in deliveries:
                for waiter in self._waiters.pop((delivery.group.key, delivery.position), ()):
                    _wake(waiter)

    def _free(self, backlog: StreamBacklog, finished: Sequence[Delivery]) -> None:
        """Free what deliveries of one stream held: their room, their keys."""
        self._room.finished(backlog.stream.graph, len(finished), sum([len(delivery.body) for delivery in finished]))
        if self._backlog.past:
            for delivery in finished:
                self._backlog.past.pop((delivery.group.key, delivery.position), None)
        if self._backlog.finish(*finished):
            self.notify_soon()

    def _recall(self, header: Header, outcome: Outcome) -> Kind:
        """Kind of a delivery with this outcome; the next one with the same outcome reuses the object."""
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

    async def wait_finished(self, key: int, position: int, wait_s: float) -> None:
        """Wait up to ``wait_s`` seconds for a delivery of the backlog to be finished."""
        waiters = self._waiters.setdefault((key, position), [])
        waiter = self._loop.create_future()
        waiters.append(waiter)
        timer = self._loop.call_later(wait_s, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            waiters.remove(waiter)
            if not waiters and self._waiters.get((key, position)) is waiters:
                del self._waiters[key, position]

    # -- notice of what became leasable ------------------------------------------------------------------

    def notify_soon(self) -> None:
        """Tell after this iteration of the loop, once for all that became leasable in it."""
        if not self._is_notifying:
            self._is_notifying = True
            self._loop.call_soon(self.notify)

    def notify(self, *, has_lost: bool = False) -> None:
        """Call ``on_ready`` if a delivery is leasable, or if one that was about to become leasable was lost."""
        self._is_notifying = False
        if self.on_ready is not None and (has_lost or self._backlog.is_leasable):
            self.on_ready()

    def _set_timer(self) -> None:
        due = self._backlog.next_due()
        if self._timer is not None:
            if due is not None and self._timer.when() <= due and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        # a timer may ring a little early: what is due within a millisecond is due
        if self._backlog.tick(self._loop.time() + 0.001):
            self.notify()
        self._set_timer()

    def close(self) -> None:
        """Tell nothing any more."""
        if self._timer is not None:
            self._timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
