"""Happening: what the supervisor knows of deployments, instances and filters that rest, as events, and who asks for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pypes.core.nodetime import Clock
from pypes.core.secrets import masked
from pypes.core.watched_tasks import WatchedTasks
from pypes.ingest.receipt import rfc3339
from pypes.observe import Observer
from pypes.observe.events import Event, EventLog
from pypes.observe.gathering import Gathering
from pypes.runtime.contracts.events import FailedGroup, Told
from pypes.runtime.supervisor.rates import Rates

#: Events that are kept for those who come back.
MOST_KEPT = 2000
#: Seconds between two counters, and for which they go on when nobody has asked for them.
COUNT_S = 1.0
IDLE_S = 3.0
#: Characters of a reason that an event has.
REASON_CHARS = 500


def log_of(clock: Clock) -> EventLog:
    """The log of a node that starts now."""
    return EventLog(f"{int(clock.now() * 1000):x}", MOST_KEPT, lambda: shown_time(clock))


def rates_of(gathering: Gathering, clock: Clock) -> Rates:
    """The rates of what the processes of a node count."""
    return Rates(gathering, lambda: shown_time(clock), time.monotonic)


def shown_time(clock: Clock) -> str:
    """The time, as events have it."""
    return rfc3339(clock.shown(clock.now()))


class Happenings(Observer):
    """Puts into ``log`` what the hooks of the supervisor tell."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        #: By instance that has been ready, its graphs.
        self._graphs: dict[int, tuple[str, ...]] = {}

    def deployment_began(self, graphs: Mapping[str, int]) -> None:
        self._deployments("began", graphs)

    def deployment_switched(self, graphs: Mapping[str, int], seconds: float) -> None:
        self._deployments("switched", graphs, seconds=round(seconds, 3))

    def deployment_failed(self, graphs: Mapping[str, int], reason: str) -> None:
        self._deployments("failed", graphs, reason=_short(reason))

    def graph_undeployed(self, graph: str) -> None:
        self._log.add("deployment", (graph,), state="undeployed", graph=graph)

    def _deployments(self, state: str, graphs: Mapping[str, int], **more: Any) -> None:
        for graph, version in graphs.items():
            self._log.add("deployment", (graph,), state=state, graph=graph, version=version, **more)

    def instance_started(self, instance: int, graphs: Collection[str], seconds: float) -> None:
        known = self._graphs[instance] = tuple(graphs)
        self._log.add("instance", known, state="ready", instance=instance, graphs=known, seconds=round(seconds, 3))

    def instance_ended(self, instance: int, reason: str, filter: str) -> None:
        known = self._graphs.pop(instance, ())
        self._log.add("instance", known, state="ended", instance=instance, graphs=known, reason=_short(reason), filter=filter)

    def filter_rested(self, graph: str, filter: str, reason: str) -> None:
        self._log.add("breaker", (graph,), state="resting", graph=graph, filter=filter, reason=_short(reason))

    def filter_went_on(self, graph: str, filter: str) -> None:
        self._log.add("breaker", (graph,), state="going on", graph=graph, filter=filter)


class EventDesk:
    """Answers the calls of workers; see :class:`pypes.runtime.contracts.events.EventCalls`."""

    def __init__(self, log: EventLog, rates: Rates, tasks: WatchedTasks) -> None:
        self._log = log
        self._rates = rates
        self._tasks = tasks
        #: The newest counters, and how often there were some.
        self._counters: list[Event] = []
        self._tick = 0
        #: Calls that wait for counters, and when one last did, by the time of the loop.
        self._counting = 0
        self._counted_at = 0.0
        self._is_counting = False

    async def after(self, id: str, wait_s: float = 0.0, tick: int | None = None) -> Told:
        with self._counted(tick):
            events, gap = self._log.after(id)
            if not (events or gap or self._newer(tick)) and wait_s:
                await self._log.wait(wait_s)
                events, gap = self._log.after(id)
        return Told(events, self._log.last, gap, self._newer(tick), self._tick)

    def _newer(self, tick: int | None) -> list[Event]:
        return self._counters if tick is not None and tick != self._tick else []

    @contextmanager
    def _counted(self, tick: int | None) -> Iterator[None]:
        """While one waits who wants counters, and shortly after, there are some."""
        if tick is None:
            yield
            return
        self._counting += 1
        if not self._is_counting:
            self._is_counting = True
            self._tasks.start(self._count(), "counters for viewers")
        try:
            yield
        finally:
            self._counting -= 1
            self._counted_at = asyncio.get_running_loop().time()

    async def _count(self) -> None:
        loop = asyncio.get_running_loop()
        self._counted_at = loop.time()
        self._rates.step()
        try:
            while self._counting or loop.time() - self._counted_at < IDLE_S:
                await asyncio.sleep(COUNT_S)
                if counters := self._rates.step():
                    self._counters = counters
                    self._tick += 1
                    self._log.wake()
        finally:
            self._counters = []
            self._rates.forget()
            self._is_counting = False

    async def kept(self) -> Told:
        return Told(self._log.all(), self._log.last)

    async def now(self) -> Told:
        return Told([], self._log.last)

    async def failed(self, groups: list[FailedGroup]) -> None:
        for group in groups:
            self._log.add(
                "deadletters",
                (group.graph,),
                graph=group.graph,
                filter=group.filter,
                code=group.code,
                count=group.count,
                deadletter=group.letter,
                error=_short(group.error),
            )


def _short(text: str) -> str:
    shown: str = masked(text)
    return shown if len(shown) <= REASON_CHARS else f"{shown[:REASON_CHARS]}…"
