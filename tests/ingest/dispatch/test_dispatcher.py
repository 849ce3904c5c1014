"""The dispatcher against a scripted instance on a real socket: windows, lost instances, suspects, drain."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pypes.core.limits import Limits
from pypes.ingest import protocol
from pypes.ingest.delivery import Header
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.handover import TURN_DELIVERIES
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.dispatch.window import BULK_DELIVERIES
from pypes.ingest.ordering import key_of, pack_keys
from pypes.ingest.outcome import Blame, Death, Outcome
from pypes.ingest.protocol import FrameReader, Item
from pypes.ingest.queues.memory import MemoryQueue

GRAPHS = {"g": 1}


class ScriptedInstance:
    """The other end of a dispatcher's connection, played by the test."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.items: list[Item] = []
        self.bodies: dict[int, bytes] = {}
        self.pressed = 0
        self.is_closed = False
        self._reader = FrameReader()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen()
        self._listener.setblocking(False)
        self._socket: socket.socket | None = None

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Read frames until the test sees what it waits for."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            if self._socket is None:
                self._socket, _ = await loop.sock_accept(self._listener)
                self._socket.setblocking(False)
            while not predicate():
                data = await loop.sock_recv(self._socket, 1 << 16)
                if not data:
                    self.is_closed = True
                    return
                for kind, head, body in self._reader.feed(data):
                    if kind == protocol.DELIVER:
                        for item, own in protocol.read_items(head, body):
                            self.items.append(item)
                            self.bodies[item.number] = own
                    elif kind == protocol.PRESSURE:
                        self.pressed += 1

    async def got(self, count: int) -> list[Item]:
        await self.until(lambda: len(self.items) >= count)
        return self.items

    async def say(self, *frames: bytes) -> None:
        assert self._socket is not None
        await asyncio.get_running_loop().sock_sendall(self._socket, b"".join(frames))

    def die(self) -> None:
        self._listener.close()
        if self._socket is not None:
            self._socket.close()


@asynccontextmanager
async def dispatching(limits: Limits | None = None) -> AsyncIterator[tuple[Dispatcher, MemoryQueue, asyncio.Queue[int]]]:
    lost: asyncio.Queue[int] = asyncio.Queue()
    queue = MemoryQueue()
    dispatcher = Dispatcher(limits or Limits(), lost.put_nowait)
    dispatcher.add(queue)
    try:
        yield dispatcher, queue, lost
    finally:
        dispatcher.close()
        await queue.close()


def topology(*instances: ScriptedInstance, first: int = 1, **changes: object) -> Topology:
    given: dict[str, Any] = {"instances": {number: each.path for number, each in enumerate(instances, first)}, "graphs": GRAPHS}
    return Topology(**{**given, **changes})


async def post(queue: MemoryQueue, body: bytes = b"{}", graph: str = "g", **header: Any) -> str:
    return await queue.append(Header(graph, content_type="application/json", length=len(body), **header), body)


def published(*items: Item, ids: list[str | None] | None = None) -> bytes:
    return protocol.acks([protocol.Published(1, ("out",), [item.number for item in items], ids or [])], [])


async def eventually(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.001)


async def state_of(queue: MemoryQueue, receipt: str) -> str:
    found = await queue.wait_receipt(receipt, 10)
    assert found is not None
    return found.state


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[list[ScriptedInstance]]:
    """Instances 1, 2, …: the test decides which of them are announced."""
    made = [ScriptedInstance(tmp_path / f"{number}.sock") for number in range(1, 6)]
    yield made
    for each in made:
        each.die()


def run(test: Callable[[list[ScriptedInstance]], Coroutine[None, None, None]]) -> Callable[[list[ScriptedInstance]], None]:
    """Run an async test in a loop of its own."""

    def wrapped(instances: list[ScriptedInstance]) -> None:
        asyncio.run(test(instances))

    wrapped.__name__ = test.__name__
    wrapped.__doc__ = test.__doc__
    return wrapped


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
        await instances[0].until(lambda: instances[0].pressed > 0)
        assert len(instances[0].items) == 2
        await instances[0].say(protocol.acks([protocol.Published(1, ("out",), [instances[0].items[0].number], [])], []))
        await instances[0].until(lambda: len(instances[0].items) == 3 and instances[0].pressed > 1)
        assert queue.stats().leased == 2


@run
async def test_a_delivery_larger_than_the_window_goes_through(instances: list[ScriptedInstance]) -> None:
    async with dispatching(Limits(window_bytes=1000)) as (dispatcher, queue, _):
        body = b"1" * 3_000_000
        await post(queue, body)
        dispatcher.apply(topology(instances[0]))
        [item] = await instances[0].got(1)
        assert instances[0].bodies[item.number] == body


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
async def test_only_who_was_begun_alone_is_charged(instances: list[ScriptedInstance]) -> None:
    """The third death while it runs alone is the last; those that only waited beside it pass."""
    async with dispatching() as (dispatcher, queue, _):
        poison, neighbour = await post(queue), await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(2)
        instances[0].die()
        dispatcher.gone(1)
        for number in (2, 3, 4):
            each = instances[number - 1]
            dispatcher.apply(topology(each, first=number))
            items = await each.got(2)
            assert [(item.receipt, item.is_alone) for item in items] == [(poison, True), (neighbour, True)]
            await each.say(protocol.begin(items[0].number))
            each.die()
            dispatcher.gone(number)
        dispatcher.apply(topology(instances[4], first=5))
        [item] = await instances[4].got(1)
        assert item.receipt == neighbour
        assert await state_of(queue, poison) == "failed"
        [letter] = await queue.letters()
        assert (letter.code, letter.graph) == ("instance.killed", "g")
        await instances[4].say(protocol.acks([protocol.Published(1, ("out",), [item.number], [])], []))
        assert await state_of(queue, neighbour) == "done"


@run
async def test_another_workers_lone_run_makes_nobody_a_suspect(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        await instances[0].say(protocol.begin(-1))
        instances[0].die()
        dispatcher.gone(1)
        dispatcher.apply(topology(instances[1], first=2))
        [item] = await instances[1].got(1)
        assert not item.is_alone


@run
async def test_after_the_end_of_a_lone_run_all_are_suspects_again(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        await instances[0].say(protocol.begin(-1), protocol.signal(protocol.END))
        instances[0].die()
        dispatcher.gone(1)
        dispatcher.apply(topology(instances[1], first=2))
        [item] = await instances[1].got(1)
        assert item.is_alone


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
        await eventually(lambda: not dispatcher._links)
        assert lost.empty()


@run
async def test_a_graph_that_is_gone_is_a_dead_letter_and_one_that_failed_waits(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        gone, failed = await post(queue, graph="old"), await post(queue, graph="broken")
        dispatcher.apply(topology(instances[0], failed={"broken": "no such table"}))
        assert await state_of(queue, gone) == "failed"
        [letter] = await queue.letters()
        assert letter.code == "graph.gone"
        assert queue.stats().delayed == 1
        found = await queue.receipt(failed)
        assert found is not None
        assert found.state != "failed"


@run
async def test_drain_finishes_the_queue_and_presses(instances: list[ScriptedInstance]) -> None:
    async with dispatching(Limits(window_deliveries=1)) as (dispatcher, queue, _):
        for _ in range(3):
            await post(queue)
        dispatcher.apply(topology(instances[0]))
        drained = asyncio.ensure_future(dispatcher.drain(10))
        for count in (1, 2, 3):
            items = await instances[0].got(count)
            await instances[0].until(lambda count=count: instances[0].pressed >= count)  # type: ignore[misc]
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
        await instances[0].until(lambda: instances[0].pressed > 0)
        await instances[0].say(protocol.acks([protocol.Published(1, ("out",), [item.number], [])], []))
        assert await drained == 0
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


TWO = {"g": 1, "h": 1}


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
        assert queue.stats().leased == 2


@run
async def test_graphs_take_turns(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        for graph in ("g", "h"):
            for _ in range(TURN_DELIVERIES + 1):
                await post(queue, graph=graph)
        dispatcher.apply(topology(instances[0], graphs=TWO))
        items = await instances[0].got(2 * TURN_DELIVERIES + 2)
        graphs = [item.header.graph for item in items]
        assert len(set(graphs[:TURN_DELIVERIES])) == 1
        assert len(set(graphs[TURN_DELIVERIES : 2 * TURN_DELIVERIES])) == 1
        assert graphs[0] != graphs[TURN_DELIVERIES]


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
        assert queue.stats().leased == window - 1 + BULK_DELIVERIES


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
            assert queue.stats().leased == 1
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
    """What holds the later one back is pressed: a component may wait for more before it lets go."""
    async with dispatching() as (dispatcher, queue, _):
        a, b = pack_keys([key_of("a")]), pack_keys([key_of("b")])
        first, second, other = await post(queue, keys=a), await post(queue, keys=a), await post(queue, keys=b)
        dispatcher.apply(topology(instances[0], ordered=frozenset(["g"])))
        await instances[0].got(0)
        await instances[0].say(protocol.held([]))
        items = await instances[0].got(2)
        assert [item.receipt for item in items] == [first, other]
        await instances[0].until(lambda: instances[0].pressed == 1)
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
        await eventually(lambda: dispatcher.outstanding == 0)
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
        dispatcher.gone(1, Death("killed by SIGKILL", is_outside=True))
        await instances[1].got(1)


@run
async def test_the_document_that_a_note_names_is_blamed_and_the_rest_runs_again(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipt = await post(queue, documents=3)
        dispatcher.apply(topology(instances[0]))
        [item] = await instances[0].got(1)
        await instances[0].say(protocol.begin(item.number), protocol.committed(item.number, "out", [0]))
        instances[0].die()
        dispatcher.gone(1, Death("killed by SIGSEGV", "pdf", 1))
        # blamed already, and dead of the same: the note does not lead to who is guilty
        for number in (2, 3, 4):
            each = instances[number - 1]
            dispatcher.apply(topology(each, first=number))
            [item] = await each.got(1)
            assert (item.receipt, item.is_alone) == (receipt, True)
            assert item.rerun == protocol.Rerun((Blame(1, "pdf", "killed by SIGSEGV"),), {"out": (0,)})
            await each.say(protocol.begin(item.number))
            each.die()
            dispatcher.gone(number, Death("killed by SIGSEGV", "pdf", 1))
        assert await state_of(queue, receipt) == "failed"


@run
async def test_a_kill_from_outside_is_charged_to_nobody(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipt = await post(queue)
        for number in (1, 2, 3, 4):
            each = instances[number - 1]
            dispatcher.apply(topology(each, first=number))
            [item] = await each.got(1)
            await each.say(protocol.begin(item.number))
            each.die()
            dispatcher.gone(number, Death("killed by SIGKILL", "pdf", 0, is_outside=True))
        dispatcher.apply(topology(instances[4], first=5))
        [item] = await instances[4].got(1)
        assert (item.receipt, item.rerun) == (receipt, None)


@run
async def test_ids_and_takers_of_published_documents_reach_the_queue(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipts = [await post(queue), await post(queue)]
        dispatcher.apply(topology(instances[0]))
        items = await instances[0].got(2)
        await instances[0].say(published(*items, ids=["seven", None]))
        assert [await state_of(queue, receipt) for receipt in receipts] == ["done", "done"]
        reports = [report for receipt in receipts for report in await queue.documents(receipt, 10) or []]
        assert [(report.id, list(report.publishers)) for report in reports] == [("seven", ["out"]), (None, ["out"])]


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
async def test_turns_are_as_long_as_graphs_weigh(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        for _ in range(TURN_DELIVERIES * 4):
            await post(queue, graph="g")
            await post(queue, graph="h")
        dispatcher.apply(topology(instances[0], graphs={"g": 1, "h": 1}, weights={"h": 3}))
        items = await instances[0].got(TURN_DELIVERIES * 8)
        order = [item.header.graph for item in items]
        first = order[: TURN_DELIVERIES * 4]
        assert first.count("h") == TURN_DELIVERIES * 3
