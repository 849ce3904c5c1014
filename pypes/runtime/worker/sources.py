"""Sources: the worker that owns a graph has them run in one elected instance, and stores what they fetch with their cursors.

A pair of packets and cursor is one transaction of the shard, and the source goes on when it is through. So whatever dies
in between, the stored cursor is behind exactly what was enqueued, and the next run begins there. That a run is wanted is
stored, too, before anybody is told: it is taken up again by whoever opens the shard next.

Of a graph that fires once per fleet, every node wants its runs, and they follow one upon the other: who has the lock of the
graph runs what nobody has, from where the fleet is (see :mod:`pypes.runtime.worker.cursors`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from pypes.access.audit import ITSELF, Cause
from pypes.core.clock import wall
from pypes.core.limits import Limits
from pypes.errors import Conflict, Draining, NotFound, StoreError
from pypes.graph.schedule import AHEAD_S
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.topology import Topology
from pypes.observe.tallies import Tallies
from pypes.runtime.contracts.shard import Runs
from pypes.runtime.worker.cursors import FleetCursor, OwnCursor, doubtful, resolve
from pypes.runtime.worker.fleet import Fleet, HandedOver, Lock, Place, missing
from pypes.runtime.worker.source_runner import NO_INSTANCE, SourceRunner
from pypes.runtime.worker.together import together
from pypes.runtime.worker.wanted import Wanted

log = logging.getLogger(__name__)

#: Seconds between two looks at whether this node is the next to run the sources for the fleet.
FLEET_POLL_S = 1.0


class Sources:
    """Runs the sources of the graphs whose owner is one of this worker's shards. Used within one event loop."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        limits: Limits,
        fleet: Fleet | None = None,
        clock: Callable[[], float] = wall,
        tallies: Tallies | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._fleet = fleet
        self._clock = clock
        self._runs: dict[str, asyncio.Task[None]] = {}
        #: By graph, the reason why a run of the fleet does not go on, as it was logged last.
        self._held_up: dict[str, str] = {}
        #: Held while what is stored of a graph's runs is read and changed.
        self._lock = asyncio.Lock()
        self._runner = SourceRunner(dispatcher, limits, self._lock, tallies or Tallies())
        self._is_stopped = False

    def check(self, graph: str) -> list[str]:
        """The sources of a graph; raises :class:`NotFound`, or :class:`Conflict` if they cannot run now."""
        topology = self._dispatcher.topology
        if topology is None or not (graph in topology.graphs or graph in topology.failed):
            raise NotFound(f"there is no graph {graph!r}; GET /graphs lists them", code="graph.not_found", where=graph)
        if graph in topology.failed:
            raise Conflict("the graph could not be set up; GET /graphs/{name} gives the reason", code="graph.failed", where=graph)
        if graph in topology.closing:
            raise Conflict("the graph is being taken down", code="graph.closing", where=graph)
        if graph in topology.paused:
            raise Conflict("the graph is paused; resume it first", code="graph.paused", where=graph)
        if not topology.sources.get(graph):
            raise Conflict(
                "no filter of the graph fetches documents; add a source, such as Files", code="graph.no_source", where=graph
            )
        return [source for source in topology.sources[graph] if source]

    async def trigger(
        self, queue: Queue, graph: str, at: float | None = None, *, is_confirmed: bool = False, cause: Cause = ITSELF
    ) -> list[str]:
        """Run the sources of a graph once; returns their names when it is stored that they are to run.

        ``at`` is the scheduled time, in seconds since the epoch: a second request for the same or an earlier one does nothing,
        and while a run is under way it counts as part of that. Without ``at``, that is :class:`Conflict` (``graph.triggered``).
        ``is_confirmed``: the run may delete however much it finds gone.
        """
        sources = self.check(graph)
        async with self._lock:
            if self._is_stopped:
                raise Draining("the server is stopping; trigger again later")
            if at is None and graph in self._runs:
                raise Conflict(
                    "the sources of the graph are running already; wait until they have finished",
                    code="graph.triggered",
                    where=graph,
                )
            wanted = await Wanted.read(queue, graph)
            if at is not None:
                # what lies ahead was noted by a clock that was wrong
                if at <= wanted.at <= self._clock() + AHEAD_S:
                    return sources
                wanted.at = at
            wanted.is_due = True
            wanted.is_manual = wanted.is_manual or at is None
            wanted.is_confirmed = wanted.is_confirmed or is_confirmed
            await wanted.store(queue, graph, cause)
            self._start(queue, graph)
        return sources

    async def run(self, queue: Queue, graph: str, is_confirmed: bool, cause: Cause = ITSELF) -> Runs:
        """As :meth:`trigger` by hand; what is stopped is as it was before."""
        before = await self.runs(queue, graph)
        await self.trigger(queue, graph, is_confirmed=is_confirmed, cause=cause)
        return Runs(before.sources, True, before.stopped, before.failed)

    async def runs(self, queue: Queue, graph: str) -> Runs:
        """The state of the sources of a graph, and of their runs; raises as :meth:`check` does."""
        sources = self.check(graph)
        return (await Wanted.read(queue, graph)).runs(sources, is_running=graph in self._runs)

    async def resume(self, queue: Queue) -> None:
        """Take up the runs that the last one to serve a shard did not finish."""
        try:
            found = await Wanted.due(queue)
        except StoreError as error:
            log.error("interrupted runs of sources are not resumed; trigger the sources again", extra={"error": str(error)})
            return
        for graph in found:
            self._start(queue, graph)

    async def stop(self) -> None:
        """Begin nothing more and let go of what runs: it is taken up again when the shard is opened next."""
        self._is_stopped = True
        runs = list(self._runs.values())
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        if self._fleet is not None:
            self._fleet.close()

    # -- one run ----------------------------------------------------------------------------------------

    def _start(self, queue: Queue, graph: str) -> None:
        if graph not in self._runs and not self._is_stopped:
            task = self._runs[graph] = asyncio.ensure_future(self._run(queue, graph))
            task.add_done_callback(lambda done: self._over(graph, done))

    def _over(self, graph: str, task: asyncio.Task[None]) -> None:
        if self._runs.get(graph) is task:
            del self._runs[graph]
        self._held_up.pop(graph, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a run of sources failed", extra={"graph": graph}, exc_info=error)

    async def _run(self, queue: Queue, graph: str) -> None:
        is_resolved = False
        while True:
            sources = await self._runner.deployed(graph)
            try:
                if not is_resolved:
                    await self._resolve(queue, graph)
                    is_resolved = True
                if not sources or graph not in self._topology.fleet:
                    break
                if await self._run_for_fleet(queue, graph):
                    return
            except (StoreError, HandedOver) as error:
                is_resolved = False
                self._hold_up(graph, str(error), logging.ERROR if isinstance(error, StoreError) else logging.WARNING)
            await asyncio.sleep(FLEET_POLL_S)
        await asyncio.gather(*(self._runner.run(OwnCursor(queue, graph, source), graph, source) for source in sources))
        await self._end(queue, graph)

    async def _end(self, queue: Queue, graph: str, seen: Wanted | None = None) -> bool:
        """A run is over, unless more is wanted by now than was ``seen``: then False."""
        async with self._lock:
            wanted = await Wanted.read(queue, graph)
            if seen is not None and wanted != seen:
                return False
            wanted.end()
            await wanted.store(queue, graph)
            # while the lock is held: what is wanted from now on is another run
            del self._runs[graph]
            return True

    @property
    def _topology(self) -> Topology:
        return self._runner.topology

    # -- a run of the fleet -----------------------------------------------------------------------------

    async def _run_for_fleet(self, queue: Queue, graph: str) -> bool:
        """Run what is due for the fleet if this node is the next to; True when nothing is wanted any more."""
        if self._dispatcher.elect(graph) is None:
            # another node may have one: not even the lock is taken
            self._hold_up(graph, NO_INSTANCE, logging.INFO)
            return False
        fleet = self._shared()
        lock = await fleet.lock(graph)
        try:
            if not lock.is_held:
                self._hold_up(graph, "another node runs the sources", logging.INFO, holder=lock.holder)
                return False
            await self._meet(queue, graph, lock)
            while True:
                wanted, places = await Wanted.read(queue, graph), await self._places(queue, graph)
                sources = (
                    self._topology.sources.get(graph, ()) if await self._runner.elected(graph, FleetCursor.patience_s) else ()
                )
                due = [
                    source for source in sources if wanted.is_manual or self._is_due(wanted.at, places.get(source, Place()).at)
                ]
                if due:
                    await self._run_due(queue, graph, lock, due, places)
                elif await self._end(queue, graph, wanted):
                    return True
        finally:
            lock.release()

    def _is_due(self, at: float, over: float) -> bool:
        """True if what is wanted for the time ``at`` is not over, with what was over last."""
        return over < at or (over > at and over > self._clock() + AHEAD_S)

    async def _run_due(self, queue: Queue, graph: str, lock: Lock, due: Sequence[str], places: dict[str, Place]) -> None:
        """Run these sources from where the fleet is, and say in its file when they have."""
        cursors = {source: FleetCursor(queue, graph, source, self._shared().node, lock) for source in due}
        for source, cursor in cursors.items():
            await cursor.level(places.get(source, Place()))
        log.info("sources run for the fleet", extra={"graph": graph, "filters": list(due)})
        ended = await together(*(self._runner.run(cursor, graph, source) for source, cursor in cursors.items()))
        # a time that came meanwhile is part of the run
        at = (await Wanted.read(queue, graph)).at
        await lock.done([source for source, has_ended in zip(due, ended, strict=True) if has_ended], at, self._clock() + AHEAD_S)
        async with self._lock:
            wanted = await Wanted.read(queue, graph)
            wanted.is_manual = wanted.is_confirmed = False
            await wanted.store(queue, graph)

    async def _meet(self, queue: Queue, graph: str, lock: Lock) -> None:
        """See to it that there is a file; from now on it must not be missing."""
        self._held_up.pop(graph, None)
        if (await Wanted.read(queue, graph)).has_met:
            return
        if await self._shared().read(graph) is None:
            await lock.begin()
        async with self._lock:
            wanted = await Wanted.read(queue, graph)
            wanted.has_met = True
            await wanted.store(queue, graph)

    async def _resolve(self, queue: Queue, graph: str) -> None:
        """Bring to an end what a crash, or a failure, has left between the file of the fleet and the queue."""
        found = await doubtful(queue, graph)
        if not found:
            return
        if self._fleet is None and graph not in self._topology.fleet:
            log.warning(
                "this node has left its fleet: documents that it fetched last may be fetched again", extra={"graph": graph}
            )
            await resolve(queue, graph, 0, found, {})
        else:
            await resolve(queue, graph, self._shared().node, found, await self._places(queue, graph))

    async def _places(self, queue: Queue, graph: str) -> dict[str, Place]:
        fleet = self._shared()
        places = await fleet.read(graph)
        if places is None and (await Wanted.read(queue, graph)).has_met:
            raise missing(fleet.path / f"{graph}.json")
        return places or {}

    def _shared(self) -> Fleet:
        if self._fleet is None:
            raise StoreError("this node is in no fleet; set fleet in [server], or pass --fleet", code="fleet.none")
        return self._fleet

    def _hold_up(self, graph: str, reason: str, level: int, **more: str) -> None:
        """Log once why a run of the fleet does not go on."""
        if self._held_up.get(graph) != reason:
            self._held_up[graph] = reason
            log.log(level, "a run of sources waits", extra={"graph": graph, "reason": reason, **more})
