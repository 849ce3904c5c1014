"""Picture: the state of a node at one moment, put together of what the parts of the supervisor know."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from pypes.config import Settings
from pypes.core.machine import usage_of
from pypes.ingest.receipt import rfc3339
from pypes.observe import metrics as m
from pypes.observe.gathering import Gathering
from pypes.runtime.contracts.supervisor import (
    CertificateStatus,
    DiskStatus,
    Ending,
    FilterWork,
    GraphWork,
    InstanceStatus,
    NodeStatus,
    PoolStatus,
    ProcessStatus,
    UndeployedFile,
    WireWork,
)
from pypes.runtime.generations.generations import Generations
from pypes.runtime.graphs.deployer import Deployer
from pypes.runtime.pools.node_pools import NodePools
from pypes.runtime.supervisor.arbiter import Arbiter
from pypes.runtime.supervisor.workers import Workers

#: Counters of a filter and of a wire, by the names that the picture has for them.
FILTER: Final = MappingProxyType(
    {
        m.FILTER_IN.name: "packets_in",
        m.FILTER_OUT.name: "packets_out",
        m.FILTER_SECONDS.name: "seconds",
        m.FILTER_FAILURES.name: "failures",
        m.FILTER_RETRIES.name: "retries",
        m.FILTER_PARKED.name: "parked_s",
        m.FILTER_WAITING.name: "waiting_s",
    }
)
_WIRE: Final = MappingProxyType({m.WIRE_PACKETS.name: "packets", m.WIRE_PARKED.name: "parked_s"})


def picture(
    state: str,
    url: str,
    created: float,
    generations: Generations,
    arbiter: Arbiter,
    workers: Workers,
    pools: NodePools,
    deployer: Deployer,
    settings: Settings,
) -> NodeStatus:
    """The state of a node, without what is counted; ``created`` is the time of its start, of the monotonic clock."""
    return NodeStatus(
        state=state,
        pid=os.getpid(),
        url=url,
        uptime_s=round(time.monotonic() - created, 3),
        generation=generations.number,
        arbiter=arbiter.pid,
        workers=workers.status(),
        instances=[InstanceStatus(**each) for each in generations.status()],
        pools=[msgspec.convert(each, PoolStatus) for each in pools.status()],
        graphs=deployer.summaries(),
        default=deployer.default(),
        endings=[Ending(**each) for each in generations.endings],
        disk=disk_of(settings.server.data),
        max_memory_bytes=settings.server.max_memory_bytes,
        certificate=_certificate(workers, settings),
        undeployed=[UndeployedFile(each.path, each.graph, [*each.routes], each.reason) for each in deployer.undeployed],
    )


def _certificate(workers: Workers, settings: Settings) -> CertificateStatus | None:
    found = workers.certificate if settings.tls is not None else None
    return None if found is None else CertificateStatus(rfc3339(found.expires))


def disk_of(folder: Path) -> DiskStatus | None:
    """The file system of a folder, if it tells its room."""
    try:
        use = shutil.disk_usage(folder)
    except OSError:
        return None
    return DiskStatus(str(folder), use.total, use.free)


def with_counts(node: NodeStatus, gathering: Gathering, graphs: Mapping[str, Mapping[str, object]]) -> NodeStatus:
    """The same with its processes, restarts of instances by cause, and the work of the filters and wires of live ``graphs``."""
    sums = gathering.read()
    restarts: dict[str, int] = {}
    filters: dict[tuple[str, str], dict[str, float]] = {}
    wires: dict[tuple[str, str], dict[str, float]] = {}
    for series, place in gathering.places.items():
        if (name := FILTER.get(series.metric)) is not None:
            filters.setdefault((series.labels[0], series.labels[1]), {})[name] = sums[place]
        elif (name := _WIRE.get(series.metric)) is not None:
            wires.setdefault((series.labels[0], series.labels[1]), {})[name] = sums[place]
        elif series.metric == m.INSTANCE_RESTARTS.name:
            restarts[series.labels[0]] = int(sums[place])
    work = {
        name: GraphWork(
            {filter: msgspec.convert(filters.get((name, filter), {}), FilterWork, strict=False) for filter in filters_of(graph)},
            {wire: msgspec.convert(wires.get((name, wire), {}), WireWork, strict=False) for wire in wires_of(graph)},
        )
        for name, graph in sorted(graphs.items())
    }
    return msgspec.structs.replace(node, processes=[*processes_of(node)], restarts=restarts, work=work)


def filters_of(graph: Mapping[str, object]) -> list[str]:
    """The names of the filters of a graph, which is a JSON object."""
    nodes = graph["nodes"]
    assert isinstance(nodes, Mapping)
    return [*nodes]


def wires_of(graph: Mapping[str, object]) -> list[str]:
    """The names of the wires of a graph, which is a JSON object: ``a.out-b.in``."""
    wires = graph.get("wires", [])
    assert isinstance(wires, list)
    return [f"{source}-{target}" for source, target in wires]


def processes_of(node: NodeStatus) -> Iterator[ProcessStatus]:
    """The processes of a node that live, but for those that components have started, by the names that they have in metrics."""
    found = {"supervisor": node.pid, **({} if node.arbiter is None else {"arbiter": node.arbiter})}
    found.update((f"worker-{each.slot}", each.pid) for each in node.workers)
    found.update((f"instance-{each.id}", each.pid) for each in node.instances)
    for pool in node.pools:
        found.update((f"pool-{pool.name}-{number}", each.pid) for number, each in enumerate(pool.workers))
    for name, pid in found.items():
        usage = usage_of(pid)
        if usage is not None:
            yield ProcessStatus(name, pid, *usage)
