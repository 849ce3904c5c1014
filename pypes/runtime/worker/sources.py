"""Sources: the worker that owns a graph has them run in one elected instance, and stores what they fetch with their cursors.

A pair of packets and cursor is one transaction of the shard, and the source goes on when it is through. So whatever dies
in between, the stored cursor is behind exactly what was enqueued, and the next run begins there. That a run is wanted is
stored, too, before anybody is told: it is taken up again by whoever opens the shard next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from pypes.core.limits import Limits
from pypes.errors import Conflict, Draining, NotFound, PypesError, StoreError, Unavailable
from pypes.ingest import protocol
from pypes.ingest.codecs import Survey
from pypes.ingest.codecs.packets import documents
from pypes.ingest.delivery import PACKETS, Header
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.link import Link
from pypes.ingest.protocol import Ended, Fetched
from pypes.ingest.queues.embedded import EmbeddedQueue

log = logging.getLogger(__name__)

#: How often it is looked for an instance while there is none.
ELECT_POLL_S = 0.05
#: Wait before what the store did not take is fetched again.
STORE_RETRY_S = 1.0
#: Longest wait before the queue is tried again that was full.
FULL_RETRY_S = 5.0
#: Instances that may die one after the other under a source, with nothing stored in between, before its run is given up.
MAX_DEATHS = 5


class Wanted(msgspec.Struct):
    """What is stored of a graph's runs: the scheduled time of the last one (0: none yet), and whether one is due or under way."""

    at: float = 0.0
    is_due: bool = False


class _Replaced(Exception):
    """An instance said goodbye in the middle of a run: others take over, perhaps with a new version of the graph."""


class _Stream:
    """What an instance says of one run; at last whether it ended in order, or died."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.said: asyncio.Queue[Fetched | Ended | bool] = asyncio.Queue()


class Sources:
    """Runs the sources of the graphs whose owner is one of this worker's shards. Used within one event loop."""

    def __init__(self, dispatcher: Dispatcher, limits: Limits) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._streams: dict[int, _Stream] = {}
        self._last_number = 0
        self._runs: dict[str, asyncio.Task[None]] = {}
        #: Held while what is stored of a graph's runs is read and changed.
        self._lock = asyncio.Lock()
        self._is_stopped = False
        dispatcher.on_fetch = self._heard
        dispatcher.on_gone = self._gone

    def check(self, graph: str) -> list[str]:
        """The sources of a graph; raises :class:`NotFound`, or :class:`Conflict` if they cannot run now."""
        topology = self._dispatcher.topology
        if topology is None or not (graph in topology.graphs or graph in topology.failed):
            raise NotFound(f"there is no graph {graph!r}; GET /graphs lists them", code="graph.not_found", where=graph)
        if graph in topology.failed:
            raise Conflict("the graph could not be set up; GET /graphs/{name} says why", code="graph.failed", where=graph)
        if graph in topology.closing:
            raise Conflict("the graph is being taken down", code="graph.closing", where=graph)
        if graph in topology.paused:
            raise Conflict("the graph is paused; resume it first", code="graph.paused", where=graph)
        if not topology.sources.get(graph):
            raise Conflict("no filter of the graph fetches, so there is nothing to run", code="graph.no_source", where=graph)
        return [node for node in topology.sources[graph] if node]

    async def trigger(self, queue: EmbeddedQueue, graph: str, at: float | None = None) -> list[str]:
        """Run the sources of a graph once; returns their names when it is stored that they are to run.

        ``at`` is the scheduled time, in seconds since the epoch: a second request for the same or an earlier one does nothing,
        and while a run is under way it counts as part of that. Without ``at``, that is :class:`Conflict` (``graph.triggered``).
        """
        nodes = self.check(graph)
        async with self._lock:
            if self._is_stopped:
                raise Draining("the server is stopping; trigger again later")
            if at is None and graph in self._runs:
                raise Conflict("the sources of the graph are running; wait until they have", code="graph.triggered", where=graph)
            wanted = await _wanted(queue, graph)
            if at is not None:
                if wanted.at >= at:
                    return nodes
                wanted.at = at
            wanted.is_due = True
            await _want(queue, graph, wanted)
            self._start(queue, graph)
        return nodes

    async def resume(self, queue: EmbeddedQueue) -> None:
        """Take up the runs that the last one to serve a shard did not finish."""
        try:
            found = await queue.cursors("")
        except StoreError as error:
            log.error("runs of sources are not taken up again; trigger them", extra={"error": str(error)})
            return
        for graph, text in found.items():
            if msgspec.json.decode(text, type=Wanted).is_due:
                self._start(queue, graph)

    async def stop(self) -> None:
        """Begin nothing more and let go of what runs: it is taken up again when the shard is opened next."""
        self._is_stopped = True
        runs = list(self._runs.values())
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    # -- one run ----------------------------------------------------------------------------------------

    def _start(self, queue: EmbeddedQueue, graph: str) -> None:
        if graph not in self._runs and not self._is_stopped:
            task = self._runs[graph] = asyncio.ensure_future(self._run(queue, graph))
            task.add_done_callback(lambda done: self._over(graph, done))

    def _over(self, graph: str, task: asyncio.Task[None]) -> None:
        if self._runs.get(graph) is task:
            del self._runs[graph]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a run of sources failed", extra={"graph": graph}, exc_info=error)

    async def _run(self, queue: EmbeddedQueue, graph: str) -> None:
        nodes = await self._sources(graph)
        await asyncio.gather(*(self._source(queue, graph, node) for node in nodes))
        async with self._lock:
            wanted = await _wanted(queue, graph)
            wanted.is_due = False
            await _want(queue, graph, wanted)
            # while the lock is held: what is wanted from now on is another run
            del self._runs[graph]

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

    async def _source(self, queue: EmbeddedQueue, graph: str, node: str) -> None:
        deaths, before = 0, ""
        while deaths < MAX_DEATHS:
            if not await self._sources(graph):
                return
            link = self._dispatcher.elect(graph)
            if link is None:
                await asyncio.sleep(ELECT_POLL_S)
                continue
            try:
                cursor = (await queue.cursors(node, graph)).get(graph, "") if node else ""
                if cursor != before:
                    deaths, before = 0, cursor
                if await self._follow(link, queue, graph, node, cursor):
                    return
                deaths += 1
            except _Replaced:
                continue
            except StoreError as error:
                log.warning("what was fetched is not stored yet", extra={"graph": graph, "filter": node, "error": str(error)})
                await asyncio.sleep(STORE_RETRY_S)
        log.error("a source is given up: the instances died that ran it", extra={"graph": graph, "filter": node})

    async def _follow(self, link: Link, queue: EmbeddedQueue, graph: str, node: str, cursor: str) -> bool:
        """Have one instance run one source from its cursor on; True if it got to its end, or failed; False if it died.

        Raises :class:`_Replaced` if it ended in order before that.
        """
        self._last_number = number = self._last_number + 1
        stream = self._streams[number] = _Stream(link)
        is_over = False
        try:
            if not link.is_open:
                return False
            link.write(protocol.trigger(number, graph, node, cursor))
            while not isinstance(said := await stream.said.get(), bool):
                if isinstance(said, Ended):
                    is_over = True
                    if said.error:
                        log.warning("a source failed", extra={"graph": graph, "filter": node, "error": said.error})
                    return True
                try:
                    header = self._header(graph, node, said)
                except PypesError as error:
                    log.error("what was fetched cannot be taken", extra={"graph": graph, "filter": node, "error": str(error)})
                    return True
                if not await self._sources(graph):
                    return True  # it was taken down: what was fetched is fetched again when it is deployed the next time
                await _store(queue, header, said, (graph, node, said.cursor))
                link.write(protocol.more(number))
            if said:
                raise _Replaced
            return False
        finally:
            del self._streams[number]
            if not is_over and link.is_open:
                link.write(protocol.enough(number))

    def _header(self, graph: str, node: str, said: Fetched) -> Header:
        """The header of the delivery; raises :class:`PypesError` if packets of an ordered graph have no id."""
        header = Header(graph, content_type=PACKETS, documents=said.documents, length=len(said.body), start=node)
        topology = self._dispatcher.topology
        if topology is None or graph not in topology.ordered:
            return header
        survey = Survey(header, True)
        for number, packet in enumerate(documents(said.body, self._limits), 1):
            survey.packet(packet, f"packet {number}")
        return msgspec.structs.replace(header, keys=survey.keys)

    # -- what instances say -----------------------------------------------------------------------------

    def _heard(self, link: Link, kind: int, head: bytes) -> None:
        said = protocol.read_fetched(head) if kind == protocol.FETCHED else protocol.read_ended(head)
        stream = self._streams.get(said.number)
        if stream is not None and stream.link is link:
            stream.said.put_nowait(said)

    def _gone(self, link: Link, is_orderly: bool) -> None:
        for stream in self._streams.values():
            if stream.link is link:
                stream.said.put_nowait(is_orderly)


async def _store(queue: EmbeddedQueue, header: Header, said: Fetched, cursor: tuple[str, str, str]) -> None:
    """Store what was fetched and the cursor behind it; waits while the queue is full."""
    if not said.documents:
        await queue.move(cursor)
        return
    while True:
        try:
            await queue.append_fetched(header, said.body, cursor)
            return
        except Unavailable as error:
            await asyncio.sleep(min(error.retry_after_s, FULL_RETRY_S))


async def _wanted(queue: EmbeddedQueue, graph: str) -> Wanted:
    text = (await queue.cursors("", graph)).get(graph)
    return Wanted() if text is None else msgspec.json.decode(text, type=Wanted)


async def _want(queue: EmbeddedQueue, graph: str, wanted: Wanted) -> None:
    await queue.move((graph, "", msgspec.json.encode(wanted).decode()))
