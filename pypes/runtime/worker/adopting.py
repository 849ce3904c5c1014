"""Shards of other nodes that come to this one, and what they are asked once they are here."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

from pypes.errors import Conflict, Unavailable
from pypes.ingest.contracts.intake import Key
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.store.arrivals import Arrivals, SentShard
from pypes.ingest.store.shards import Shards
from pypes.runtime.contracts.handing import Adopted
from pypes.runtime.contracts.shard import ShardCalls
from pypes.runtime.worker.peers import Peers

#: Room that stays free on the disk, in bytes, for what this node itself accepts meanwhile.
SPARE_BYTES = 256 << 20


class Adopting:
    """Implements :class:`HandingCalls` for a node. ``first`` is the first slot that no worker takes, ``now()`` its time.

    ``topology()`` is what the worker knows of the node.
    """

    def __init__(
        self, shards: Shards, peers: Peers, first: int, now: Callable[[], float], topology: Callable[[], Topology]
    ) -> None:
        self._shards = shards
        self._peers = peers
        self._first = first
        self._now = now
        self._topology = topology

    def adopted(self, new_s: float) -> tuple[Adopted, ...]:
        """The nodes whose shards are here; a node is new for ``new_s`` seconds."""
        after = self._now() - new_s
        came = {(origin.node, origin.name): origin.at for origin in self._peers.adopted().values()}
        return tuple(Adopted(node, name, at > after) for (node, name), at in sorted(came.items()))

    # -- coming -----------------------------------------------------------------------------------------

    async def offer(self, node: int, id: str, graphs: list[str], size: int, shards: list[tuple[int, int]]) -> None:
        topology = self._topology()
        if unknown := sorted(set(graphs) - topology.graphs.keys()):
            raise Conflict(
                f"the node does not run graphs that have documents in the queue: {', '.join(unknown)}; deploy them there first",
                code="drain.graphs",
            )
        free, needed = shutil.disk_usage(self._shards.path).free, size + SPARE_BYTES
        if free < needed:
            raise Conflict(
                f"the disk of the node has {free >> 20} MiB free, and {needed >> 20} MiB are needed; make room there",
                code="drain.no_room",
            )
        await asyncio.to_thread(self._arrivals(node, id).begin, shards)

    async def receive(self, node: int, id: str, slot: int, file: str, offset: int, data: bytes) -> None:
        await asyncio.to_thread(self._arrivals(node, id).write, slot, file, offset, data)

    async def verify(self, node: int, id: str, shards: list[SentShard]) -> None:
        await asyncio.to_thread(self._arrivals(node, id).verify, shards, self._now())

    async def adopt(self, node: int, id: str, shards: list[tuple[int, int]]) -> None:
        slots = await asyncio.to_thread(self._arrivals(node, id).adopt, shards)
        # whoever is asked first opens a slot: it is asked now, as what waits there should not wait for a client
        await asyncio.gather(*(self._peers.shard(slot).stats() for slot in slots))

    async def withdraw(self, node: int, id: str) -> None:
        await asyncio.to_thread(self._arrivals(node, id).withdraw)

    def _arrivals(self, node: int, id: str) -> Arrivals:
        return Arrivals(self._shards, node, id, self._first)

    # -- here -------------------------------------------------------------------------------------------

    async def known(self, key: Key, former: int) -> str | None:
        found = await asyncio.gather(*(shard.known(key) for shard in self._shards_of(former)))
        return next((receipt for receipt in found if receipt is not None), None)

    async def unfinished(self, graph: str, former: int) -> int:
        return sum(await asyncio.gather(*(shard.remaining(graph) for shard in self._shards_of(former))))

    def _shards_of(self, node: int) -> list[ShardCalls]:
        """The shards of a node that are here."""
        slots = [slot for slot, origin in self._peers.adopted().items() if origin.node == node]
        if not slots:
            raise Unavailable("the shards of that node are not here yet; try again", code="fleet.changing")
        return [self._peers.shard(slot) for slot in slots]
