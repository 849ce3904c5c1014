"""Switching: a change of a graph in two halves. It is prepared beside what runs, and then takes effect at once, or never.

A node by itself does one half after the other. In a fleet, all members have prepared a change before the first one switches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pypes import logs
from pypes.access.audit import Cause
from pypes.core.wording import counted
from pypes.errors import Conflict, PypesError, Unavailable
from pypes.graph import codec
from pypes.graph.diff import only_parameters
from pypes.observe import Observer
from pypes.runtime.contracts.fleet import Mark
from pypes.runtime.generations.generation import Generation, SetupFailed
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.deployed import DeployedGraphs
from pypes.runtime.graphs.launching import Launcher
from pypes.runtime.graphs.store import ControlStore, StoredGraph

#: Seconds between two looks at whether a graph that is taken down has nothing left to do.
DRAIN_POLL_S = 0.05


class Prepared(Protocol):
    """A change that is prepared. Exactly one of its methods is called, once."""

    async def commit(self, mark: Mark | None) -> None:
        """Let it take effect, durably; the mark is that of the fleet. Raises :class:`StoreError`: nothing has changed then."""

    async def abort(self, reason: str) -> None:
        """Drop it; nothing has changed."""


class Switching:
    """Prepares changes of the ``deployed`` graphs, whose lock is held until they take effect or are dropped."""

    def __init__(
        self,
        deployed: DeployedGraphs,
        store: ControlStore,
        generations: Generations,
        launcher: Launcher,
        unfinished: Callable[[str], Awaitable[int | None]],
        on_change: Callable[[], None],
        observer: Observer,
    ) -> None:
        self.deployed = deployed
        self.store = store
        self.generations = generations
        self.launcher = launcher
        self.observer = observer
        self.on_change = on_change
        self._unfinished = unfinished
        self.log = logs.get("pypes.deployments")

    async def version(self, new: StoredGraph, cause: Cause, *, in_place: bool, is_recorded: bool = True) -> Prepared:
        """Set a version up; ``in_place``: where only parameters differ, running filters may be given these when it is committed.

        Raises :class:`SetupFailed`; the version is kept as failed, if that ``is_recorded``.
        """
        if in_place and (changed := self._parameters(new)) is not None:
            return _Parameters(self, new, changed, cause)
        return _Generation(self, new, await self.start(new, cause, is_recorded=is_recorded), cause)

    async def start(self, new: StoredGraph, cause: Cause, *, is_recorded: bool = True) -> Generation:
        """A new generation of instances with a version. Raises :class:`SetupFailed`; the version is kept as failed then."""
        try:
            return await self.launcher.start(self.launcher.wanted_for(new))
        except SetupFailed as error:
            if is_recorded and error.failure.graph in (new.name, ""):
                self.store.record_failed(replace(new, error=str(error)), cause)
            raise

    def _parameters(self, new: StoredGraph) -> dict[str, Any] | None:
        """Parameters of filters that take new ones up, if nothing else differs from what runs; ``None`` otherwise."""
        old, catalogue = self.deployed.live.get(new.name), self.deployed.catalogue
        if old is None or new.name in self.deployed.failed or self.generations.live is None:
            return None
        changed = only_parameters(*(codec.from_obj(each.graph, is_expanded=True) for each in (old, new)))
        assert catalogue is not None
        nodes = new.graph["nodes"]
        if changed is None or not all(catalogue[nodes[filter]["component"]].reconfigures for filter in changed):
            return None
        if any("pool" in nodes[filter] for filter in changed):  # what runs in a pool is set up anew there
            return None
        return {filter: nodes[filter].get("params", {}) for filter in changed}

    async def removal(self, name: str, cause: Cause, *, is_forced: bool) -> Prepared:
        """Let a graph take no more, and wait until all that was accepted for it is done, unless it ``is_forced``.

        Raises :class:`Conflict` (``graph.not_drained``) if that takes longer than ``grace_s``: the graph is as it was then.
        """
        removal = _Removal(self, name, cause, is_forced)
        self.deployed.closing.add(name)
        try:
            if not is_forced:
                self.on_change()
                await self._drain(name)
        except BaseException:
            await removal.abort("")
            raise
        return removal

    async def _drain(self, name: str) -> None:
        deployed = self.deployed
        deadline = time.monotonic() + deployed.settings.limits.grace_s
        while True:
            try:
                left = await self._unfinished(name)
            except Unavailable:
                left = None
            if left == 0:
                return
            is_paused, is_failed = name in deployed.paused, name in deployed.failed
            reason = "the graph is paused" if is_paused else "it could not be set up" if is_failed else ""
            if (reason and left is not None) or time.monotonic() > deadline:
                several = "deliveries are"
                count = f"an unknown number of {several}" if left is None else counted(left, "delivery is", several)
                raise Conflict(
                    f"{count} not done{': ' + reason if reason else ''}; let the graph finish, "
                    "or take it down with force=true, which makes dead letters of what is left",
                    code="graph.not_drained",
                    where=name,
                )
            await asyncio.sleep(DRAIN_POLL_S)

    def pausing(self, name: str, is_paused: bool, cause: Cause) -> Prepared:
        """Stop handing deliveries of a graph to the instances, or go on."""
        return _Pausing(self, name, is_paused, cause)


class _Generation:
    """A version in instances of its own, which take the graph over."""

    def __init__(self, switching: Switching, new: StoredGraph, generation: Generation, cause: Cause) -> None:
        self._switching = switching
        self._new = new
        self._generation = generation
        self._cause = cause

    async def commit(self, mark: Mark | None) -> None:
        s, new = self._switching, self._new
        try:
            s.store.deploy(new, self._cause, mark)
        except PypesError as error:
            await self.abort(str(error))
            raise
        s.deployed.live[new.name] = new
        s.deployed.failed.pop(new.name, None)
        s.launcher.go_live(self._generation)
        s.log.info("graph deployed", graph=new.name, version=new.version, by=new.author)

    async def abort(self, reason: str) -> None:
        await self._switching.launcher.give_up(self._generation, reason)


class _Parameters:
    """New parameters for running filters. If an instance cannot take them up, a new generation is started with them."""

    def __init__(self, switching: Switching, new: StoredGraph, changed: dict[str, Any], cause: Cause) -> None:
        self._switching = switching
        self._old = switching.deployed.live[new.name]
        self._new = replace(new, code=self._old.code)
        self._changed = changed
        self._cause = cause

    async def commit(self, mark: Mark | None) -> None:
        s, new = self._switching, self._new
        versions, began = {new.name: new.version}, time.monotonic()
        s.observer.deployment_began(versions)
        setup_s = s.deployed.settings.server.setup_s
        reason = await s.generations.reconfigure(new.name, new.version, new.graph, self._changed, setup_s)
        try:
            if not reason:
                s.store.deploy(new, self._cause, mark)
        except PypesError as error:
            s.observer.deployment_failed(versions, str(error))
            await self._restore()
            raise
        about = {"graph": new.name, "version": new.version}
        if reason:
            s.log.warning("parameters not changed in place", filters=sorted(self._changed), reason=reason, **about)
            s.observer.deployment_failed(versions, reason)
            try:
                await _Generation(s, new, await s.start(new, self._cause), self._cause).commit(mark)
            except PypesError:
                await self._restore()
                raise
            return
        s.deployed.live[new.name] = new
        s.observer.deployment_switched(versions, time.monotonic() - began)
        s.on_change()
        s.log.info("parameters changed", filters=sorted(self._changed), by=new.author, **about)

    async def _restore(self) -> None:
        """Some instances may have parameters that are not in force: start new ones with what is."""
        launcher = self._switching.launcher
        launcher.go_live(await launcher.start(launcher.wanted_for(self._old)))

    async def abort(self, reason: str) -> None:
        """There is nothing to drop."""


class _Removal:
    """The end of a graph that takes no more."""

    def __init__(self, switching: Switching, name: str, cause: Cause, is_forced: bool) -> None:
        self._switching = switching
        self._name = name
        self._cause = cause
        self._is_forced = is_forced

    async def commit(self, mark: Mark | None) -> None:
        s, name = self._switching, self._name
        try:
            s.store.undeploy(name, self._cause, is_forced=self._is_forced, mark=mark)
            del s.deployed.live[name]
            s.deployed.paused.discard(name)
            s.deployed.failed.pop(name, None)
            s.launcher.go_live(None, gone={name})
            s.log.info("graph undeployed", graph=name)
        finally:
            await self.abort("")

    async def abort(self, reason: str) -> None:
        self._switching.deployed.closing.discard(self._name)
        self._switching.on_change()


class _Pausing:
    """A graph that is to be paused, or resumed."""

    def __init__(self, switching: Switching, name: str, is_paused: bool, cause: Cause) -> None:
        self._switching = switching
        self._name = name
        self._is_paused = is_paused
        self._cause = cause

    async def commit(self, mark: Mark | None) -> None:
        s = self._switching
        s.store.pause(self._name, self._is_paused, self._cause, mark)
        s.deployed.paused = s.store.paused()
        s.on_change()
        s.log.info("graph paused" if self._is_paused else "graph resumed", graph=self._name)

    async def abort(self, reason: str) -> None:
        """There is nothing to drop."""


class Together:
    """Several changes of one graph, one after the other; the mark is written with the last."""

    def __init__(self, changes: Sequence[Prepared]) -> None:
        self._changes = changes

    async def commit(self, mark: Mark | None) -> None:
        for change in self._changes[:-1]:
            await change.commit(None)
        await self._changes[-1].commit(mark)

    async def abort(self, reason: str) -> None:
        for change in self._changes:
            await change.abort(reason)
