"""The embedded queue against a model, any sequence of operations, restarts and failing commits included."""

import asyncio
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pypes.core.limits import Limits
from pypes.errors import StoreError
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards
from tests.ingest.harness import lease_any


class Connection(sqlite3.Connection):
    """Fails every insertion while ``fails`` is true."""

    fails: list[bool]

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if self.fails[0] and sql.startswith("INSERT"):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *args)


class QueueMachine(RuleBasedStateMachine):
    """``waiting``: receipt → body of everything accepted and not acknowledged, in order; ``done``: what was acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.fails = [False]
        self.waiting: dict[str, bytes] = {}
        self.done: dict[str, int] = {}
        self.leases: list[Lease] = []
        self.void: list[Lease] = []
        self.counter = 0
        self.queue = self.runner.run(self._open())

    async def _open(self) -> EmbeddedQueue:
        fails = self.fails

        class Failing(Connection):
            pass

        Failing.fails = fails

        def connect(*args: Any, **options: Any) -> sqlite3.Connection:
            return sqlite3.connect(*args, factory=Failing, **options)

        # a cache of about three deliveries: most are read again
        limits = Limits(cache_bytes=2000, receipts_bytes=1 << 20)
        return await EmbeddedQueue.open(Shards(self.folder).lock(0), node=1, limits=limits, probe_s=0.001, connect=connect)

    @rule(n=st.integers(1, 5), size=st.integers(0, 1500))
    def append(self, n: int, size: int) -> None:
        async def main() -> None:
            bodies = []
            for _ in range(n):
                self.counter += 1
                bodies.append(b"%d " % self.counter + b"x" * size)
            futures = [self.queue.intake.append(Header("g", length=len(body)), body) for body in bodies]
            for id, body in zip(await asyncio.gather(*futures), bodies, strict=True):
                self.waiting[id] = body

        self.runner.run(main())

    @rule()
    def append_to_a_failing_disk(self) -> None:
        async def main() -> None:
            self.fails[0] = True
            try:
                await self.queue.intake.append(Header("g"), b"refused")
            except StoreError:
                pass
            else:
                raise AssertionError("accepted by a disk that fails")
            finally:
                self.fails[0] = False
            while self.queue.stats().is_failed:  # noqa: ASYNC110 - the probe tells no one
                await asyncio.sleep(0.001)

        self.runner.run(main())

    @precondition(lambda self: len(self.waiting) > len(self.leases))
    @rule(n=st.integers(1, 8))
    def lease(self, n: int) -> None:
        async def main() -> None:
            ready = asyncio.Event()
            self.queue.leasing.on_ready = ready.set
            # how much is at hand depends on how fast it is read again: wait for all, so that every run draws the same
            wanted = min(n, len(self.waiting) - len(self.leases))
            found: list[Lease] = []
            while len(found) < wanted:
                ready.clear()
                more = lease_any(self.queue, wanted - len(found), 1 << 30)
                found += more
                if not more:
                    await asyncio.wait_for(ready.wait(), 10)
            held = {lease.id for lease in self.leases}
            for lease in found:
                assert lease.id not in held
                assert self.waiting[lease.id] == lease.body
            self.leases += found

        self.runner.run(main())

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))

        async def main() -> None:
            assert self.queue.leasing.ack(lease, Outcome(1))

        self.runner.run(main())
        del self.waiting[lease.id]
        self.done[lease.id] = 1
        self.void.append(lease)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def nack(self, data: st.DataObject) -> None:
        lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))

        async def main() -> None:
            assert self.queue.leasing.nack(lease)

        self.runner.run(main())
        self.void.append(lease)

    @precondition(lambda self: self.void)
    @rule(data=st.data())
    def use_a_void_lease(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.void))

        async def main() -> None:
            assert not self.queue.leasing.ack(lease, Outcome(1))
            assert not self.queue.leasing.nack(lease)

        self.runner.run(main())

    @rule()
    def restart(self) -> None:
        self.runner.run(self.queue.close())
        self.void += self.leases
        self.leases = []
        self.queue = self.runner.run(self._open())

    @precondition(lambda self: self.done or self.waiting)
    @rule(data=st.data())
    def receipt(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from([*self.done, *self.waiting]))
        receipt = self.runner.run(self.queue.receipts.get(id))
        assert receipt is not None
        if id in self.done:
            assert (receipt.state, receipt.published) == ("done", 1)
        else:
            assert receipt.state == ("processing" if any(lease.id == id for lease in self.leases) else receipt.state)
            assert receipt.pending == 1

    @invariant()
    def counts_agree(self) -> None:
        stats = self.queue.stats()
        assert stats.deliveries == len(self.waiting)
        assert stats.leased == len(self.leases)

    def teardown(self) -> None:
        async def main() -> None:
            await self.queue.close()
            self.queue = await self._open()
            found: list[Lease] = []
            ready = asyncio.Event()
            self.queue.leasing.on_ready = ready.set
            while len(found) < len(self.waiting):
                if not (more := lease_any(self.queue, 100, 1 << 30)):
                    ready.clear()
                    await asyncio.wait_for(ready.wait(), 10)
                found += more
            assert {lease.id: lease.body for lease in found} == self.waiting
            assert [lease.id for lease in found] == sorted(self.waiting)
            for lease in found:
                self.queue.leasing.ack(lease, Outcome(1))
            assert self.queue.stats().bytes == 0
            await self.queue.close()

        try:
            self.runner.run(main())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)


QueueMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestQueueModel = QueueMachine.TestCase
