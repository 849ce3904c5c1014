"""Queues under test: an embedded one on a folder of its own, what goes into one, and leasing until it is there."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pypes.core.graph_limits import NO_LIMITS, GraphLimits
from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, dead_letter_id
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards

MANY = 1 << 30


def run(main: Coroutine[Any, Any, None], within_s: float = 60) -> None:
    """Run ``main``, which fails with TimeoutError when it takes longer than ``within_s`` seconds."""

    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await main

    asyncio.run(bounded())


async def open_queue(data: Path, **options: Any) -> EmbeddedQueue:
    return await EmbeddedQueue.open(Shards(data).lock(0), node=1, limits=options.pop("limits", Limits()), **options)


def lease_any(queue: Queue, n: int, max_bytes: int = MANY) -> list[Lease]:
    """Lease up to ``n`` deliveries of whatever stream has some, live ones before bulk."""
    leases: list[Lease] = []
    for stream in sorted(queue.leasing.streams(), key=lambda stream: stream.is_bulk):
        if len(leases) < n:
            leases += queue.leasing.take(stream, n - len(leases), max_bytes)
    return leases


async def some(queue: Queue, n: int, max_bytes: int = MANY) -> list[Lease]:
    """As :func:`lease_any`, waiting until there is at least one."""
    ready = asyncio.Event()
    queue.leasing.on_ready = ready.set
    while not (leases := lease_any(queue, n, max_bytes)):
        await ready.wait()
        ready.clear()
    return leases


async def take(queue: Queue, n: int = 1, stream: Stream | None = None) -> list[Lease]:
    """Lease exactly ``n`` deliveries, of one stream or of any, waiting for them."""
    ready = asyncio.Event()
    queue.leasing.on_ready = ready.set
    leases: list[Lease] = []
    while len(leases) < n:
        ready.clear()
        wanted = n - len(leases)
        found = lease_any(queue, wanted) if stream is None else queue.leasing.take(stream, wanted, MANY)
        leases += found
        if not found:
            await ready.wait()
    return leases


def header(documents: int = 1, body: bytes | Spooled = b"") -> Header:
    return Header("g", documents=documents, length=len(body))


def letter(receipt: str, document: int = 0, ordinal: int = 0) -> DeadLetter:
    id = dead_letter_id(receipt, document, "f", ordinal)
    return DeadLetter(id, (document,), "g", 1, "f", "F", "component.failed", "boom", "", 1, b'{"fields": {}}', 1.0)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for tells no one; the deadline is that of run()
        await asyncio.sleep(0.001)


def sharing(*graphs: str, **limited: GraphLimits) -> dict[str, GraphLimits]:
    """Graphs that are deployed, and those with limits of their own."""
    return dict.fromkeys(graphs, NO_LIMITS) | limited
