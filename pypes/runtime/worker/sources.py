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

from pypes.core.clock import wall
from pypes.core.limits import Limits
from pypes.errors import Conflict, Draining, NotFound, PypesError, StoreError
from pypes.graph.schedule import AHEAD_S
from pypes.ingest import protocol
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.link import Link
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.protocol import Ended, Fetched
from pypes.runtime.contracts.shard import Runs
from pypes.runtime.worker.cursors import FleetCursor, OwnCursor, doubtful, resolve
from pypes.runtime.worker.enqueuing import header_of
from pypes.runtime.worker.fleet import Fleet, HandedOver, Lock, Place, missing
from pypes.runtime.worker.together import together
from pypes.runtime.worker.wanted import TOO_MANY_DELETIONS, Wanted

log = logging.getLogger(__name__)

#: How often it is looked for an instance while there is none.
ELECT_POLL_S = 0.05
#: Wait before what the store did not take is fetched again.
STORE_RETRY_S = 1.0
#: Seconds between two looks at whether this node is the next to run the sources for the fleet.
FLEET_POLL_S = 1.0
#: Instances that may die one after the other under a source, with nothing stored in between, before its run is given up.
MAX_DEATHS = 5

#: The code of a source that is given up because of that.
_DEATHS = "source.deaths"
_NO_INSTANCE = "no instance of this node runs the graph"


class _Replaced(Exception):
    """An instance let go of a graph in the middle of a run: others take over, perhaps with a new version of the graph."""


class _Stream:
    """The messages of an instance about one run; the last says whether it ended in order, or died."""

    def __init__(self, link: Link, graph: str) -> None:
        self.link = link
        self.graph = graph
        self.said: asyncio.Queue[Fetched | Ended | bool] = asyncio.Queue()


class Sources:
    """Runs the sources of the graphs whose owner is one of this worker's shards. Used within one event loop."""

    def __init__(
        self, dispatcher: Dispatcher, limits: Limits, fleet: Fleet | None = None, clock: Callable[[], float] = wall
    ) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._fleet = fleet
        self._clock = clock
        self._streams: dict[int, _Stream] = {}
        self._last_number = 0
        self._runs: dict[str, asyncio.Task[None]] = {}
        #: Why a run of the fleet does not go on, as it was logged last, by graph.
        self._held_up: dict[str, str] = {}
        #: Held while what is stored of a graph's runs is read and changed.
        self._lock = asyncio.Lock()
        self._is_stopped = False
        dispatcher.on_fetch = self._on_fetch
        dispatcher.on_gone = self._gone
        dispatcher.on_left = self._left

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
        return [node for node in topology.sources[graph] if node]

    async def trigger(self, queue: Queue, graph: str, at: float | None = None, *, is_confirmed: bool = False) -> list[str]:
        """Run the sources of a graph once; returns their names when it is stored that they are to run.

        ``at`` is the scheduled time, in seconds since the epoch: a second request for the same or an earlier one does nothing,
        and while a run is under way it counts as part of that. Without ``at``, that is :class:`Conflict` (``graph.triggered``).
        ``is_confirmed``: the run may delete however much it finds gone.
        """
        nodes = self.check(graph)
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
                    return nodes
                wanted.at = at
            wanted.is_due = True
            wanted.is_manual = wanted.is_manual or at is None
            wanted.is_confirmed = wanted.is_confirmed or is_confirmed
            await wanted.store(queue, graph)
            self._start(queue, graph)
        return nodes

    async def run(self, queue: Queue, graph: str, is_confirmed: bool) -> Runs:
        """As :meth:`trigger` by hand; what is stopped is as it was before."""
        before = await self.runs(queue, graph)
        await self.trigger(queue, graph, is_confirmed=is_confirmed)
        return Runs(before.sources, True, before.stopped, before.failed)

    async def runs(self, queue: Queue, graph: str) -> Runs:
        """The state of the sources of a graph, and of their runs; raises as :meth:`check` does."""
        nodes = self.check(graph)
        return (await Wanted.read(queue, graph)).runs(nodes, is_running=graph in self._runs)

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
            nodes = await self._sources(graph)
            try:
                if not is_resolved:
                    await self._resolve(queue, graph)
                    is_resolved = True
                if not nodes or graph not in self._topology.fleet:
                    break
                if await self._run_for_fleet(queue, graph):
                    return
            except (StoreError, HandedOver) as error:
                is_resolved = False
                self._hold_up(graph, str(error), logging.ERROR if isinstance(error, StoreError) else logging.WARNING)
            await asyncio.sleep(FLEET_POLL_S)
        await asyncio.gather(*(self._source(OwnCursor(queue, graph, node), graph, node) for node in nodes))
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
        assert self._dispatcher.topology is not None
        return self._dispatcher.topology

    async def _sources(self, graph: str) -> Sequence[str]:
        """The sources of a graph as soon as it runs and takes documents; none if it is deployed no more."""
        while True:
            topology = self._dispatcher.topology
            if topology is not None and graph not in topology.closing and (topology.instances or graph not in topology.graphs):
                if graph in topology.graphs:
                    return topology.sources.get(graph, ())
                if graph not in topology.failed:
                    return ()
            await asyncio.sleep(ELECT_POLL_S)

    async def _elected(self, graph: str, timeout_s: float | None = None) -> Link | None:
        """An instance for a graph as soon as there is one; ``None`` if it is deployed no more. Raises :class:`HandedOver`."""
        try:
            async with asyncio.timeout(timeout_s):
                while await self._sources(graph):
                    link = self._dispatcher.elect(graph)
                    if link is not None:
                        return link
                    await asyncio.sleep(ELECT_POLL_S)
        except TimeoutError:
            raise HandedOver(_NO_INSTANCE) from None
        return None

    async def _source(self, cursor: OwnCursor, graph: str, node: str) -> bool:
        """Run one source to its end; False if its graph is deployed no more."""
        deaths, before = 0, ""
        while deaths < MAX_DEATHS:
            link = await self._elected(graph, cursor.patience_s)
            if link is None:
                return False
            try:
                start = await cursor.read()
                if start != before:
                    deaths, before = 0, start
                if await self._follow(link, cursor, graph, node, start):
                    return graph in self._topology.graphs
                deaths += 1
            except _Replaced:
                continue
            except StoreError as error:
                if cursor.patience_s is not None:
                    raise  # the disk of another node may be better
                log.warning("fetched documents are not stored yet", extra={"graph": graph, "filter": node, "error": str(error)})
                await asyncio.sleep(STORE_RETRY_S)
        await self._note(
            cursor.queue, graph, node, Ended(0, "the instances that ran the source died; trigger the source again", _DEATHS)
        )
        return True

    async def _follow(self, link: Link, cursor: OwnCursor, graph: str, node: str, start: str) -> bool:
        """Have one instance run one source from its cursor on; True if it got to its end, or failed; False if it died.

        Raises :class:`_Replaced` if it ended in order before that.
        """
        self._last_number = number = self._last_number + 1
        stream = self._streams[number] = _Stream(link, graph)
        is_over = False
        try:
            if not link.is_open:
                return False
            is_confirmed = (await Wanted.read(cursor.queue, graph)).is_confirmed
            link.write(protocol.trigger(number, graph, node, start, is_confirmed=is_confirmed))
            while not isinstance(said := await stream.said.get(), bool):
                if isinstance(said, Ended):
                    is_over = True
                    await self._note(cursor.queue, graph, node, said)
                    return True
                try:
                    header = header_of(graph, node, said, self._limits, is_ordered=graph in self._topology.ordered)
                except PypesError as error:
                    said = Ended(number, f"the fetched documents cannot be accepted: {error}", error.code)
                    await self._note(cursor.queue, graph, node, said)
                    return True
                if not await self._sources(graph):
                    return True  # it was taken down: what was fetched is fetched again when it is deployed the next time
                await cursor.store(header, said)
                link.write(protocol.more(number))
            if said:
                raise _Replaced
            return False
        finally:
            del self._streams[number]
            if not is_over and link.is_open:
                link.write(protocol.enough(number))

    async def _note(self, queue: Queue, graph: str, node: str, said: Ended) -> None:
        """Say how a run of a source has ended, and keep it as far as it needs somebody."""
        if said.error:
            what = (
                "a source stopped; it resumes once its deletions are confirmed"
                if said.code == TOO_MANY_DELETIONS
                else "a source failed"
            )
            level = logging.ERROR if said.code in (TOO_MANY_DELETIONS, _DEATHS) else logging.WARNING
            log.log(level, what, extra={"graph": graph, "filter": node, "error": said.error})
        async with self._lock:
            wanted = await Wanted.read(queue, graph)
            if wanted.note(node, said):
                await wanted.store(queue, graph)

    # -- a run of the fleet -----------------------------------------------------------------------------

    async def _run_for_fleet(self, queue: Queue, graph: str) -> bool:
        """Run what is due for the fleet if this node is the next to; True when nothing is wanted any more."""
        if self._dispatcher.elect(graph) is None:
            # another node may have one: not even the lock is taken
            self._hold_up(graph, _NO_INSTANCE, logging.INFO)
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
                nodes = self._topology.sources.get(graph, ()) if await self._elected(graph, FleetCursor.patience_s) else ()
                due = [node for node in nodes if wanted.is_manual or self._is_due(wanted.at, places.get(node, Place()).at)]
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
        cursors = {node: FleetCursor(queue, graph, node, self._shared().node, lock) for node in due}
        for node, cursor in cursors.items():
            await cursor.level(places.get(node, Place()))
        log.info("sources run for the fleet", extra={"graph": graph, "filters": list(due)})
        ended = await together(*(self._source(cursor, graph, node) for node, cursor in cursors.items()))
        # a time that came meanwhile is part of the run
        at = (await Wanted.read(queue, graph)).at
        await lock.done([node for node, has_ended in zip(due, ended, strict=True) if has_ended], at, self._clock() + AHEAD_S)
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

    # -- what instances say -----------------------------------------------------------------------------

    def _on_fetch(self, link: Link, kind: int, head: bytes) -> None:
        said = protocol.read_fetched(head) if kind == protocol.FETCHED else protocol.read_ended(head)
        stream = self._streams.get(said.number)
        if stream is not None and stream.link is link:
            stream.said.put_nowait(said)

    def _gone(self, link: Link, is_orderly: bool) -> None:
        for stream in self._streams.values():
            if stream.link is link:
                stream.said.put_nowait(is_orderly)

    def _left(self, link: Link, graph: str) -> None:
        for stream in self._streams.values():
            if stream.link is link and stream.graph == graph:
                stream.said.put_nowait(True)
