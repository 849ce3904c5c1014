"""Acknowledging a backlog against appending it, both through the queue's own interface."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.documents import SINGLE
from benchmarks.report import Line
from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards

COUNT = 30_000
#: Appends under way at once, as many as connections in the other benchmarks.
AT_ONCE = 64
HEADER = Header("bench", "POST", "application/json", "", None, None, None, 1, len(SINGLE))


async def _append(queue: EmbeddedQueue) -> None:
    async def client(count: int) -> None:
        for _ in range(count):
            await queue.intake.append(HEADER, SINGLE)

    await asyncio.gather(*(client(COUNT // AT_ONCE) for _ in range(AT_ONCE)))


async def _acknowledge(queue: EmbeddedQueue) -> None:
    """Lease and acknowledge everything, and wait until that is durable: the queue is closed at the end."""
    outcome = Outcome(published=1)
    while queue.stats().deliveries:
        leases = queue.leasing.take(Stream("bench", False), 512, 1 << 30)
        for lease in leases:
            queue.leasing.ack(lease, outcome)
        await asyncio.sleep(0)
    await queue.close()


async def _round(folder: Path) -> tuple[float, float]:
    queue = await EmbeddedQueue.open(Shards(folder).lock(0), node=1, limits=Limits())
    start = time.perf_counter()
    await _append(queue)
    appended = time.perf_counter()
    await _acknowledge(queue)
    return COUNT / (appended - start), COUNT / (time.perf_counter() - appended)


def acknowledge() -> Line:
    rounds = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(asyncio.run(_round(Path(folder))))
    append, ack = (statistics.median(side) for side in zip(*rounds, strict=True))
    ratio = statistics.median(b / a for a, b in rounds)
    claim = "acknowledging a backlog against appending it"
    return Line(claim, f"{ack:,.0f}/s against {append:,.0f}/s", ratio, 0.8, 1.0, more_is_better=True)
