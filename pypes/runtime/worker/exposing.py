"""Exposing: the metrics of a node as text, put together by the worker that is asked.

The supervisor renders what it knows, away from the data path. Documents, queues and dead letters are asked of the shards, whose
totals equal the receipts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pypes.core.nodetime import Clock
from pypes.errors import StoreError, Unavailable
from pypes.ingest.contracts.queue import GraphUse
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.observe import metrics as m
from pypes.observe.exposition import EOF, family
from pypes.observe.tallies import Tallies
from pypes.runtime.contracts.supervisor import WorkerCalls
from pypes.runtime.worker.config import WorkerConfig
from pypes.runtime.worker.peers import Peers
from pypes.runtime.worker.snapshot import look

if TYPE_CHECKING:
    from pypes.runtime.worker.exporting import Exporting

log = logging.getLogger(__name__)

Samples = dict[tuple[str, ...], float]


def tally_file(config: WorkerConfig) -> Tallies:
    """The tallies of an ingest worker, in a file that the supervisor finds; in memory alone where it cannot be made."""
    # a name that was not there before: another process may have had the same number
    path = Path(config.runtime_dir) / f"w-{os.getpid()}-{time.monotonic_ns():x}.tally"
    try:
        return Tallies.own(str(path))
    except OSError as error:
        log.warning("what this process counts is not shown: %s", error, extra={"path": str(path)})
        return Tallies()


def exporting_of(config: WorkerConfig, clock: Clock, tallies: Tallies, dispatcher: Dispatcher) -> Exporting | None:
    """Whoever tells a collector what happens in this process; ``None`` without a collector."""
    if config.otlp is None:
        return None
    from pypes.runtime.worker.exporting import Exporting  # PERF: it takes many megabytes, and an extra

    exporting = Exporting(config.otlp, clock, tallies)
    dispatcher.on_traced = exporting.finished
    return exporting


async def exposed(supervisor: WorkerCalls, peers: Peers, graphs: Collection[str], *, is_openmetrics: bool) -> str:
    """Ask the supervisor and the owners of all shards. ``graphs`` are those that are shown.

    Raises :class:`Unavailable` without a connection to the supervisor. While a shard cannot be asked, what shards know is left
    out: sums without one would be too small.
    """
    asking = asyncio.gather(*(_shard(peers, number) for number in peers.numbers()))
    text, shards = await asyncio.gather(supervisor.metrics(is_openmetrics), asking)
    states: Samples = dict.fromkeys((("ready",), ("failing",), ("missing",)), 0)
    for shard in shards:
        states[("missing",) if shard is None else ("failing",) if shard[0] else ("ready",)] += 1
    families = {m.SHARDS: states}
    if None not in shards:
        families |= _of_graphs([shard[1] for shard in shards if shard is not None], graphs)
    own = [family(metric, samples, is_openmetrics=is_openmetrics) for metric, samples in families.items()]
    return "".join([text, *own, EOF if is_openmetrics else ""])


async def _shard(peers: Peers, number: int) -> tuple[bool, Mapping[str, GraphUse]] | None:
    """True if its disk fails, and the uses of its graphs; ``None`` if it cannot be asked."""
    try:
        queue, uses = await look(peers, number)
        return queue.is_failed, uses
    except (Unavailable, StoreError):
        return None


def _of_graphs(shards: Collection[Mapping[str, GraphUse]], graphs: Collection[str]) -> dict[m.Metric, Samples]:
    found: dict[m.Metric, Samples] = {
        metric: {}
        for metric in (
            m.ACCEPTED,
            m.PUBLISHED,
            m.DROPPED,
            m.FAILED,
            m.QUEUE_DELIVERIES,
            m.QUEUE_DOCUMENTS,
            m.QUEUE_BYTES,
            m.QUEUE_AGE,
            m.DEAD_LETTERS,
            m.DEAD_LETTER_BYTES,
            m.LIMIT_USED,
        )
    }

    def add(metric: m.Metric, labels: tuple[str, ...], value: float) -> None:
        found[metric][labels] = found[metric].get(labels, 0) + value

    for graph in sorted(graphs):
        for shard in shards:
            use = shard.get(graph)
            if use is None:
                continue
            add(m.ACCEPTED, (graph,), use.accepted)
            add(m.PUBLISHED, (graph,), use.published)
            add(m.DROPPED, (graph,), use.dropped)
            add(m.FAILED, (graph,), use.failed)
            add(m.DEAD_LETTERS, (graph,), use.dead_letters)
            add(m.DEAD_LETTER_BYTES, (graph,), use.dead_letter_bytes)
            for limit, share in use.shares().items():
                found[m.LIMIT_USED][graph, limit] = max(found[m.LIMIT_USED].get((graph, limit), 0.0), round(share, 6))
            for lane in ("live", "bulk"):
                found[m.QUEUE_AGE].setdefault((graph, lane), 0.0)
                waiting = use.lanes.get(lane)
                add(m.QUEUE_DELIVERIES, (graph, lane), waiting.deliveries if waiting else 0)
                add(m.QUEUE_DOCUMENTS, (graph, lane), waiting.documents if waiting else 0)
                add(m.QUEUE_BYTES, (graph, lane), waiting.bytes if waiting else 0)
                if waiting:
                    found[m.QUEUE_AGE][graph, lane] = max(found[m.QUEUE_AGE][graph, lane], waiting.oldest_s)
    return found
