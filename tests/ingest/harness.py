"""An embedded queue on a folder of its own: opened, and emptied by whoever asks for what is ready."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pypes.core.limits import Limits
from pypes.ingest.queue import Lease
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
    return await EmbeddedQueue.open(Shards(data).claim(0), node=1, limits=options.pop("limits", Limits()), **options)


async def drain(queue: EmbeddedQueue, n: int) -> list[Lease]:
    """Lease until ``n`` deliveries are there."""
    ready = asyncio.Event()
    queue.on_ready = ready.set
    leases: list[Lease] = []
    while len(leases) < n:
        ready.clear()
        found = queue.lease(n - len(leases), MANY)
        leases += found
        if not found:
            await ready.wait()
    return leases


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for tells no one; the deadline is that of run()
        await asyncio.sleep(0.001)
