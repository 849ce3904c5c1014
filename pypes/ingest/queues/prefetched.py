"""Prefetching of leases: immediate answers from a queue that answers later.

Leases are fetched ahead, up to a bound for each stream, and settled in batches, so that the dispatcher waits for no network. With
``ahead = 0``, only what was asked for is fetched. What was fetched and not taken goes back when this is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import structs

from pypes.core.clock import wall
from pypes.core.limits import MIB
from pypes.core.watched_tasks import OnFailed, WatchedTasks
from pypes.errors import StoreError, Unavailable
from pypes.ingest.contracts.leasing import Lease, RemoteLeasing, Settled, Stream
from pypes.ingest.delivery import Spooled
from pypes.ingest.outcome import Outcome, Poison, failed_whole, failure_log_fields
from pypes.ingest.protocol import Rerun

log = logging.getLogger(__name__)

#: Deliveries and bytes fetched ahead of each stream.
AHEAD, AHEAD_BYTES = 64, 8 * MIB
#: Seconds until a queue that could not be reached is asked again.
RETRY_S = 1.0


class Prefetched:
    """Implements :class:`pypes.ingest.contracts.leasing.Leasing` over a :class:`RemoteLeasing`; close it when done."""

    def __init__(self, remote: RemoteLeasing, on_failed: OnFailed, *, ahead: int = AHEAD, retry_s: float = RETRY_S) -> None:
        self.on_ready: Callable[[], None] | None = None
        self.on_lost: Callable[[Lease], None] | None = None
        self._remote = remote
        self._ahead = ahead
        self._retry_s = retry_s
        self._at_hand: dict[Stream, deque[Lease]] = {}
        #: Leases that were taken and not settled, by token.
        self._out: dict[int, Lease] = {}
        #: Streams that may have more than is at hand, and how many deliveries of each were asked for in vain.
        self._open: set[Stream] = set()
        self._wanted: dict[Stream, int] = {}
        self._held: frozenset[str] = frozenset()
        self._must_look = True
        self._settled: list[Settled] = []
        self._unrecorded: list[tuple[int, Poison | None]] = []
        self._crashes: dict[int, int] = {}
        self._poisons: dict[int, tuple[Poison, ...]] = {}
        self._is_busy = False
        #: Done at the end of the exchange that is going on, or of the next one.
        self._on_settled: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._is_closed = False
        #: Closed, and nothing is tried any more.
        self._is_over = False
        remote.on_ready = self._look_again
        remote.on_lost = self._lose
        self._tasks = WatchedTasks(on_failed)
        self._working = self._tasks.start(self._work(), "prefetching")

    # -- what the dispatcher asks ------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        return [stream for stream, leases in self._at_hand.items() if leases or stream in self._open]

    def is_held(self, graph: str) -> bool:
        return graph in self._held

    def waiting(self, stream: Stream) -> int:
        return sum(len(lease.body) for lease in self._at_hand.get(stream, ()))

    def take(self, stream: Stream, n: int, max_bytes: int) -> list[Lease]:
        leases = self._at_hand.get(stream)
        taken: list[Lease] = []
        while leases and len(taken) < n:
            size = len(leases[0].body)
            if taken and size > max_bytes:
                break
            max_bytes -= size
            lease = leases.popleft()
            self._out[lease.token] = lease
            taken.append(lease)
        if len(taken) < n and stream in self._open:
            self._wanted[stream] = n - len(taken)
        self._wake.set()
        return taken

    def ack(self, lease: Lease, outcome: Outcome, id: str | None = None) -> bool:
        return self._settle(lease, Settled(lease.token, outcome, id))

    def ack_all(self, leases: Sequence[Lease], outcome: Outcome, ids: Sequence[str | None]) -> None:
        for lease, id in zip(leases, ids, strict=True):
            self.ack(lease, outcome, id)

    def nack(self, lease: Lease, delay_s: float = 0.0, *, suspect: bool = False) -> bool:
        return self._settle(lease, Settled(lease.token, delay_s=delay_s, is_suspect=suspect))

    def dead_letter(self, lease: Lease, code: str, reason: str) -> bool:
        outcome = failed_whole(lease.id, lease.header, code, reason, attempts=lease.attempt, time=wall())
        if lease.token in self._out:
            log.warning("documents failed", extra=failure_log_fields(lease.id, lease.header.graph, outcome))
        return self._settle(lease, Settled(lease.token, outcome, lease.header.id))

    def _settle(self, lease: Lease, settled: Settled) -> bool:
        if self._out.pop(lease.token, None) is None:
            return False
        self._crashes.pop(lease.token, None)
        self._poisons.pop(lease.token, None)
        self._settled.append(settled)
        self._wake.set()
        return True

    def record_crash(self, lease: Lease) -> int:
        crashes = self._crashes.get(lease.token, lease.crashes)
        if lease.token in self._out:
            crashes = self._crashes[lease.token] = crashes + 1
            self._unrecorded.append((lease.token, None))
            self._wake.set()
        return crashes

    def record_poison(self, lease: Lease, poison: Poison) -> None:
        if lease.token in self._out:
            self._poisons[lease.token] = (*self._poisons.get(lease.token, ()), poison)
            self._unrecorded.append((lease.token, poison))
            self._wake.set()

    def rerun(self, lease: Lease) -> Rerun | None:
        poisons = self._poisons.get(lease.token)
        if lease.token not in self._out:
            return None
        if not poisons:
            return lease.rerun
        known = lease.rerun or Rerun()
        others = tuple(old for old in known.poisons if all(old.document != new.document for new in poisons))
        return structs.replace(known, poisons=(*others, *poisons))

    async def settled(self) -> None:
        while self._settled or self._unrecorded or self._is_busy:
            if self._is_over:
                raise Unavailable("what was settled could not be stored before the queue was closed", code="store.closed")
            future = self._on_settled = self._on_settled or asyncio.get_running_loop().create_future()
            self._wake.set()
            await asyncio.shield(future)

    # -- what the queue tells ----------------------------------------------------------------------------

    def _look_again(self) -> None:
        self._must_look = True
        self._wake.set()

    def _lose(self, token: int) -> None:
        lease = self._out.pop(token, None)
        if lease is not None:
            self._crashes.pop(token, None)
            self._poisons.pop(token, None)
            if self.on_lost is not None:
                self.on_lost(lease)
            return
        for leases in self._at_hand.values():
            for lease in [lease for lease in leases if lease.token == token]:
                leases.remove(lease)

    # -- what is done meanwhile --------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._is_closed:
            self._wake.clear()
            try:
                await self._exchange()
            except (Unavailable, StoreError) as error:
                log.warning("the queue cannot be reached; trying again", extra={"reason": str(error)})
                self._must_look = True
                await asyncio.sleep(self._retry_s)
            else:
                await self._wake.wait()

    async def _exchange(self) -> None:
        self._is_busy = True
        try:
            await self._flush()
            await self._look()
        finally:
            self._is_busy = False
            self._wake_waiting()

    def _wake_waiting(self) -> None:
        future, self._on_settled = self._on_settled, None
        if future is not None:
            future.set_result(None)

    async def _look(self) -> None:
        """Fetch the deliveries that were requested and are available."""
        if self._must_look:
            self._must_look = False
            streams, held = await self._remote.streams()
            for stream in streams:
                self._at_hand.setdefault(stream, deque())
            has_news = bool(held != self._held or set(streams) - self._open)
            self._open, self._held = set(streams), held
            if has_news and self.on_ready is not None:
                self.on_ready()
        for stream in list(self._open):
            await self._fetch(stream)

    async def _flush(self) -> None:
        """Tell the queue what has happened here."""
        while self._unrecorded:
            token, poison = self._unrecorded[0]
            await self._remote.record_crash(token, poison=poison)
            del self._unrecorded[0]
        if self._settled:
            batch = self._settled[:]
            await self._remote.settle(batch)
            del self._settled[: len(batch)]
            self._must_look = True
            if self.on_ready is not None:
                self.on_ready()

    async def _fetch(self, stream: Stream) -> None:
        leases = self._at_hand[stream]
        room = max(self._ahead, self._wanted.pop(stream, 0)) - len(leases)
        size = sum(0 if isinstance(lease.body, Spooled) else len(lease.body) for lease in leases)
        if room <= 0 or size >= AHEAD_BYTES:
            return
        fetched = await self._remote.fetch(stream, room, AHEAD_BYTES - size)
        if not fetched:
            self._open.discard(stream)
            return
        leases.extend(fetched)
        self._look_again()  # whether more is there is another question now
        if self.on_ready is not None:
            self.on_ready()

    async def close(self) -> None:
        """Return untaken leases, report settled ones, and end."""
        if self._is_closed:
            return
        self._is_closed = True
        self._wake.set()
        # not cancelled: what is just being fetched must be known to go back
        await self._working
        self._remote.on_ready = self._remote.on_lost = None
        self._settled += [Settled(lease.token) for leases in self._at_hand.values() for lease in leases]
        self._at_hand.clear()
        try:
            await self._flush()
        finally:
            self._is_over = True
            self._wake_waiting()
