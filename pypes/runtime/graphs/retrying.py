"""Retrying: graphs that are deployed but could not be set up are tried again, beside all else that the deployer does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from pypes import logs
from pypes.config import Settings
from pypes.core.watched_tasks import OnFailed, WatchedTasks
from pypes.registry import Catalogue, component_files
from pypes.runtime.generations.generation import SetupFailed
from pypes.runtime.graphs.deployed import DeployedGraphs
from pypes.runtime.graphs.launching import Launcher

#: First and longest pause between two attempts to bring up a graph that was deployed once but cannot be set up now.
FIRST_RETRY_S, RETRY_S = 1.0, 60.0
#: Time between two looks whether files of components have changed meanwhile: then it is tried at once.
LOOK_S = 0.5


class Retries:
    """Sets up what is in ``deployed.failed``, one graph at a time and under ``lock``, the deployer's, until nothing is left.

    ``discover`` finds the components there are now, for graphs that cannot do without some. ``on_change`` is called when a
    reason is another one.
    """

    def __init__(
        self,
        deployed: DeployedGraphs,
        launcher: Launcher,
        lock: asyncio.Lock,
        discover: Callable[[Settings], Awaitable[Catalogue]],
        on_change: Callable[[], None],
        on_failed: OnFailed,
    ) -> None:
        self._deployed = deployed
        self._launcher = launcher
        self._lock = lock
        self._discover = discover
        self._on_change = on_change
        self._tasks = WatchedTasks(on_failed)
        self._retry: asyncio.Task[None] | None = None
        self._log = logs.get("pypes.deployments")

    def begin(self) -> None:
        """See to the graphs that have failed, if there are any and nobody does so already."""
        if self._deployed.failed and (self._retry is None or self._retry.done()):
            self._retry = self._tasks.start(self._run(), "graphs that could not be set up")

    async def close(self) -> None:
        """Stop trying."""
        await self._tasks.close()

    async def _run(self) -> None:
        """Try graphs that could not be set up again: their database may be back, or the file with their component."""
        delay_s = FIRST_RETRY_S
        state = self._files()
        while self._deployed.failed:
            has_changed = await self._rest(delay_s, state)
            delay_s = FIRST_RETRY_S if has_changed else min(delay_s * 2, RETRY_S)
            state = self._files()
            catalogue = await self._discover(self._deployed.settings)
            async with self._lock:
                self._deployed.catalogue = catalogue
                for name in list(self._deployed.failed):
                    await self._set_up_again(name)

    async def _rest(self, delay_s: float, state: object) -> bool:
        """Wait for ``delay_s``, or until the files of components are not in this state any more; True if they have changed."""
        until = time.monotonic() + delay_s
        while (left_s := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, LOOK_S))
            if self._files() != state:
                return True
        return False

    def _files(self) -> object:
        return component_files(self._deployed.settings.server.load)

    async def _set_up_again(self, name: str) -> None:
        graph = self._deployed.live[name]
        failure = self._deployed.missing(graph)
        if failure is None:
            try:
                generation = await self._launcher.start(self._launcher.wanted_for(graph))
            except SetupFailed as error:
                failure = error.failure
        if failure is None:
            del self._deployed.failed[name]
            self._launcher.go_live(generation)
            self._log.info("graph set up", graph=name, version=graph.version)
        elif failure != self._deployed.failed[name]:
            self._deployed.failed[name] = failure
            self._log.warning("graph still not set up", graph=name, reason=self._deployed.scrubbed(failure))
            self._on_change()
