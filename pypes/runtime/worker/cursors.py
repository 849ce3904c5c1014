"""Cursors: how far a source has come, by itself or as one of a fleet, and how what it fetched is stored with that.

By itself: what was fetched and the cursor behind it are one transaction of the shard. In a fleet the shared file has to say the
same, and a node may die between any two steps. So what was fetched is written down first, in the shard but not in the queue
(*pending*); then the shared file says that this node has taken it, which decides; then it is enqueued, in the one transaction
that moves the cursor and forgets what was pending. Who finds something pending after a crash asks the file: if that says
*taken*, it is enqueued, otherwise another node fetches it, or has.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from pypes.errors import Unavailable
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import Fetched
from pypes.runtime.worker.fleet import HandedOver, Lock, Place

log = logging.getLogger(__name__)

#: Longest wait before the queue is tried again that was full.
FULL_RETRY_S = 5.0
#: Time for a source that is stopped to bring what it has fetched from the shared file to the queue.
FINISH_S = 3.0

#: Stands behind the filter's name, in which it cannot be, in the record of a source that a fleet shares.
_SUFFIX = ":fleet"


class Pending(msgspec.Struct):
    """Documents that were fetched under an id and are not in the queue yet; without ``header`` it is a cursor alone."""

    id: str
    cursor: str
    header: Header | None
    body: msgspec.Raw


class Level(msgspec.Struct, omit_defaults=True):
    """The record of a source in a shard beside its cursor: the id under which the fleet had fetched when the two were level."""

    id: str = ""
    pending: Pending | None = None


class OwnCursor:
    """Of a source that every node runs for itself: the shard says how far it has come."""

    #: Longest wait for an instance, or for room in the queue, before the run is left to another node; ``None``: for ever.
    patience_s: float | None = None

    def __init__(self, queue: Queue, graph: str, source: str) -> None:
        self.queue = queue
        self._graph = graph
        self._source = source

    async def read(self) -> str:
        """The cursor to begin at; empty for the first time."""
        # filters of the original style, which the empty name stands for, have none
        return (await self.queue.cursors.of_filter(self._source, self._graph)).get(self._graph, "") if self._source else ""

    async def store(self, header: Header, said: Fetched) -> None:
        """Store what was fetched and the cursor behind it; waits while the queue is full. Raises :class:`StoreError`."""
        cursor = (self._graph, self._source, said.cursor)
        if said.documents:
            await _append(self.queue, header, said.body, cursor)
        else:
            await self.queue.cursors.move(cursor)


class FleetCursor(OwnCursor):
    """Of a source that the fleet runs, while this node holds the lock of its graph. ``node`` is this node's number."""

    patience_s = 10.0

    def __init__(self, queue: Queue, graph: str, source: str, node: int, lock: Lock) -> None:
        super().__init__(queue, graph, source)
        self._node = node
        self._lock = lock
        self._id = ""

    async def level(self, place: Place) -> None:
        """Bring the shard's cursor to where the fleet is. Nothing may be pending.

        The shard's own counts where the fleet has fetched nothing since the two were level: then it is where the fleet is, or
        further, if each node ran the graph for itself meanwhile. What this node itself has taken, but its shard does not know of,
        was lost with a disk, and is fetched again.
        """
        self._id = place.id
        if not self._source or not place.id:
            return
        own = await _level(self.queue, self._graph, self._source)
        if own.id == place.id:
            return
        if place.node == self._node:
            log.warning(
                (
                    "this node has fetched more for the fleet than its shard has recorded; fetching resumes from the "
                    "record of the shard"
                ),
                extra={"graph": self._graph, "filter": self._source},
            )
            return
        await self.queue.cursors.move(
            (self._graph, self._source, place.cursor), (self._graph, self._source + _SUFFIX, _encode(Level(place.id)))
        )

    async def store(self, header: Header, said: Fetched) -> None:
        """As :meth:`OwnCursor.store`; raises :class:`HandedOver` if the queue stays full, or the lock was lost."""
        if said.documents:
            await self._room(len(said.body))
        pending = Pending(uuid.uuid4().hex, said.cursor, header if said.documents else None, msgspec.Raw(said.body))
        key = (self._graph, self._source + _SUFFIX)
        await self.queue.cursors.move((*key, _encode(Level(self._id, pending))))
        taking = asyncio.ensure_future(self._take(pending))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            # a node that is stopped for good should have in its queue what it has taken
            with suppress(TimeoutError):
                async with asyncio.timeout(FINISH_S):
                    await asyncio.gather(taking, return_exceptions=True)
            raise

    async def _room(self, size: int) -> None:
        """Wait for room while what was fetched is nobody's yet."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                self.queue.intake.check_room(size, self._graph)
                return
            except Unavailable as error:
                if time.monotonic() > deadline:
                    raise HandedOver("the queue of this node is full") from error
                await _wait(error)

    async def _take(self, pending: Pending) -> None:
        await self._lock.take(self._source, self._id, pending.id, pending.cursor)
        self._id = pending.id
        await _apply(self.queue, self._graph, self._source, pending)


async def doubtful(queue: Queue, graph: str) -> dict[str, Level]:
    """Sources of a graph of which something is pending, whether the graph still has them or not."""
    found = {
        name.removesuffix(_SUFFIX): msgspec.json.decode(text, type=Level)
        for name, text in (await queue.cursors.of_graph(graph)).items()
        if name.endswith(_SUFFIX)
    }
    return {source: level for source, level in found.items() if level.pending is not None}


async def resolve(queue: Queue, graph: str, node: int, found: Mapping[str, Level], places: Mapping[str, Place]) -> None:
    """Enqueue what is pending and was taken by this node, forget what was not. Raises :class:`StoreError`."""
    for source, level in found.items():
        assert level.pending is not None
        if places.get(source, Place()).taken.get(str(node)) == level.pending.id:
            log.info("documents fetched before a crash are enqueued", extra={"graph": graph, "filter": source})
            await _apply(queue, graph, source, level.pending)
        else:
            await queue.cursors.move((graph, source + _SUFFIX, _encode(Level(level.id))))


async def _level(queue: Queue, graph: str, source: str) -> Level:
    text = (await queue.cursors.of_filter(source + _SUFFIX, graph)).get(graph)
    return Level() if text is None else msgspec.json.decode(text, type=Level)


async def _apply(queue: Queue, graph: str, source: str, pending: Pending) -> None:
    """Enqueue what was taken: nobody else will. If this raises :class:`StoreError`, it is to be resolved before anything else."""
    cursors = (graph, source, pending.cursor), (graph, source + _SUFFIX, _encode(Level(pending.id)))
    if pending.header is None:
        await queue.cursors.move(*cursors)
    else:
        await _append(queue, pending.header, bytes(pending.body), *cursors)


async def _append(queue: Queue, header: Header, body: bytes, *cursors: tuple[str, str, str]) -> None:
    while True:
        try:
            await queue.cursors.append(header, body, *cursors)
            return
        except Unavailable as error:
            await _wait(error)


async def _wait(error: Unavailable) -> None:
    await asyncio.sleep(min(error.retry_after_s, FULL_RETRY_S))


def _encode(level: Level) -> str:
    return msgspec.json.encode(level).decode()
