"""Tallying: the part of ``GET /metrics`` that the supervisor knows: what all processes count, and how they are.

The tally files of instances are read from their start to their end, which :class:`Generations` tells. Those of ingest workers are
found in the runtime directory, and kept when whoever wrote them has let go of them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pypes import __version__
from pypes.core.clock import wall
from pypes.core.descriptors import soft_limit
from pypes.observe import Observer
from pypes.observe import metrics as m
from pypes.observe.concerns import seconds_of
from pypes.observe.exposition import Table, family
from pypes.observe.gathering import Gathering
from pypes.observe.tallies import Series
from pypes.runtime.contracts.supervisor import NodeStatus
from pypes.runtime.supervisor.picture import filters_of, processes_of, wires_of

#: Tally files of ingest workers.
WORKERS: Final = "w-*.tally"

#: Series of what components count, for all graphs together.
MAX_COUNTS: Final = 1000

Samples = dict[tuple[str, ...], float]


class Told(NamedTuple):
    """Facts that others know: live graphs, as JSON objects; pool workers lost, by pool; the counts of the filters of a graph."""

    graphs: Mapping[str, Mapping[str, object]]
    pool_deaths: Mapping[str, int]
    counts: Callable[[str], Mapping[str, Mapping[str, int]]]


class GraphParts:
    """The names of what runs: series of filters and wires that are not among them are not shown."""

    def __init__(self, graphs: Mapping[str, Mapping[str, object]]) -> None:
        self._filters: set[tuple[str, str]] = set()
        self._wires: set[tuple[str, str]] = set()
        self._graphs = set(graphs)
        for name, graph in graphs.items():
            self._filters.update((name, filter) for filter in filters_of(graph))
            self._wires.update((name, wire) for wire in wires_of(graph))

    def has(self, series: Series) -> bool:
        """True if the graph, the filter and the wire of a series are there, as far as it has them."""
        labels = m.BY_NAME[series.metric].labels
        if labels[:1] != ("graph",):
            return True
        if labels[1:2] == ("filter",):
            return series.labels[:2] in self._filters
        if labels[1:2] == ("wire",):
            return series.labels[:2] in self._wires
        return series.labels[0] in self._graphs


class Tallying(Observer):
    """Renders what there is to tell. It is told of deployments, and counts them."""

    def __init__(self) -> None:
        #: The counts of all processes; whoever starts an instance tells it.
        self.gathering = Gathering()
        self._start_time = wall()
        self._shown: tuple[int, Mapping[str, int]] | None = None
        self._table = Table({}, lambda series: False)

    # -- deployments and instances ----------------------------------------------------------------------

    def deployment_switched(self, graphs: Mapping[str, int], seconds: float) -> None:
        self.gathering.own.counter(m.DEPLOYMENTS, "switched").add()
        self.gathering.own.histogram(m.DEPLOYMENT_SECONDS).observe(seconds)

    def deployment_failed(self, graphs: Mapping[str, int], reason: str) -> None:
        self.gathering.own.counter(m.DEPLOYMENTS, "failed").add()

    def instance_started(self, instance: int, graphs: Collection[str], seconds: float) -> None:
        self.gathering.own.histogram(m.INSTANCE_SETUP).observe(seconds)

    # -- the text ---------------------------------------------------------------------------------------

    def text(self, runtime_dir: Path, node: NodeStatus, told: Told, *, is_openmetrics: bool) -> str:
        """All families that the supervisor knows."""
        self.gathering.look_for(runtime_dir, WORKERS)
        sums = self.gathering.read()
        shown = (self.gathering.revision, {each["name"]: each["version"] for each in node.graphs})
        if shown != self._shown:
            parts = GraphParts(told.graphs)
            self.gathering.forget(parts.has)
            sums = self.gathering.read()
            self._table = Table(self.gathering.places, parts.has)
            self._shown = (self.gathering.revision, shown[1])
        text = [self._table.text(sums, is_openmetrics=is_openmetrics)]
        for metric, samples in self._node(node, told).items():
            text.append(family(metric, samples, is_openmetrics=is_openmetrics))
        return "".join(text)

    def _node(self, node: NodeStatus, told: Told) -> dict[m.Metric, Samples]:
        states = ("starting", "ready", "stopping")
        busy: Samples = {}
        workers: Samples = {}
        for pool in node.pools:
            key = (pool.name,)
            workers[key] = workers.get(key, 0) + len(pool.workers)
            busy[key] = busy.get(key, 0) + sum(worker.is_busy for worker in pool.workers)
        found: dict[m.Metric, Samples] = {
            m.BUILD: {(__version__, platform.python_version()): 1},
            m.NODE_START: {(): self._start_time},
            m.CERTIFICATE_END: {(): seconds_of(node.certificate.expires)} if node.certificate is not None else {},
            m.NODE_READY: {(): float(node.state == "ready")},
            m.GRAPH_RUNNING: {
                **{(each.graph,): 0.0 for each in node.undeployed},
                **{(each["name"],): float(each["state"] in ("live", "closing")) for each in node.graphs},
            },
            m.GRAPH_PAUSED: {(each["name"],): float(each["state"] == "paused") for each in node.graphs},
            m.GRAPH_VERSION: {(each["name"],): each["version"] for each in node.graphs},
            m.INSTANCES: {(state,): sum(each.state == state for each in node.instances) for state in states},
            m.POOL_WORKERS: workers,
            m.POOL_BUSY: busy,
            m.POOL_DEATHS: {(name,): number for name, number in sorted(told.pool_deaths.items())},
            m.PROCESS_MEMORY: {},
            m.PROCESS_CPU: {},
            m.PROCESS_DESCRIPTORS: {},
            m.MAX_DESCRIPTORS: {(): soft_limit()},
            m.INSTANCE_MAX_MEMORY: {(): node.max_memory_bytes} if node.max_memory_bytes else {},
            m.DATA_FREE: {(): node.disk.free_bytes} if node.disk is not None else {},
            m.DATA_SIZE: {(): node.disk.total_bytes} if node.disk is not None else {},
            m.COMPONENT_COUNTS: _counts(told),
        }
        for process in processes_of(node):
            found[m.PROCESS_MEMORY][process.name,] = process.memory_bytes
            found[m.PROCESS_CPU][process.name,] = process.cpu_s
            found[m.PROCESS_DESCRIPTORS][process.name,] = process.descriptors
        return found


def _counts(told: Told) -> Samples:
    samples: Samples = {}
    for graph in sorted(told.graphs):
        for filter, totals in told.counts(graph).items():
            for name, total in totals.items():
                if len(samples) < MAX_COUNTS:
                    samples[graph, filter, name] = total
    return samples
