"""Lately: what a node did in the last minute, which one look at it cannot tell."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from pypes.observe import metrics as m
from pypes.observe.gathering import Gathering
from pypes.observe.tallies import Series
from pypes.runtime.contracts.supervisor import FilterWork, Lately, NodeStatus, OverBudget, PoolStatus, ProcessStatus, Refused
from pypes.runtime.supervisor.picture import FILTER
from pypes.runtime.supervisor.tallying import WORKERS

#: Seconds between two looks, and for which they are kept.
EVERY_S: Final = 10.0
WINDOW_S: Final = 60.0


class _Look(NamedTuple):
    at_s: float
    counts: Mapping[Series, float]
    memory: Mapping[int, int]
    #: By pool, the share of pool workers that are busy.
    busy: Mapping[str, float]


class LatelySeen:
    """Looks at what the processes of a node count, and at their memory. ``clock()`` gives seconds that only rise.

    ``processes()`` and ``pools()`` are those that live, and ``runtime_dir`` has the tally files of ingest workers.
    """

    def __init__(
        self,
        gathering: Gathering,
        runtime_dir: Path,
        processes: Callable[[], Iterable[ProcessStatus]],
        pools: Callable[[], Iterable[PoolStatus]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gathering = gathering
        self._runtime_dir = runtime_dir
        self._processes = processes
        self._pools = pools
        self._clock = clock
        self._looks: deque[_Look] = deque()

    async def run(self) -> None:
        """Look every now and then, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY_S)

    def look(self) -> None:
        """Look once, and forget what is too old."""
        now_s = self._clock()
        memory = {each.pid: each.memory_bytes for each in self._processes()}
        self._looks.append(_Look(now_s, self._counts(), memory, {each.name: _busy(each) for each in self._pools()}))
        while self._looks[0].at_s < now_s - WINDOW_S - EVERY_S / 2:
            self._looks.popleft()

    def add_to(self, node: NodeStatus) -> NodeStatus:
        """The picture of a node with what was seen of late; ``work`` of graphs that it shows."""
        if not self._looks:
            return node
        first = self._looks[0]
        work: dict[str, dict[str, dict[str, float]]] = {graph: {} for graph in node.work}
        refused: list[Refused] = []
        over: list[OverBudget] = []
        for series, count in self._counts().items():
            change = count - first.counts.get(series, 0.0)
            if series.metric == m.POSTS_REFUSED.name:
                if change:
                    status, code, route = series.labels
                    refused.append(Refused(status, code, route, int(change)))
            elif series.metric == m.OVER_BUDGET.name:
                if change:
                    token, budget = series.labels
                    over.append(OverBudget(token, budget, int(change)))
            elif series.labels[0] in work:
                work[series.labels[0]].setdefault(series.labels[1], {})[FILTER[series.metric]] = change
        lately = Lately(
            round(self._clock() - first.at_s, 3),
            {
                graph: {name: msgspec.convert(counts, FilterWork, strict=False) for name, counts in sorted(filters.items())}
                for graph, filters in work.items()
            },
            sorted(refused, key=lambda each: (-each.count, each.status, each.code, each.route)),
            sorted(over, key=lambda each: (-each.count, each.token, each.budget)),
        )
        processes = [self._with_memory(each) for each in node.processes]
        return msgspec.structs.replace(node, lately=lately, processes=processes, pools=[self._with_busy(p) for p in node.pools])

    def _with_memory(self, process: ProcessStatus) -> ProcessStatus:
        before = [look.memory[process.pid] for look in self._looks if process.pid in look.memory]
        return msgspec.structs.replace(process, memory_before=before)

    def _with_busy(self, pool: PoolStatus) -> PoolStatus:
        shares = [look.busy[pool.name] for look in self._looks if pool.name in look.busy]
        return msgspec.structs.replace(pool, busy_lately=round(sum(shares) / len(shares), 3) if shares else 0.0)

    def _counts(self) -> dict[Series, float]:
        """The counts of filters, of POSTs that were refused, and of requests over a budget."""
        self._gathering.look_for(self._runtime_dir, WORKERS)
        sums = self._gathering.read()
        return {series: sums[place] for series, place in self._gathering.places.items() if _is_wanted(series)}


def _busy(pool: PoolStatus) -> float:
    return sum(worker.is_busy for worker in pool.workers) / len(pool.workers) if pool.workers else 0.0


def _is_wanted(series: Series) -> bool:
    return series.metric in (m.POSTS_REFUSED.name, m.OVER_BUDGET.name) or series.metric in FILTER
