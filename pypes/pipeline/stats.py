"""Stats: items, seconds and failures of the nodes of a pipeline so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pypes.observe import FilterTotal
from pypes.pipeline.chain import Step


@dataclass(frozen=True, slots=True)
class NodeStats:
    """Counts of one node since the pipeline was made.

    ``items`` came to it, ``failures`` of them failed there. ``seconds`` is the wall-clock time in its code, the sum over all
    workers of a pool; those of items that failed in a pool are not told. ``waiting_s`` is the time that items in a pool spent
    without being worked on, a sum over them: divided by ``items``, the mean. It is high where a node holds up the others. Of a
    component, it is the time of its calls beside the graph (``offload``).
    """

    items: int = 0
    failures: int = 0
    seconds: float = 0.0
    waiting_s: float = 0.0


def stats_of(names: Iterable[str], steps: Mapping[str, Step], totals: Mapping[str, FilterTotal]) -> dict[str, NodeStats]:
    """The stats of nodes, by name: of functions as their steps count, of components as the scheduler does."""
    found = {}
    for name in names:
        if name in steps:
            step = steps[name]
            found[name] = NodeStats(step.items, step.failures, step.seconds, step.waiting_s)
        elif name in totals:
            total = totals[name]
            found[name] = NodeStats(total.taken, total.failed, total.work_s, total.waiting_s)
        else:
            found[name] = NodeStats()
    return found
