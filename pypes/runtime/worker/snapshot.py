"""Snapshot: the whole node at one moment, as the worker that is asked puts it together."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec

from pypes import __version__
from pypes.errors import StoreError, Unavailable
from pypes.ingest.contracts.queue import GraphUse, QueueStats
from pypes.runtime.contracts.supervisor import NodeStatus, WorkerCalls
from pypes.runtime.worker.outboxes import Outboxes, OutboxUse
from pypes.runtime.worker.peers import PEER_WAIT_S, Peers


class ShardStatus(msgspec.Struct, frozen=True):
    """One shard. ``queue`` is ``None`` while its owner cannot be asked; ``reason`` says why. ``graphs``: the usage of each."""

    shard: int
    queue: QueueStats | None
    graphs: dict[str, GraphUse]
    reason: str = ""


class GenerationStatus(msgspec.Struct, frozen=True):
    """The instances of one generation: how many there are, and how many of them take deliveries."""

    generation: int
    instances: int
    ready: int


class Snapshot(NodeStatus, frozen=True, kw_only=True):
    """A node: what the supervisor knows of it, its shards and its outboxes. ``node`` is the number that its receipts carry."""

    node: int
    version: str
    shards: list[ShardStatus]
    generations: list[GenerationStatus]
    outboxes: list[OutboxUse]


async def snapshot(node: int, supervisor: WorkerCalls, peers: Peers, outboxes: Outboxes) -> Snapshot:
    """Ask the supervisor and the owners of all shards. Raises :class:`Unavailable` without a connection to the supervisor."""
    asking = asyncio.gather(*(_shard(peers, number) for number in peers.numbers()))
    status, shards, uses = await asyncio.gather(supervisor.status(), asking, outboxes.uses())
    return Snapshot(
        **msgspec.structs.asdict(status),
        node=node,
        version=__version__,
        shards=shards,
        generations=_generations(status),
        outboxes=uses,
    )


async def look(peers: Peers, number: int) -> tuple[QueueStats, dict[str, GraphUse]]:
    """The queue of a shard and what each graph uses of it. Raises :class:`Unavailable` and :class:`StoreError`.

    A worker that is stopped keeps its connections, and answers nothing: whoever looks does not wait for it any longer than for
    one that is being started.
    """
    shard = peers.shard(number)
    try:
        async with asyncio.timeout(PEER_WAIT_S):
            return await asyncio.gather(shard.stats(), shard.uses())
    except TimeoutError:
        raise Unavailable("its ingest worker does not answer: it is stopped, or has too much to do") from None


async def _shard(peers: Peers, number: int) -> ShardStatus:
    try:
        queue, graphs = await look(peers, number)
        return ShardStatus(number, queue, graphs)
    except (Unavailable, StoreError) as error:
        return ShardStatus(number, None, {}, error.message)


def _generations(status: NodeStatus) -> list[GenerationStatus]:
    instances = Counter(instance.generation for instance in status.instances)
    ready = Counter(instance.generation for instance in status.instances if instance.state == "ready")
    return [GenerationStatus(generation, count, ready[generation]) for generation, count in sorted(instances.items())]
