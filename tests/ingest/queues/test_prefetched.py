"""Leasing that answers at once over a queue that is far away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pypes.errors import StoreError, Unavailable
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome, Poison
from tests.ingest.harness import header, lease_any, run, take, until
from tests.ingest.memory.queue import MemoryQueue
from tests.ingest.memory.step import step

LIVE = Stream("g", False)
DONE = Outcome(published=1)


def play(scenario: Callable[[MemoryQueue], Awaitable[None]], ahead: int = 3) -> None:
    async def main() -> None:
        queue = MemoryQueue(node=7, shard=3, ahead=ahead)
        try:
            await scenario(queue)
        finally:
            await queue.close()

    run(main(), within_s=30)


def test_leases_are_fetched_ahead_up_to_the_bound() -> None:
    async def scenario(queue: MemoryQueue) -> None:
        receipts = [await queue.intake.append(header(), b"x") for _ in range(5)]
        await until(lambda: queue.stats().leased == 3)
        await step()  # until they are here
        found = queue.leasing.take(LIVE, 2, 1 << 20)
        assert [lease.id for lease in found] == receipts[:2]
        await until(lambda: queue.stats().leased == 5)
        await step()
        assert [lease.id for lease in queue.leasing.take(LIVE, 9, 1 << 20)] == receipts[2:]

    play(scenario)


def test_what_nobody_took_goes_back_at_the_end() -> None:
    async def scenario(queue: MemoryQueue) -> None:
        for _ in range(3):
            await queue.intake.append(header(), b"x")
        (lease,) = await take(queue)
        await until(lambda: queue.stats().leased == 3)
        await queue.leasing.close()
        assert (queue.stats().leased, queue.stats().deliveries) == (1, 3)
        assert not queue.leasing.take(LIVE, 1, 1 << 20)
        assert queue.leasing.ack(lease, DONE)

    play(scenario)


def test_a_lease_that_is_lost_is_told_and_settles_nothing() -> None:
    async def scenario(queue: MemoryQueue) -> None:
        lost: list[Lease] = []
        queue.leasing.on_lost = lost.append
        await queue.intake.append(header(), b"x")
        (lease,) = await take(queue)
        queue.remote.take_away(lease)
        assert lost == [lease]
        assert not queue.leasing.ack(lease, DONE)
        assert not queue.leasing.dead_letter(lease, "x", "y")
        (again,) = await take(queue)
        assert (again.id, again.attempt) == (lease.id, 2)
        assert queue.leasing.ack(again, DONE)
        await queue.leasing.settled()
        assert queue.stats().acknowledged == 1

    play(scenario, ahead=0)


def test_a_lease_that_is_lost_before_anybody_took_it_is_not_lent() -> None:
    async def scenario(queue: MemoryQueue) -> None:
        lost: list[Lease] = []
        queue.leasing.on_lost = lost.append
        await queue.intake.append(header(), b"x")
        await until(lambda: queue.stats().leased == 1)
        await step()
        (lease,) = queue.remote.lent.values()
        queue.remote.take_away(lease)
        (again,) = await take(queue)
        assert (again.attempt, lost) == (2, [])

    play(scenario)


def test_an_outage_loses_and_repeats_nothing() -> None:
    async def scenario(queue: MemoryQueue) -> None:
        for _ in range(4):
            await queue.intake.append(header(), b"x")
        first, second = await take(queue, 2)
        queue.remote.failure = StoreError("the network is down", code="store.failed")
        assert queue.leasing.ack(first, DONE)
        assert queue.leasing.record_crash(second) == 1
        queue.leasing.record_poison(second, Poison(0, "pdf", "killed by SIGSEGV"))
        await until(lambda: queue.remote.refused > 1)
        assert queue.stats().acknowledged == 0
        queue.remote.failure = None
        await queue.leasing.settled()
        assert queue.stats().acknowledged == 1
        queue.leasing.nack(second, suspect=True)
        await queue.leasing.settled()
        again = next(lease for lease in await take(queue, 3) if lease.id == second.id)
        assert (again.crashes, again.is_suspect) == (1, True)
        assert again.rerun is not None
        assert again.rerun.poisons == (Poison(0, "pdf", "killed by SIGSEGV"),)

    play(scenario)


def test_streams_do_not_take_each_others_place() -> None:
    async def scenario(queue: MemoryQueue) -> None:
        for graph in "gh":
            for _ in range(4):
                await queue.intake.append(Header(graph), b"x")
        await until(lambda: queue.stats().leased == 6)
        await step()  # until they are here
        assert [lease.header.graph for lease in queue.leasing.take(Stream("h", False), 9, 1 << 20)] == ["h"] * 3
        assert {lease.header.graph for lease in lease_any(queue, 3)} == {"g"}

    play(scenario)


def test_whoever_waits_for_what_could_not_be_stored_is_told_when_the_queue_is_closed() -> None:
    async def scenario(queue: MemoryQueue) -> None:
        await queue.intake.append(header(), b"x")
        (lease,) = await take(queue)
        queue.remote.failure = StoreError("the network is down", code="store.failed")
        queue.leasing.ack(lease, DONE)
        waiting = asyncio.ensure_future(queue.leasing.settled())
        with pytest.raises(StoreError, match="the network is down"):
            await queue.leasing.close()
        with pytest.raises(Unavailable, match="before the queue was closed"):
            await asyncio.wait_for(waiting, 10)
        queue.remote.failure = None

    play(scenario)


def test_whoever_waits_for_the_end_is_told_when_the_queue_knows_of_what_was_settled() -> None:
    async def scenario(queue: MemoryQueue) -> None:
        await queue.intake.append(header(), b"x")
        (lease,) = await take(queue)
        told: list[int] = []
        queue.leasing.on_ready = lambda: told.append(queue.stats().deliveries)
        queue.leasing.ack(lease, DONE)
        await until(lambda: 0 in told)

    play(scenario)
