"""Leasing from a queue in memory, as from one over a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pypes.ingest.contracts.leasing import Lease, Settled, Stream
from pypes.ingest.outcome import Poison
from tests.ingest.memory.shelf import Shelf
from tests.ingest.memory.step import step


class YieldingLeasing:
    """A :class:`RemoteLeasing` over the leases of a shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self.on_lost: Callable[[int], None] | None = None
        self._lending = shelf.lending
        self._backlog = shelf.backlog
        self.lent: dict[int, Lease] = {}
        #: Raised by every call while it is set: the network is down.
        self.failure: Exception | None = None
        #: How often it was.
        self.refused = 0

    @property
    def on_ready(self) -> Callable[[], None] | None:
        return self._lending.on_ready

    @on_ready.setter
    def on_ready(self, on_ready: Callable[[], None] | None) -> None:
        self._lending.on_ready = on_ready

    async def _step(self) -> None:
        await step()
        if self.failure is not None:
            self.refused += 1
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
