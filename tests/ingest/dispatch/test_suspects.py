"""Suspects do not run on the last instance: what ends one is likely to end the next, and others need that."""

from __future__ import annotations

import asyncio

import pytest

from pypes.ingest.dispatch import suspects
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.topology import Topology
from tests.ingest import harness
from tests.ingest.dispatch.harness import TWO, ScriptedInstance, dispatching, post, published, run, state_of, topology
from tests.ingest.memory.queue import MemoryQueue


async def killed(dispatcher: Dispatcher, queue: MemoryQueue, instances: list[ScriptedInstance]) -> tuple[list[str], Topology]:
    """The first of two instances dies of what it has in hand: receipts of that, and the topology without it."""
    dispatcher.apply(topology(*instances[:2], graphs=TWO))
    receipts = [await post(queue) for _ in range(4)]
    await instances[0].got(2)
    await instances[1].got(2)
    lost = [item.receipt for item in instances[0].items]
    assert sorted(lost + [item.receipt for item in instances[1].items]) == sorted(receipts)
    instances[0].die()
    dispatcher.gone(1)
    left = topology(instances[1], first=2, graphs=TWO)
    dispatcher.apply(left)
    return lost, left


async def has_suspects(instance: ScriptedInstance) -> None:
    await instance.until(lambda: any(item.is_alone for item in instance.items))


@run
async def test_suspects_wait_for_a_second_instance_and_go_to_one_together(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        lost, _ = await killed(dispatcher, queue, instances)
        second, third = instances[1:3]
        # others do not wait, neither of the same graph nor of another one
        later = [await post(queue), await post(queue, graph="h")]
        items = await second.got(4)
        assert {item.receipt for item in items[2:]} == set(later)
        assert not any(item.is_alone for item in items)
        await second.say(published(*items))
        dispatcher.apply(topology(second, third, first=2, graphs=TWO))
        looking = [asyncio.ensure_future(has_suspects(each)) for each in (second, third)]
        await asyncio.wait(looking, return_when=asyncio.FIRST_COMPLETED)
        for task in looking:
            task.cancel()
        chosen, other = (second, third) if any(item.is_alone for item in second.items) else (third, second)
        alone = [item for item in chosen.items if item.is_alone]
        assert [item.receipt for item in alone] == lost
        assert not any(item.is_alone for item in other.items)
        await chosen.say(published(*alone))
        assert [await state_of(queue, receipt) for receipt in lost] == ["done", "done"]


@run
async def test_suspects_go_to_the_last_instance_when_no_other_comes(instances: list[ScriptedInstance]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suspects, "SPARE_S", 0.05)
        async with dispatching() as (dispatcher, queue, _):
            lost, _ = await killed(dispatcher, queue, instances)
            items = await instances[1].got(4)
            assert [(item.receipt, item.is_alone) for item in items[2:]] == [(receipt, True) for receipt in lost]


@run
async def test_suspects_do_not_wait_where_there_has_been_one_instance(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipt = await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        instances[0].die()
        dispatcher.gone(1)
        dispatcher.apply(topology(instances[1], first=2))
        [item] = await instances[1].got(1)
        assert (item.receipt, item.is_alone) == (receipt, True)


@run
async def test_instances_of_other_graphs_do_not_count(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        runs = {1: frozenset({"g"}), 2: frozenset({"h"}), 3: frozenset({"g"})}
        dispatcher.apply(topology(*instances[:2], graphs=TWO, runs=runs))
        receipt = await post(queue)
        await instances[0].got(1)
        instances[0].die()
        dispatcher.gone(1)
        dispatcher.apply(topology(*instances[1:3], first=2, graphs=TWO, runs=runs))
        [item] = await instances[2].got(1)
        assert (item.receipt, item.is_alone) == (receipt, True)


def test_the_wait_of_a_graph_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(suspects, "SPARE_S", 0.02)
        again = asyncio.Event()
        chosen = suspects.Suspects(asyncio.get_running_loop(), again.set)
        chosen.apply(Topology(instances={1: "", 2: ""}, graphs=TWO))
        last: list[object] = ["link"]
        assert chosen.places("g", last, last) == []  # type: ignore[arg-type]
        await again.wait()
        # from then on the last one has to do, until there is another
        for _ in range(2):
            assert chosen.places("g", last, last) == last  # type: ignore[arg-type]
        assert chosen.places("h", last, last) == []  # type: ignore[arg-type]
        chosen.close()

    harness.run(main())
