"""Schedules: graphs whose sources run by the clock, each time once per node.

The time for which a graph was last triggered is stored after the worker has stored the wish for it under the same time, and
that one does nothing when it hears of a time again. So a crash between the two neither repeats a time nor forgets it.

Scheduled times are those of the wall clock. When that was ahead and is put right, a time that was triggered meanwhile lies in the
future: it is forgotten, here as by the worker and the fleet, and the next one counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pypes import logs
from pypes.core.clock import wall
from pypes.errors import PypesError
from pypes.graph.schedule import AHEAD_S, following, latest
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.graphs.store import ControlStore, StoredGraph

#: A time that is noticed later than this was missed: the server was down, or the graph paused.
LATE_S = 60.0
#: Wait before a worker is asked again that could not be.
RETRY_S = 2.0
#: Longest sleep: the clock may be set meanwhile.
SLEEP_S = 30.0


class Schedules:
    """Triggers graphs when their time has come. ``fire(graph, at)`` raises :class:`PypesError` if it must be tried again."""

    def __init__(
        self,
        store: ControlStore,
        deployer: Deployer,
        fire: Callable[[str, float], Awaitable[None]],
        clock: Callable[[], float] = wall,
    ) -> None:
        self._store = store
        self._deployer = deployer
        self._fire = fire
        self._clock = clock
        self._woken = asyncio.Event()
        self._log = logs.get("pypes.schedules")

    def wake(self) -> None:
        """Look at the schedules anew: graphs were deployed or removed, or the clock was set."""
        self._woken.set()

    async def run(self) -> None:
        """Trigger graphs until cancelled."""
        while True:
            self._woken.clear()
            try:
                delay_s = await self.tick()
            except PypesError as error:
                # the disk, probably; it has been said elsewhere that it fails
                self._log.error("schedules cannot be checked", reason=str(error))
                delay_s = RETRY_S
            try:
                async with asyncio.timeout(delay_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def tick(self) -> float:
        """Trigger all graphs whose time has come; returns after how many seconds to look again."""
        # a version that goes while this runs is none of those that are looked at
        scheduled = [graph for graph in self._deployer.live.values() if graph.graph.get("schedule")]
        delays = await asyncio.gather(*(self._look(graph) for graph in scheduled if self._can_run(graph.name)))
        return min(delays, default=SLEEP_S)

    def _can_run(self, name: str) -> bool:
        # their times are missed times once they run again
        deployed = self._deployer
        return name not in deployed.failed and name not in deployed.paused and name not in deployed.closing

    async def _look(self, graph: StoredGraph) -> float:
        schedule, now = str(graph.graph["schedule"]), self._clock()
        fired = self._store.fired(graph.name)
        if fired is None or fired[0] != schedule:
            # a new schedule has no past
            self._store.set_fired(graph.name, schedule, now)
            return self._delay_s(schedule, now)
        if fired[1] > now + AHEAD_S:
            self._log.warning("the clock was set back; the schedule goes on from now", graph=graph.name, at=fired[1])
            self._store.set_fired(graph.name, schedule, now)
            return self._delay_s(schedule, now)
        due = latest(schedule, now)
        if due is None or due <= fired[1]:
            return self._delay_s(schedule, now)
        if now - due > LATE_S:
            self._log.warning("a scheduled time was missed", graph=graph.name, at=due, policy=graph.graph.get("missed", "once"))
        if now - due <= LATE_S or graph.graph.get("missed") != "skip":
            try:
                await self._fire(graph.name, due)
            except PypesError as error:
                self._log.warning("sources not triggered yet", graph=graph.name, reason=str(error))
                return RETRY_S
            self._log.info("sources triggered", graph=graph.name, at=due)
        if graph.name in self._deployer.live:  # else what was remembered of it is gone, and shall be
            self._store.set_fired(graph.name, schedule, due)
        return self._delay_s(schedule, now)

    def _delay_s(self, schedule: str, now: float) -> float:
        due = following(schedule, now)
        return SLEEP_S if due is None else min(SLEEP_S, max(0.0, due - now))
