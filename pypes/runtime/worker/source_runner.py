"""The runner of one source: an elected instance fetches, and each pair of documents and cursor is stored before the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from pypes.core.limits import Limits
from pypes.errors import PypesError, StoreError
from pypes.ingest import protocol
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.link import Link
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.protocol import Ended, Fetched
from pypes.observe.metrics import SOURCE_RUNS
from pypes.observe.tallies import Tallies
from pypes.runtime.worker.cursors import OwnCursor
from pypes.runtime.worker.enqueuing import header_of
from pypes.runtime.worker.fleet import HandedOver
from pypes.runtime.worker.wanted import TOO_MANY_DELETIONS, Wanted

log = logging.getLogger(__name__)

#: Seconds between two looks for an instance while there is none.
ELECT_POLL_S = 0.05
#: Wait before what the store did not take is fetched again.
STORE_RETRY_S = 1.0
#: Instances that may die one after the other under a source, with nothing stored in between, before its run is given up.
MAX_DEATHS = 5
NO_INSTANCE = "no instance of this node runs the graph"

#: The code of a source that is given up because of its deaths.
_DEATHS = "source.deaths"


class _Replaced(Exception):
    """An instance let go of a graph in the middle of a run: others take over, perhaps with a new version of the graph."""


class _Stream:
    """The messages of an instance about one run; the last says whether it ended in order, or died."""

    def __init__(self, link: Link, graph: str) -> None:
        self.link = link
        self.graph = graph
        self.said: asyncio.Queue[Fetched | Ended | bool] = asyncio.Queue()


class SourceRunner:
    """Runs sources in instances that it elects. ``lock`` is held while the record of a graph's runs is read and changed."""

    def __init__(self, dispatcher: Dispatcher, limits: Limits, lock: asyncio.Lock, tallies: Tallies) -> None:
        self._tallies = tallies
        self._dispatcher = dispatcher
        self._limits = limits
        self._lock = lock
        self._streams: dict[int, _Stream] = {}
        self._last_number = 0
        dispatcher.on_fetch = self._on_fetch
        dispatcher.on_gone = self._gone
        dispatcher.on_left = self._left

    @property
    def topology(self) -> Topology:
        assert self._dispatcher.topology is not None
        return self._dispatcher.topology

    async def deployed(self, graph: str) -> Sequence[str]:
        """The sources of a graph as soon as it runs and takes documents; none if it is deployed no more."""
        while True:
            topology = self._dispatcher.topology
            if topology is not None and graph not in topology.closing and (topology.instances or graph not in topology.graphs):
                if graph in topology.graphs:
                    return topology.sources.get(graph, ())
                if graph not in topology.failed:
                    return ()
            await asyncio.sleep(ELECT_POLL_S)

    async def elected(self, graph: str, timeout_s: float | None = None) -> Link | None:
        """An instance for a graph as soon as there is one; ``None`` if it is deployed no more. Raises :class:`HandedOver`."""
        try:
            async with asyncio.timeout(timeout_s):
                while await self.deployed(graph):
                    link = self._dispatcher.elect(graph)
                    if link is not None:
                        return link
                    await asyncio.sleep(ELECT_POLL_S)
        except TimeoutError:
            raise HandedOver(NO_INSTANCE) from None
        return None

    async def run(self, cursor: OwnCursor, graph: str, source: str) -> bool:
        """Run one source to its end; False if its graph is deployed no more."""
        deaths, before = 0, ""
        while deaths < MAX_DEATHS:
            link = await self.elected(graph, cursor.patience_s)
            if link is None:
                return False
            try:
                start = await cursor.read()
                if start != before:
                    deaths, before = 0, start
                if await self._follow(link, cursor, graph, source, start):
                    return graph in self.topology.graphs
                deaths += 1
            except _Replaced:
                continue
            except StoreError as error:
                if cursor.patience_s is not None:
                    raise  # the disk of another node may be better
                log.warning("fetched documents are not stored yet", extra={"graph": graph, "filter": source, "error": str(error)})
                await asyncio.sleep(STORE_RETRY_S)
        await self._note(
            cursor.queue, graph, source, Ended(0, "the instances that ran the source died; trigger the source again", _DEATHS)
        )
        return True

    async def _follow(self, link: Link, cursor: OwnCursor, graph: str, source: str, start: str) -> bool:
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
            link.write(protocol.trigger(number, graph, source, start, is_confirmed=is_confirmed))
            while not isinstance(said := await stream.said.get(), bool):
                if isinstance(said, Ended):
                    is_over = True
                    await self._note(cursor.queue, graph, source, said)
                    return True
                try:
                    header = header_of(graph, source, said, self._limits, is_ordered=graph in self.topology.ordered)
                except PypesError as error:
                    said = Ended(number, f"the fetched documents cannot be accepted: {error}", error.code)
                    await self._note(cursor.queue, graph, source, said)
                    return True
                if not await self.deployed(graph):
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

    async def _note(self, queue: Queue, graph: str, source: str, said: Ended) -> None:
        """Log and count the end of a run of a source, and record it where an operator has to act."""
        result = "done" if not said.error else "stopped" if said.code == TOO_MANY_DELETIONS else "failed"
        self._tallies.counter(SOURCE_RUNS, graph, source, result).add()
        if said.error:
            what = (
                "a source stopped; it resumes once its deletions are confirmed"
                if said.code == TOO_MANY_DELETIONS
                else "a source failed"
            )
            level = logging.ERROR if said.code in (TOO_MANY_DELETIONS, _DEATHS) else logging.WARNING
            log.log(level, what, extra={"graph": graph, "filter": source, "error": said.error})
        async with self._lock:
            wanted = await Wanted.read(queue, graph)
            if wanted.note(source, said):
                await wanted.store(queue, graph)

    # -- messages of instances --------------------------------------------------------------------------

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
