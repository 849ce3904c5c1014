"""Large bodies wait while instances have enough to do, in their order, and never for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from pypes.api.admission import Admission
from pypes.ingest.contracts.leasing import Stream

LIVE, BULK = Stream("g", False), Stream("g", True)
#: Longer than any test.
LONG_S = 600.0


class Graph:
    """Instances that have enough to do from ``enough`` bytes on, of each stream."""

    def __init__(self, enough: int) -> None:
        self.enough = enough
        self.waiting: dict[Stream, int] = {}
        self.hand_over: Callable[[], object] = bool

    def watch_hand_over(self, on_handed_over: Callable[[], None]) -> None:
        self.hand_over = on_handed_over

    def is_ahead(self, stream: Stream, arriving: int) -> bool:
        waiting = self.waiting.get(stream, 0)
        return waiting > 0 and waiting + arriving >= self.enough


class Body:
    """A client that sends a body and is answered when the test says so."""

    def __init__(self, admission: Admission, size: int = 10, stream: Stream = LIVE) -> None:
        self.is_in = asyncio.Event()
        self.is_checked = asyncio.Event()
        self.task = asyncio.ensure_future(self._send(admission, stream, size))

    async def _send(self, admission: Admission, stream: Stream, size: int) -> None:
        async with admission.turn(stream, size):
            self.is_in.set()
            await self.is_checked.wait()

    async def end(self) -> None:
        self.is_checked.set()
        await self.task


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(bounded())


async def turns() -> None:
    """Give all tasks their turns."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_nobody_waits_where_instances_have_room() -> None:
    async def scenario() -> None:
        graph = Graph(enough=100)
        admission = Admission(graph, LONG_S)
        bodies = [Body(admission, 1000) for _ in range(3)]
        for body in bodies:
            await body.is_in.wait()
            await body.end()

    run(scenario)


def test_bodies_are_let_in_as_what_waits_is_handed_over_the_first_first() -> None:
    async def scenario() -> None:
        graph = Graph(enough=100)
        admission = Admission(graph, LONG_S)
        graph.waiting[LIVE] = 100
        bodies = [Body(admission) for _ in range(4)]
        await turns()
        assert not any(body.is_in.is_set() for body in bodies)
        graph.waiting[LIVE] = 85
        graph.hand_over()
        await turns()
        # what they bring counts as soon as they are let in
        assert [body.is_in.is_set() for body in bodies] == [True, True, False, False]
        graph.waiting[LIVE] = 95
        await bodies[0].end()
        await turns()
        assert [body.is_in.is_set() for body in bodies] == [True, True, False, False]
        graph.waiting[LIVE] = 0
        graph.hand_over()
        for body in bodies[1:]:
            await body.is_in.wait()
            await body.end()

    run(scenario)


def test_lanes_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        graph = Graph(enough=100)
        admission = Admission(graph, LONG_S)
        graph.waiting[BULK] = 100
        bulk, live = Body(admission, stream=BULK), Body(admission)
        await live.is_in.wait()
        assert not bulk.is_in.is_set()
        graph.waiting[BULK] = 0
        graph.hand_over()
        await bulk.is_in.wait()
        for body in (bulk, live):
            await body.end()

    run(scenario)


def test_a_graph_that_stops_moving_holds_nothing() -> None:
    async def scenario() -> None:
        graph = Graph(enough=100)
        admission = Admission(graph, LONG_S)
        graph.waiting[LIVE] = 100
        body = Body(admission)
        await turns()
        assert not body.is_in.is_set()
        # nothing is handed over any more, so nobody is told
        graph.waiting.clear()
        await body.is_in.wait()
        await body.end()

    run(scenario)


def test_a_body_that_has_waited_long_enough_is_let_in() -> None:
    async def scenario() -> None:
        graph = Graph(enough=100)
        admission = Admission(graph, max_wait_s=0.01)
        graph.waiting[LIVE] = 100
        bodies = [Body(admission) for _ in range(3)]
        for body in bodies:
            await body.is_in.wait()
            await body.end()

    run(scenario)


def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        graph = Graph(enough=100)
        admission = Admission(graph, LONG_S)
        graph.waiting[LIVE] = 85
        taken, gone, waiting = Body(admission, 15), Body(admission, 15), Body(admission, 15)
        await taken.is_in.wait()
        assert not gone.is_in.is_set()
        for body in (gone, taken):
            body.task.cancel()
            with suppress(asyncio.CancelledError):
                await body.task
        await waiting.is_in.wait()
        await waiting.end()
        # nobody is in: the bytes of all of them are forgotten
        last = Body(admission, 15)
        await last.is_in.wait()
        await last.end()

    run(scenario)


def test_a_body_that_is_let_in_as_its_client_goes_away_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        graph = Graph(enough=100)
        admission = Admission(graph, LONG_S)
        graph.waiting[LIVE] = 100
        gone = Body(admission, 99)
        await turns()
        gone.task.cancel()
        graph.waiting[LIVE] = 1
        graph.hand_over()
        with suppress(asyncio.CancelledError):
            await gone.task
        last = Body(admission, 10)
        await last.is_in.wait()
        await last.end()

    run(scenario)


def test_a_body_of_no_bytes_comes_and_goes_as_others_do() -> None:
    async def scenario() -> None:
        admission = Admission(Graph(100))
        first, second = Body(admission, 0), Body(admission, 0)
        await turns()
        assert first.is_in.is_set()
        assert second.is_in.is_set()
        await first.end()
        await second.end()

    run(scenario)
