"""The order of an ordered graph against a model: random keys on both lanes, retries, delays, dead letters, restarts.

The queue is the embedded one, in half of the runs with a cache of a few deliveries, so that most are read again. The model knows
what is accepted and not finished, in order. A delivery takes effect when it is lent; what its ``rerun`` says is superseded
does not.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pypes.core.identity import Identity
from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import EVERY, key_of, pack_keys
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards

LIVE, BULK = Stream("g", False), Stream("g", True)
#: Ids; the first two share an order key.
KEYS = ("doc-29685295", "doc-32060020", "a", "b")


class Made(NamedTuple):
    """A delivery of the model. ``number`` counts appends; ``keys`` is all of :data:`KEYS` for one with ``EVERY``."""

    number: int
    keys: frozenset[str]
    is_bulk: bool
    is_every: bool

    def shares(self, other: Made) -> bool:
        """True if the two have an order key in common."""
        return not {key_of(id) for id in self.keys}.isdisjoint(map(key_of, other.keys))

    def header(self) -> Header:
        known = () if self.is_bulk or self.is_every else tuple(Identity("", id) for id in sorted(self.keys))
        return Header(
            "g", keys=EVERY if self.is_every else pack_keys(map(key_of, self.keys)), is_bulk=self.is_bulk, identities=known
        )


class OrderMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.number = 0
        #: Accepted and not finished, by receipt, in order.
        self.open: dict[str, Made] = {}
        self.leases: dict[str, Lease] = {}
        #: Receipts that were lent in this life of the queue: they keep their places.
        self.lent: set[str] = set()
        #: Key → number of the newest delivery that had an effect on it.
        self.newest: dict[str, int] = {}
        #: Keys of deliveries that had their first effect.
        self.begun: set[str] = set()
        self.cache_bytes = 0

    @initialize(cache_bytes=st.sampled_from([3000, 1 << 20]))
    def start(self, cache_bytes: int) -> None:
        self.cache_bytes = cache_bytes
        self.queue = self.runner.run(self._open())

    async def _open(self) -> EmbeddedQueue:
        shard = Shards(self.folder).lock(0)
        return await EmbeddedQueue.open(shard, node=1, limits=Limits(cache_bytes=self.cache_bytes), durability="never")

    @rule(keys=st.lists(st.sets(st.sampled_from(KEYS), min_size=1, max_size=3), min_size=1, max_size=4), is_bulk=st.booleans())
    def append(self, keys: list[set[str]], is_bulk: bool) -> None:
        self._append([(frozenset(each), is_bulk, False) for each in keys])

    @rule(is_bulk=st.booleans())
    def append_in_order_with_everything(self, is_bulk: bool) -> None:
        self._append([(frozenset(KEYS), is_bulk, True)])

    def _append(self, wanted: list[tuple[frozenset[str], bool, bool]]) -> None:
        made = [Made(self.number + n, *each) for n, each in enumerate(wanted, 1)]
        self.number += len(made)

        async def main() -> None:
            receipts = await asyncio.gather(*(self.queue.intake.append(each.header(), b"x" * 300) for each in made))
            self.open.update(zip(receipts, made, strict=True))

        self.runner.run(main())

    @rule(n=st.integers(1, 4), is_bulk=st.booleans())
    def lease(self, n: int, is_bulk: bool) -> None:
        self.runner.run(self._take(n, is_bulk))

    async def _take(self, n: int, is_bulk: bool) -> None:
        """Lease up to ``n`` of what may run, waiting for what is being read or is put off."""
        async with asyncio.timeout(10):
            while n > 0:
                leases = self.queue.leasing.take(BULK if is_bulk else LIVE, n, 1 << 30)
                self._lent(leases, is_bulk)
                n -= len(leases)
                if not leases:
                    if not (self.queue._refill.is_busy or self.queue.stats().delayed):
                        return
                    await asyncio.sleep(0.0005)  # nobody could set an event: it may be that nothing may run

    def _lent(self, leases: list[Lease], is_bulk: bool) -> None:
        for lease in leases:
            made = self.open[lease.id]
            assert made.is_bulk is is_bulk
            assert lease.id not in self.leases
            for other in self.leases:
                assert not self.open[other].shares(made), "two that share a key are out"
            superseded = lease.rerun.superseded.identities if lease.rerun is not None else ()
            effective = made.keys - {identity.id for identity in superseded}
            for key in effective:
                if lease.id not in self.begun:
                    assert self.newest.get(key, 0) < made.number, "an older one had its first effect after a newer one"
                else:
                    assert self.newest.get(key, 0) <= made.number, "a retry overwrote a newer one"
                self.newest[key] = made.number
            self.begun.add(lease.id)
            self.leases[lease.id] = lease
            self.lent.add(lease.id)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), is_failure=st.booleans())
    def finish(self, data: st.DataObject, is_failure: bool) -> None:
        receipt = data.draw(st.sampled_from(list(self.leases)))
        lease = self.leases.pop(receipt)

        async def main() -> None:
            if is_failure:
                assert self.queue.leasing.dead_letter(lease, "test", "it failed")
            else:
                assert self.queue.leasing.ack(lease, Outcome(1))

        self.runner.run(main())
        del self.open[receipt]
        self.lent.discard(receipt)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), delay_s=st.sampled_from([0.0, 0.001]))
    def nack(self, data: st.DataObject, delay_s: float) -> None:
        lease = self.leases.pop(data.draw(st.sampled_from(list(self.leases))))

        async def main() -> None:
            assert self.queue.leasing.nack(lease, delay_s)

        self.runner.run(main())

    @rule()
    def restart(self) -> None:
        """What is out is run again; what was finished is not."""
        self.runner.run(self.queue.close())
        self.leases.clear()
        self.lent.clear()
        self.queue = self.runner.run(self._open())

    @precondition(lambda self: self.open and self.cache_bytes > 3000)
    @rule()
    def whatever_may_run_is_leasable(self) -> None:
        """Nothing waits but for a reason (or for room in the cache, if that is small)."""
        may_run = self._may_run()
        for is_bulk in (False, True):
            self.runner.run(self._take(1000, is_bulk))
        assert may_run <= self.leases.keys()

    def _may_run(self) -> set[str]:
        unfinished = list(self.open.items())
        may_run = set()
        for at, (receipt, made) in enumerate(unfinished):
            if receipt not in self.leases and (receipt in self.lent or not self._must_wait(at, made, unfinished)):
                may_run.add(receipt)
        return may_run

    def _must_wait(self, at: int, made: Made, unfinished: list[tuple[str, Made]]) -> bool:
        """True if a delivery that was never lent may be kept waiting by another one."""
        for other_at, (receipt, other) in enumerate(unfinished):
            is_older = other_at < at
            if other_at == at or not made.shares(other):
                continue
            if receipt in self.lent or (is_older and other.is_bulk is made.is_bulk):
                return True
            # bulk waits for what is live, also for what came later and stands in line already
            if made.is_bulk and not other.is_bulk:
                return True
            if made.is_every and is_older:
                return True
        return False

    @invariant()
    def counts_agree(self) -> None:
        stats = self.queue.stats()
        assert stats.deliveries == len(self.open)
        assert stats.leased == len(self.leases)
        assert stats.bulk_deliveries == sum(made.is_bulk for made in self.open.values())

    def teardown(self) -> None:
        """All of it can be worked off."""

        if not hasattr(self, "queue"):
            self.runner.close()
            return

        async def main() -> None:
            async with asyncio.timeout(20):
                while self.open:
                    for is_bulk in (False, True):
                        await self._take(1000, is_bulk)
                    assert self.leases, "nothing may run"
                    for receipt, lease in self.leases.items():
                        assert self.queue.leasing.ack(lease, Outcome(1))
                        del self.open[receipt]
                    self.leases.clear()
            assert self.queue.stats().bytes == 0
            assert self.queue.stats().cached_bytes == 0
            await self.queue.close()

        try:
            self.runner.run(main())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)


OrderMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestOrderModel = OrderMachine.TestCase
