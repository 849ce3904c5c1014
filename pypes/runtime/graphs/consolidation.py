"""Consolidation: the generations of several deployments become one again when nothing has been deployed for a while.

Each deployment starts instances for what it changes, beside those that run. So their number grows, and with it the memory that
each takes without any graph, and their competition for the cores.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pypes import logs
from pypes.core.machine import available_memory_bytes, resident_bytes
from pypes.runtime.generations.generation import SetupFailed
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.check import scrub
from pypes.runtime.graphs.deployed import DeployedGraphs
from pypes.runtime.graphs.launching import Launcher
from pypes.runtime.graphs.store import StoredGraph

#: Time between two looks whether there is something to do.
LOOK_S = 5.0
#: Shortest time between two attempts, as a multiple of ``consolidate_s``.
PAUSE = 10
#: The multiple of ``instances`` that may serve before there is something to do.
MOST = 2
OTHER_CODE = "the code or settings are others than those that run, or cannot be compared; SIGHUP takes them up"


@dataclass(frozen=True)
class State:
    """Figures that decide: processes that serve, and times in seconds of a monotonic clock."""

    processes: int
    #: As the settings have them.
    instances: int
    quiet_s: float
    changed_at: float
    tried_at: float | None
    #: Instances are replaced one by one: the next deployment takes over all graphs, and there is no room for any beside them.
    is_rolling: bool

    def is_due(self, now: float) -> bool:
        if self.quiet_s <= 0 or self.is_rolling or self.processes <= MOST * self.instances:
            return False
        is_rested = self.tried_at is None or now - self.tried_at >= PAUSE * self.quiet_s
        return is_rested and now - self.changed_at >= self.quiet_s


class Consolidation:
    """Starts all graphs in one generation and lets it take over; whatever is deployed meanwhile goes before.

    ``lock`` is that of the deployer, which is held only while the generation takes over. If it cannot be set up, nothing changes.
    """

    def __init__(self, deployed: DeployedGraphs, launcher: Launcher, generations: Generations, lock: asyncio.Lock) -> None:
        self._deployed = deployed
        self._launcher = launcher
        self._generations = generations
        self._lock = lock
        self._tried_at: float | None = None
        self._log = logs.get("pypes.deployments")

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(min(LOOK_S, self._deployed.settings.server.consolidate_s or LOOK_S))
            if self._state().is_due(time.monotonic()):
                self._tried_at = time.monotonic()
                await self._consolidate()

    def _state(self) -> State:
        server = self._deployed.settings.server
        processes = sum(len(generation.slots) for generation in self._generations.live)
        return State(processes, server.instances, server.consolidate_s, self._launcher.changed_at, self._tried_at, server.rolling)

    async def _consolidate(self) -> None:
        wanted = self._launcher.running()
        if not self._is_current(wanted):
            return
        needed = sum(resident_bytes(instance.pid) for instance in self._generations.ready())
        available = available_memory_bytes()
        if available is None or available < needed:
            self._log.info(
                "instances not consolidated",
                graphs=sorted(wanted),
                reason="memory",
                needed_bytes=needed,
                available_bytes=available,
            )
            return
        before = (self._deployed.settings, self._deployed.catalogue, self._launcher.changed_at)
        try:
            generation = await self._launcher.start(wanted)
        except SetupFailed as error:
            graphs = [graph.graph for graph in wanted.values()]
            self._log.warning("instances not consolidated", reason=scrub(error.failure.message, graphs), **error.failure.names)
            return
        async with self._lock:
            is_same = before == (self._deployed.settings, self._deployed.catalogue, self._launcher.changed_at)
            if not is_same or wanted != self._launcher.running():
                reason = "something was deployed meanwhile"
            elif not self._is_current(wanted):
                reason = OTHER_CODE
            else:
                processes = self._state().processes
                self._launcher.go_live(generation)
                self._log.info("instances consolidated", graphs=sorted(wanted), before=processes, now=len(generation.slots))
                return
        await self._launcher.give_up(generation, reason)

    def _is_current(self, wanted: Mapping[str, StoredGraph]) -> bool:
        """True if processes that are started now take up the code that was deployed; other code is for SIGHUP."""
        is_current = all(map(self._launcher.is_current, wanted.values()))
        if not is_current:
            self._log.info("instances not consolidated", graphs=sorted(wanted), reason=OTHER_CODE)
        return is_current
