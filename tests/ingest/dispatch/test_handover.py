"""Which deliveries go out next, and where: windows, rounds, lanes, ordered graphs, graphs that run on some instances only."""

from __future__ import annotations

import asyncio

from pypes.core.limits import Limits
from pypes.ingest import protocol
from pypes.ingest.dispatch.handover import BURIED_AT_ONCE, QUANTUM_DELIVERIES
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.dispatch.window import BULK_DELIVERIES
from pypes.ingest.ordering import key_of, pack_keys
from pypes.ingest.outcome import ExitReason
from tests.ingest.dispatch.harness import GRAPHS, TWO, ScriptedInstance, dispatching, post, published, run, state_of, topology
from tests.ingest.harness import until


@run
async def test_deliveries_go_to_the_least_loaded_instance(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        await post(queue, b"[" + b"1" * 5000 + b"]")
        for _ in range(4):
            await post(queue)
        dispatcher.apply(topology(*instances[:2]))
        await instances[0].got(1)
        await instances[1].got(4)
        assert [len(each.items) for each in instances[:2]] == [1, 4]


@run
async def test_a_full_window_presses_and_opens_with_acknowledgements(instances: list[ScriptedInstance]) -> None:
    async with dispatching(Limits(window_deliveries=2)) as (dispatcher, queue, _):
        for _ in range(5):
            await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].until(lambda: instances[0].flush_requests > 0)
        assert len(instances[0].items) == 2
        await instances[0].say(protocol.acks([protocol.Published(1, ("out",), [instances[0].items[0].number], [])], []))
        await instances[0].until(lambda: len(instances[0].items) == 3 and instances[0].flush_requests > 1)
        assert dispatcher.outstanding == 2


@run
async def test_a_delivery_larger_than_the_window_goes_through(instances: list[ScriptedInstance]) -> None:
    async with dispatching(Limits(window_bytes=1000)) as (dispatcher, queue, _):
        body = b"1" * 3_000_000
        await post(queue, body)
        dispatcher.apply(topology(instances[0]))
        [item] = await instances[0].got(1)
        assert instances[0].bodies[item.number] == body


@run
async def test_a_graph_that_is_gone_is_a_dead_letter_and_one_that_failed_waits(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        gone, failed = await post(queue, graph="old"), await post(queue, graph="broken")
        dispatcher.apply(topology(instances[0], failed={"broken": "no such table"}))
        assert await state_of(queue, gone) == "failed"
        [letter] = await queue.letters.find()
        assert letter.code == "graph.gone"
        waiting = await queue.receipts.get(failed)
        assert waiting is not None
        assert (waiting.finished, queue.stats().deliveries, dispatcher.outstanding) == (None, 1, 0)
        dispatcher.apply(topology(instances[0], graphs={"g": 1, "broken": 1}))
        await instances[0].got(1)


@run
async def test_a_graph_that_is_stuck_keeps_no_other_waiting(instances: list[ScriptedInstance]) -> None:
    async with dispatching(Limits(window_deliveries=2)) as (dispatcher, queue, _):
        for _ in range(5):
            await post(queue, graph="h")
        dispatcher.apply(topology(instances[0], graphs=TWO))
        await instances[0].got(2)
        receipts = [await post(queue) for _ in range(6)]
        done = 0
        while done < 6:
            await instances[0].got(2 + done + 1)
            items = [item for item in instances[0].items if item.header.graph == "g"]
            await instances[0].say(published(*items[done:]))
            done = len(items)
        assert [await state_of(queue, receipt) for receipt in receipts] == ["done"] * 6
        assert dispatcher.outstanding == 2


@run
async def test_graphs_hand_over_waiting(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        for graph in ("g", "h"):
            for _ in range(QUANTUM_DELIVERIES + 1):
                await post(queue, graph=graph)
        dispatcher.apply(topology(instances[0], graphs=TWO))
        items = await instances[0].got(2 * QUANTUM_DELIVERIES + 2)
        graphs = [item.header.graph for item in items]
        assert len(set(graphs[:QUANTUM_DELIVERIES])) == 1
        assert len(set(graphs[QUANTUM_DELIVERIES : 2 * QUANTUM_DELIVERIES])) == 1
        assert graphs[0] != graphs[QUANTUM_DELIVERIES]


@run
async def test_rounds_are_as_long_as_graphs_weigh(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        for _ in range(QUANTUM_DELIVERIES * 4):
            await post(queue, graph="g")
            await post(queue, graph="h")
        dispatcher.apply(topology(instances[0], graphs={"g": 1, "h": 1}, weights={"h": 3}))
        items = await instances[0].got(QUANTUM_DELIVERIES * 8)
        order = [item.header.graph for item in items]
        first = order[: QUANTUM_DELIVERIES * 4]
        assert first.count("h") == QUANTUM_DELIVERIES * 3


@run
async def test_bulk_goes_while_nothing_live_waits_and_a_little_at_a_time(instances: list[ScriptedInstance]) -> None:
    window = BULK_DELIVERIES + 10
    async with dispatching(Limits(window_deliveries=window)) as (dispatcher, queue, _):
        for _ in range(BULK_DELIVERIES + 20):
            await post(queue, is_bulk=True)
        for _ in range(window + 10):
            await post(queue)
        dispatcher.apply(topology(instances[0]))
        items = list(await instances[0].got(window))
        await instances[0].say(published(*items[:9]))
        items = list(await instances[0].got(window + 9))
        assert not any(item.header.is_bulk for item in items)
        # one live delivery waits still; what makes room for it lets bulk go, too
        await instances[0].say(published(*items[9:11]))
        items = await instances[0].got(window + 10 + BULK_DELIVERIES)
        assert [item.header.is_bulk for item in items[window + 9 :]] == [False] + [True] * BULK_DELIVERIES
        assert dispatcher.outstanding == window - 1 + BULK_DELIVERIES


@run
async def test_while_live_documents_come_bulk_leaves_an_instance_to_them(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        dispatcher.apply(topology(*instances[:2]))
        await post(queue)
        for _ in range(2 * BULK_DELIVERIES):
            await post(queue, is_bulk=True)
        items = await instances[0].got(BULK_DELIVERIES)
        assert sum(item.header.is_bulk for item in items) >= BULK_DELIVERIES - 1
        await post(queue)
        await instances[1].got(1)
        assert not any(item.header.is_bulk for item in instances[1].items)


@run
async def test_a_bulk_delivery_of_many_documents_goes_alone(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        for _ in range(3):
            await post(queue, is_bulk=True, documents=10_000)
        dispatcher.apply(topology(instances[0]))
        for count in (1, 2, 3):
            items = await instances[0].got(count)
            assert dispatcher.outstanding == 1
            await instances[0].say(published(items[-1]))


@run
async def test_a_stuck_live_lane_does_not_hold_bulk_back(instances: list[ScriptedInstance]) -> None:
    async with dispatching(Limits(window_deliveries=1)) as (dispatcher, queue, _):
        for _ in range(2):
            await post(queue)
        await post(queue, graph="h", is_bulk=True)
        dispatcher.apply(topology(instances[0], graphs=TWO))
        items = await instances[0].got(2)
        assert [item.header.graph for item in items] == ["g", "h"]


@run
async def test_documents_of_one_key_go_one_after_the_other(instances: list[ScriptedInstance]) -> None:
    """What holds the later one back gets a flush request: a component may wait for more before it lets go."""
    async with dispatching() as (dispatcher, queue, _):
        a, b = pack_keys([key_of("a")]), pack_keys([key_of("b")])
        first, second, other = await post(queue, keys=a), await post(queue, keys=a), await post(queue, keys=b)
        dispatcher.apply(topology(instances[0], ordered=frozenset(["g"])))
        await instances[0].got(0)
        await instances[0].say(protocol.held([]))
        items = await instances[0].got(2)
        assert [item.receipt for item in items] == [first, other]
        await instances[0].until(lambda: instances[0].flush_requests == 1)
        await instances[0].say(published(items[0]))
        items = await instances[0].got(3)
        assert items[2].receipt == second


@run
async def test_an_ordered_graph_waits_for_what_an_earlier_owner_of_the_queue_had_sent(instances: list[ScriptedInstance]) -> None:
    """Any instance may still publish that, whichever would get it next."""
    async with dispatching() as (dispatcher, queue, _):
        ordered = await post(queue, keys=pack_keys([key_of("a")]))
        free = await post(queue, graph="h")
        dispatcher.apply(topology(*instances[:2], graphs=TWO, ordered=frozenset(["g"])))
        await instances[1].got(0)
        await instances[1].say(protocol.held(["g"]))
        [item] = await instances[0].got(1)
        assert item.receipt == free
        await instances[0].say(protocol.held([]), published(item))
        await until(lambda: dispatcher.outstanding == 0)
        await instances[1].say(protocol.held([]))
        items = await instances[0].got(2)
        assert items[1].receipt == ordered


@run
async def test_an_instance_that_retires_is_waited_for_as_well(instances: list[ScriptedInstance]) -> None:
    """It gets nothing, but may publish yet what an earlier owner of the queue had sent."""
    async with dispatching() as (dispatcher, queue, _):
        await post(queue, keys=pack_keys([key_of("a")]))
        old, new = instances[:2]
        dispatcher.apply(topology(new, ordered=frozenset(["g"]), retiring={9: old.path}))
        await old.got(0)
        await new.got(0)
        await new.say(protocol.held([]))
        await old.say(protocol.held(["g"]))
        assert not new.items
        await old.say(protocol.held([]))
        await new.got(1)
        assert not old.items


@run
async def test_an_instance_that_is_gone_holds_nothing_any_more(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        await post(queue, keys=pack_keys([key_of("a")]))
        dispatcher.apply(topology(*instances[:2], ordered=frozenset(["g"])))
        await instances[1].got(0)
        await instances[1].say(protocol.held([]))
        instances[0].die()
        dispatcher.gone(1, ExitReason("killed by SIGKILL", is_outside=True))
        await instances[1].got(1)


@run
async def test_a_graph_goes_only_where_it_runs(instances: list[ScriptedInstance]) -> None:
    one, two, three = instances[:3]
    graphs = {**GRAPHS, "few": 1}
    runs = {1: frozenset(GRAPHS)}
    async with dispatching() as (dispatcher, queue, _):
        dispatcher.apply(topology(one, two, graphs=graphs, runs=runs))
        for _ in range(10):
            await post(queue, graph="few")
        await two.got(10)
        await post(queue)
        await one.got(1)
        assert {item.header.graph for item in one.items} == {"g"}
        # what comes back waits for one that runs it
        two.die()
        await asyncio.sleep(0)
        dispatcher.apply(topology(one, graphs=graphs, runs=runs))
        dispatcher.gone(2)
        await post(queue)
        await one.got(2)
        dispatcher.apply(Topology(instances={1: one.path, 3: three.path}, graphs=graphs, runs=runs))
        await three.got(10)
        assert {item.header.graph for item in three.items} == {"few"}
        assert {item.header.graph for item in one.items} == {"g"}


@run
async def test_what_waits_for_a_graph_that_is_gone_is_dead_without_any_instance(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipts = [await post(queue, graph="gone") for _ in range(3 * BURIED_AT_ONCE)]
        kept = await post(queue)
        dispatcher.apply(Topology(generation=1, graphs=GRAPHS, is_complete=False))
        await asyncio.sleep(0)
        assert queue.stats().deliveries == 3 * BURIED_AT_ONCE + 1
        dispatcher.apply(Topology(generation=2, graphs=GRAPHS))
        for receipt in receipts:
            assert await state_of(queue, receipt) == "failed"
        assert {letter.code for letter in await queue.letters.find(limit=1000)} == {"graph.gone"}
        found = await queue.receipts.get(kept)
        assert found is not None
        assert found.finished is None
        later = await post(queue, graph="gone")
        assert await state_of(queue, later) == "failed"


@run
async def test_what_came_back_of_a_graph_that_is_gone_is_dead_too(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, lost):
        receipt = await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        instances[0].die()
        assert await asyncio.wait_for(lost.get(), 10) == 1
        dispatcher.apply(Topology(generation=2))
        dispatcher.gone(1)
        assert await state_of(queue, receipt) == "failed"


@run
async def test_a_gone_graph_is_seen_where_no_instance_would_run_it(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipt = await post(queue, graph="gone")
        dispatcher.apply(topology(instances[0], runs={1: frozenset(GRAPHS)}))
        assert await state_of(queue, receipt) == "failed"


@run
async def test_what_was_committed_of_a_delivery_whose_graph_is_gone_is_forgotten(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipt = await post(queue, documents=2)
        dispatcher.apply(topology(instances[0]))
        [item] = await instances[0].got(1)
        await instances[0].say(protocol.committed(item.number, "out", [0], 1))
        instances[0].die()
        dispatcher.gone(1)
        assert dispatcher._handover.committed
        dispatcher.apply(topology(graphs={}))
        assert await state_of(queue, receipt) == "failed"
        assert not dispatcher._handover.committed


@run
async def test_what_an_instance_lets_go_of_goes_elsewhere_and_never_back(instances: list[ScriptedInstance]) -> None:
    one, two = instances[:2]
    async with dispatching() as (dispatcher, queue, lost):
        dispatcher.apply(topology(one, graphs=TWO))
        receipts = [await post(queue) for _ in range(3)]
        kept = await post(queue, graph="h")
        await one.got(4)
        first, *waiting = [item for item in one.items if item.header.graph == "g"]
        # the first was finished; the supervisor's word of it comes later
        await one.say(published(first), protocol.left("g", [item.number for item in waiting]))
        assert await state_of(queue, receipts[0]) == "done"
        receipts.append(await post(queue))
        also = await post(queue, graph="h")
        await one.got(5)
        assert [item.header.graph for item in one.items].count("g") == 3
        dispatcher.apply(topology(one, two, graphs=TWO, runs={1: frozenset("h"), 2: frozenset("g")}))
        await two.got(3)
        assert [item.receipt for item in two.items] == receipts[1:]
        assert not any(item.is_alone for item in two.items)
        await one.say(published(*[item for item in one.items if item.header.graph == "h"]))
        assert [await state_of(queue, receipt) for receipt in (kept, also)] == ["done"] * 2
        assert lost.empty()


@run
async def test_what_came_back_and_was_lent_to_another_holder_is_not_handed_over_again(instances: list[ScriptedInstance]) -> None:
    one, two = instances[:2]
    async with dispatching() as (dispatcher, queue, lost):
        receipt = await post(queue, documents=2)
        dispatcher.apply(topology(one))
        [item] = await one.got(1)
        await one.say(protocol.committed(item.number, "out", [0], 1))
        one.die()
        assert await asyncio.wait_for(lost.get(), 10) == 1
        dispatcher.apply(Topology(graphs=GRAPHS))
        dispatcher.gone(1)
        [lease] = queue.remote.lent.values()
        queue.remote.take_away(lease)
        assert (dispatcher.outstanding, dispatcher._handover.committed._known) == (0, {})
        # whoever has it now is this worker once more, with another lease
        dispatcher.apply(topology(two, first=2))
        [again] = await two.got(1)
        await two.say(published(again))
        assert await state_of(queue, receipt) == "done"
        await post(queue)
        assert len(await two.got(2)) == 2
