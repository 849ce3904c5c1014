"""What a worker asks of events and passes on; the supervisor's log is real, and the way to it is not."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine

import pytest

from pypes.access.account import Account
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import OverBudget, Unavailable
from pypes.observe.events import Event, EventLog
from pypes.observe.gathering import Gathering
from pypes.runtime.contracts.events import Told
from pypes.runtime.supervisor.happening import EventDesk
from pypes.runtime.supervisor.rates import Rates
from pypes.runtime.worker import events
from pypes.runtime.worker.events import Events, EventViewer
from pypes.runtime.worker.queues import Queues
from pypes.runtime.worker.viewers import MOST_WAITING_BYTES
from tests.ingest.harness import until


class Desk(EventDesk):
    """Counts the calls that wait; ``hold`` lets an answer wait, ``has_gone`` is how it is when the supervisor is."""

    def __init__(self, log: EventLog, tasks: WatchedTasks) -> None:
        super().__init__(log, Rates(Gathering(), lambda: "now", time.monotonic), lambda: None, tasks)
        self.ticks: list[int | None] = []
        self.waiting = 0
        self.held: asyncio.Event | None = None
        self.has_gone = False

    async def after(self, id: str, wait_s: float = 0.0, tick: int | None = None) -> Told:
        if self.has_gone:
            raise Unavailable("gone")
        if not wait_s:
            return await super().after(id)
        self.ticks.append(tick)
        self.waiting += 1
        try:
            return await super().after(id, wait_s, tick)
        finally:
            self.waiting -= 1

    async def now(self) -> Told:
        told = await super().now()
        if self.held is not None:
            await self.held.wait()
        return told


class Looked(Queues):
    """Queues that have something to tell each time; counts the looks, and how often it was forgotten."""

    def __init__(self) -> None:
        self.looks = self.forgotten = 0

    async def step(self) -> list[Event]:
        self.looks += 1
        return [Event(0, "queue", (graph,), {"graph": graph, "deliveries": self.looks}) for graph in ("g", "h")]

    def forget(self) -> None:
        self.forgotten += 1


class Stage:
    def __init__(self) -> None:
        self.log = EventLog("a1", 5, lambda: "now")
        self.failed: list[str] = []
        self.tasks = WatchedTasks(self.failed.append)
        self.desk = Desk(self.log, self.tasks)
        self.queues = Looked()
        self.events = Events(self.desk, self.queues, self.tasks)

    def add(self, *numbers: int, graph: str = "g", kind: str = "log") -> None:
        for number in numbers:
            self.log.add(kind, (graph,), n=number)


def staged(test: Callable[[Stage], Coroutine[None, None, None]]) -> Callable[[pytest.MonkeyPatch], None]:
    @functools.wraps(test)
    def wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "GATHER_S", 0.0)
        monkeypatch.setattr(events, "EVERY_S", 0.01)

        async def play() -> None:
            stage = Stage()
            async with asyncio.timeout(20):
                await test(stage)
            await stage.tasks.close()
            assert stage.failed == []

        asyncio.run(play())

    del wrapped.__wrapped__
    return wrapped


async def numbers(viewer: EventViewer, count: int) -> list[str]:
    """The ids of so many events, or of more that came with them, and ``gap`` for each gap."""
    found: list[str] = []
    while len(found) < count:
        chunk = await viewer.next()
        assert chunk, "the end"
        for block in chunk.decode().split("\n\n"):
            if "event: gap" in block:
                found.append("gap")
            elif "\nevent: " in block:
                found.append(block.partition("id: ")[2].partition("\n")[0])
    return found


@staged
async def test_nothing_is_asked_while_nobody_looks(stage: Stage) -> None:
    stage.add(1)
    first = await stage.events.open((), ())
    second = await stage.events.open((), ())
    stage.add(2)
    assert await numbers(first, 1) == await numbers(second, 1) == ["a1-2"]
    first.close()
    await asyncio.sleep(0)
    assert stage.desk.waiting == 1
    second.close()
    await until(lambda: not stage.desk.waiting)
    third = await stage.events.open((), ())
    stage.add(3)
    assert await numbers(third, 1) == ["a1-3"]


@staged
async def test_each_gets_what_it_wants(stage: Stage) -> None:
    graph = await stage.events.open(("h",), ())
    kind = await stage.events.open((), ("breaker", "instance"))
    both = await stage.events.open(("g",), ("breaker",))
    stage.add(1)
    stage.add(2, graph="h")
    stage.add(3, kind="breaker", graph="h")
    stage.add(4, kind="breaker")
    assert await numbers(graph, 2) == ["a1-2", "a1-3"]
    assert await numbers(kind, 2) == ["a1-3", "a1-4"]
    assert await numbers(both, 1) == ["a1-4"]


@staged
async def test_who_comes_back_gets_what_is_kept_and_then_the_rest_once(stage: Stage) -> None:
    other = await stage.events.open((), ())
    stage.add(1, 2)
    back = await stage.events.open((), (), after="a1-1")
    stage.add(3)
    assert await numbers(back, 2) == ["a1-2", "a1-3"]
    assert await numbers(other, 3) == ["a1-1", "a1-2", "a1-3"]
    stage.add(*range(4, 20))
    assert await numbers(await stage.events.open((), (), after="a1-2"), 6) == ["gap", *(f"a1-{n}" for n in range(15, 20))]
    assert await numbers(await stage.events.open((), (), recent=2), 2) == ["a1-18", "a1-19"]
    assert await numbers(await stage.events.open(("h",), (), after="a0-2"), 1) == ["gap"]


@staged
async def test_who_comes_back_gets_all_that_is_kept_however_long_it_is(stage: Stage) -> None:
    for _ in range(5):
        stage.log.add("log", event="x" * MOST_WAITING_BYTES)
    assert await numbers(await stage.events.open((), (), after="a1-2"), 3) == ["a1-3", "a1-4", "a1-5"]


@staged
async def test_what_comes_while_one_joins_is_told_once(stage: Stage) -> None:
    other = await stage.events.open((), ())
    stage.desk.held = asyncio.Event()
    joining = asyncio.ensure_future(stage.events.open((), ()))
    await asyncio.sleep(0)
    stage.add(1)
    assert await numbers(other, 1) == ["a1-1"]
    stage.desk.held.set()
    joined = await joining
    stage.add(2)
    assert await numbers(joined, 2) == ["a1-1", "a1-2"]


@staged
async def test_counters_are_asked_for_only_if_somebody_wants_them(stage: Stage) -> None:
    logs = await stage.events.open((), ("log",))
    await until(lambda: stage.desk.waiting > 0)
    assert stage.desk.ticks == [None]
    await stage.events.open((), ("counters",))
    await until(lambda: len(stage.desk.ticks) == 2)
    assert stage.desk.ticks == [None, 0]
    stage.add(1)
    assert await numbers(logs, 1) == ["a1-1"]


@staged
async def test_queues_are_looked_at_only_while_somebody_wants_that(stage: Stage) -> None:
    logs = await stage.events.open((), ("log",))
    stage.add(1)
    assert await numbers(logs, 1) == ["a1-1"]
    assert stage.queues.looks == 0
    viewer = await stage.events.open(("h",), ("queue",))
    other = await stage.events.open(("g",), ())
    told = (await viewer.next()) + (await viewer.next())
    assert b'event: queue\ndata: {"kind":"queue","graph":"h","deliveries":1}\n\n' in told
    assert b'"graph":"g"' not in told
    viewer.close()
    before = stage.queues.looks
    await until(lambda: stage.queues.looks > before + 1)
    other.close()
    assert stage.queues.forgotten == 1
    # who wants log lines goes on without
    await asyncio.sleep(0)
    before = stage.queues.looks
    stage.add(2)
    assert await numbers(logs, 1) == ["a1-2"]
    assert stage.queues.looks == before


@staged
async def test_a_worker_that_was_too_slow_says_so(stage: Stage) -> None:
    viewer = await stage.events.open((), ())
    stage.add(*range(1, 10))
    assert await numbers(viewer, 6) == ["gap", *(f"a1-{n}" for n in range(5, 10))]


@staged
async def test_viewers_end_with_the_supervisor(stage: Stage) -> None:
    viewer = await stage.events.open((), ())
    stage.desk.has_gone = True
    stage.log.wake()
    while await viewer.next():
        pass
    with pytest.raises(Unavailable):
        await stage.events.open((), (), after="a1-1")
    assert (await stage.events.open((), ())).is_over is False


@staged
async def test_there_are_not_too_many(stage: Stage) -> None:
    viewers = [await stage.events.open((), ()) for _ in range(events.MOST_VIEWERS)]
    with pytest.raises(Unavailable) as caught:
        await stage.events.open((), ())
    assert caught.value.code == "events.viewers"
    viewers[0].close()
    await stage.events.open((), ())


@staged
async def test_one_of_many_clients_is_half_of_the_viewers(stage: Stage) -> None:
    greedy, polite = (Account(name, is_one_of_many=True) for name in ("greedy", "polite"))
    viewers = [await stage.events.open((), (), owner=greedy) for _ in range(events.MOST_VIEWERS // 2)]
    with pytest.raises(OverBudget) as caught:
        await stage.events.open((), (), owner=greedy)
    assert (caught.value.code, caught.value.where) == ("events.viewers", "greedy")
    await stage.events.open((), (), owner=polite)
    viewers[0].close()
    await stage.events.open((), (), owner=greedy)
