"""What instances say, and what becomes of deliveries when they leave or drain."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pypes.core.graph_limits import GraphLimits
from pypes.core.limits import Limits
from pypes.errors import QueueFull
from pypes.ingest import protocol
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.outcome import Outcome
from tests.ingest.dispatch.harness import (
    AHEAD,
    GRAPHS,
    ScriptedInstance,
    dispatching,
    post,
    published,
    run,
    state_of,
    topology,
)
from tests.ingest.harness import until
from tests.ingest.memory.queue import MemoryQueue


@run
async def test_what_is_acknowledged_is_done(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipts = [await post(queue, b'{"n": %d}' % n) for n in range(3)]
        dispatcher.apply(topology(instances[0]))
        items = await instances[0].got(3)
        assert [instances[0].bodies[item.number] for item in items] == [b'{"n": 0}', b'{"n": 1}', b'{"n": 2}']
        assert [item.receipt for item in items] == receipts
        await instances[0].say(
            protocol.acks(
                [protocol.Published(1, ("out",), [items[0].number, items[1].number], [])], [(items[2].number, Outcome(failed=1))]
            )
        )
        assert [await state_of(queue, receipt) for receipt in receipts] == ["done", "done", "failed"]
        assert dispatcher.outstanding == 0


@run
async def test_nothing_goes_elsewhere_before_the_instance_is_gone(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, lost):
        receipt = await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        instances[0].die()
        assert await asyncio.wait_for(lost.get(), 10) == 1
        dispatcher.apply(topology(instances[1], first=2))
        later = await post(queue)
        items = await instances[1].got(1)
        assert [item.receipt for item in items] == [later]
        dispatcher.gone(1)
        items = await instances[1].got(2)
        assert (items[1].receipt, items[1].is_alone) == (receipt, True)
        assert not items[0].is_alone


@run
async def test_what_was_acknowledged_before_death_counts(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipt = await post(queue)
        dispatcher.apply(topology(instances[0]))
        [item] = await instances[0].got(1)
        await instances[0].say(protocol.acks([protocol.Published(1, ("out",), [item.number], [])], []))
        instances[0].die()
        dispatcher.gone(1)  # before the loop had a chance to read what it said
        assert await state_of(queue, receipt) == "done"


@run
async def test_goodbye_gives_back_at_once_and_without_suspicion(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, lost):
        receipt = await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        dispatcher.apply(topology(instances[1], first=2))
        await instances[0].say(protocol.signal(protocol.GOODBYE))
        [item] = await instances[1].got(1)
        assert (item.receipt, item.is_alone) == (receipt, False)
        assert lost.empty()


@run
async def test_a_retiring_instance_finishes_and_gets_nothing_more(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, lost):
        old = await post(queue)
        dispatcher.apply(topology(instances[0]))
        [item] = await instances[0].got(1)
        dispatcher.apply(topology(instances[1], first=2))
        await post(queue)
        await instances[1].got(1)
        await instances[0].say(protocol.acks([protocol.Published(1, ("out",), [item.number], [])], []))
        assert await state_of(queue, old) == "done"
        assert len(instances[0].items) == 1
        instances[0].die()
        await instances[1].say(protocol.signal(protocol.GOODBYE))
        await until(lambda: not dispatcher._links)
        assert lost.empty()


@run
async def test_drain_finishes_the_queue_and_presses(instances: list[ScriptedInstance]) -> None:
    async with dispatching(Limits(window_deliveries=1)) as (dispatcher, queue, _):
        for _ in range(3):
            await post(queue)
        dispatcher.apply(topology(instances[0]))
        drained = asyncio.ensure_future(dispatcher.drain(10))
        for count in (1, 2, 3):
            items = await instances[0].got(count)
            await instances[0].until(lambda count=count: instances[0].flush_requests >= count)  # type: ignore[misc]
            await instances[0].say(protocol.acks([protocol.Published(1, ("out",), [items[-1].number], [])], []))
        assert await drained == 0
        assert queue.stats().deliveries == 0


@run
async def test_drain_without_finishing_waits_for_what_is_out_only(instances: list[ScriptedInstance]) -> None:
    async with dispatching(Limits(window_deliveries=1)) as (dispatcher, queue, _):
        for _ in range(2):
            await post(queue)
        dispatcher.apply(topology(instances[0]))
        [item] = await instances[0].got(1)
        drained = asyncio.ensure_future(dispatcher.drain(10, finish=False))
        await instances[0].until(lambda: instances[0].flush_requests > 0)
        await instances[0].say(protocol.acks([protocol.Published(1, ("out",), [item.number], [])], []))
        assert await drained == 0
        await queue.leasing.settled()
        assert queue.stats().deliveries == 1


@run
async def test_an_instance_that_listens_later_is_found(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        await post(queue)
        path = instances[0].path + ".late"
        dispatcher.apply(Topology(instances={1: path}, graphs=GRAPHS))
        late = ScriptedInstance(Path(path))
        try:
            await late.got(1)
        finally:
            late.die()


@run
async def test_ids_and_takers_of_published_documents_reach_the_queue(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipts = [await post(queue), await post(queue)]
        dispatcher.apply(topology(instances[0]))
        items = await instances[0].got(2)
        await instances[0].say(published(*items, ids=["seven", None]))
        assert [await state_of(queue, receipt) for receipt in receipts] == ["done", "done"]
        reports = [report for receipt in receipts for report in await queue.receipts.documents(receipt, 10) or []]
        assert [(report.id, list(report.publishers)) for report in reports] == [("seven", ["out"]), (None, ["out"])]


def test_queues_hear_which_part_of_the_limits_of_a_graph_is_theirs() -> None:
    async def tell() -> None:
        queue = MemoryQueue(ahead=AHEAD)
        dispatcher = Dispatcher(Limits(), lambda _: None, shards=2)
        try:
            dispatcher.add(queue)
            dispatcher.apply(topology(limits={"g": GraphLimits(queue_max_deliveries=4)}))
            await post(queue)
            await post(queue)
            with pytest.raises(QueueFull, match="own limit queue_max_deliveries"):
                await post(queue)
            late = MemoryQueue(ahead=AHEAD)
            dispatcher.add(late)
            await post(late)
            dispatcher.apply(topology())
            await post(queue)
            await late.close()
        finally:
            dispatcher.close()
            await queue.close()

    asyncio.run(tell())


@run
async def test_a_graph_is_ahead_while_it_moves_and_enough_of_it_waits(instances: list[ScriptedInstance]) -> None:
    live, bulk = Stream("g", False), Stream("g", True)
    async with dispatching(Limits(window_bytes=1000)) as (dispatcher, queue, _):
        handed_over = []
        dispatcher.on_handed_over = lambda: handed_over.append(dispatcher.outstanding)
        for _ in range(3):
            await post(queue, b"1" * 600)
        assert not dispatcher.is_ahead(live, 0), "there is no instance that would work on it"
        dispatcher.apply(topology(instances[0]))
        items = list(await instances[0].got(1))
        assert handed_over[-1] == 1
        assert dispatcher.is_ahead(live, 0)
        assert not dispatcher.is_ahead(bulk, 1_000_000), "nothing of that lane waits"
        await instances[0].say(published(*items))
        items = list(await instances[0].got(2))
        # 600 bytes wait still
        await instances[0].say(published(items[1]))
        await instances[0].got(3)
        assert not dispatcher.is_ahead(live, 1_000_000), "nothing waits"


@run
async def test_a_graph_that_is_paused_is_never_ahead(instances: list[ScriptedInstance]) -> None:
    live = Stream("g", False)
    async with dispatching(Limits(window_bytes=1000)) as (dispatcher, queue, _):
        for _ in range(3):
            await post(queue, b"1" * 600)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        assert dispatcher.is_ahead(live, 0)
        dispatcher.apply(topology(instances[0], paused=frozenset({"g"})))
        assert not dispatcher.is_ahead(live, 1_000_000)
