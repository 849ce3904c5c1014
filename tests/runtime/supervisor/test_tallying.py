"""The supervisor's part of the metrics: series of what is live, and never too many of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from pypes.core.descriptors import soft_limit
from pypes.observe import metrics as m
from pypes.observe.tallies import Series, Tallies
from pypes.runtime.contracts.supervisor import InstanceStatus, NodeStatus, PoolStatus, PoolWorkerStatus, WorkerStatus
from pypes.runtime.supervisor.picture import disk_of
from pypes.runtime.supervisor.tallying import MAX_COUNTS, GraphParts, Tallying, Told

Graph = dict[str, Any]


def graph_of(filters: int) -> Graph:
    """A chain of filters."""
    names = [f"filter-{number}" for number in range(filters)]
    wires = [[f"{one}.out", f"{other}.in"] for one, other in pairwise(names)]
    return {"nodes": {name: {"component": "C"} for name in names}, "wires": wires}


def node_of(names: Iterable[str], /, **changes: Any) -> NodeStatus:
    given: dict[str, Any] = {
        "state": "ready",
        "pid": os.getpid(),
        "url": "http://127.0.0.1:1",
        "uptime_s": 1.0,
        "generation": 1,
        "arbiter": None,
        "workers": [],
        "instances": [],
        "pools": [],
        "graphs": [{"name": name, "version": 1, "state": "live"} for name in names],
        "default": None,
    }
    return NodeStatus(**(given | changes))


NOTHING = Told({}, {}, lambda graph: {})


def told(graphs: dict[str, Graph], **counts: dict[str, dict[str, int]]) -> Told:
    return Told(graphs, {}, lambda graph: counts.get(graph, {}))


def samples(text: str) -> dict[str, float]:
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in rows}


def test_series_of_what_is_not_deployed_are_left_out() -> None:
    parts = GraphParts({"g": graph_of(2)})
    shown = {
        Series(m.FILTER_IN.name, ("g", "filter-1"), 1): True,
        Series(m.FILTER_IN.name, ("g", "filter-2"), 1): False,
        Series(m.FILTER_IN.name, ("h", "filter-1"), 1): False,
        Series(m.WIRE_PACKETS.name, ("g", "filter-0.out-filter-1.in"), 1): True,
        Series(m.WIRE_PACKETS.name, ("g", "filter-1.out-filter-0.in"), 1): False,
        Series(m.DELIVERY_SECONDS.name, ("g",), m.DELIVERY_SECONDS.width): True,
        Series(m.DELIVERY_SECONDS.name, ("h",), m.DELIVERY_SECONDS.width): False,
        Series(m.NEW_DEAD_LETTERS.name, ("g", "component.failed"), 1): True,
        Series(m.HTTP_REQUESTS.name, ("/docs", "POST", "202"), 1): True,
        Series(m.COMMIT_SECONDS.name, (), m.COMMIT_SECONDS.width): True,
    }
    assert {series: parts.has(series) for series in shown} == shown


def test_a_filter_that_comes_back_goes_on_where_it_was(tmp_path: Path) -> None:
    tallying = Tallying()
    tallying.gathering.own.counter(m.FILTER_IN, "g", "filter-1").add(3)
    name = f'{m.FILTER_IN.name}{{graph="g",filter="filter-1"}}'
    for version, filters, value in ((1, 2, 3.0), (2, 1, None), (3, 2, 3.0)):
        graphs = {"g": graph_of(filters)}
        node = node_of(graphs, graphs=[{"name": "g", "version": version, "state": "live"}])
        found = samples(tallying.text(tmp_path, node, told(graphs), is_openmetrics=False))
        assert found.get(name) == value
        assert found['pypes_graph_version{graph="g"}'] == version


def test_processes_pools_and_deployments_are_told(tmp_path: Path) -> None:
    tallying = Tallying()
    tallying.deployment_switched({"g": 1}, 0.3)
    tallying.deployment_failed({"g": 2}, "no such model")
    own = os.getpid()
    node = node_of(
        {},
        graphs=[{"name": name, "version": 1, "state": name} for name in ("live", "failed", "paused", "stalled")],
        arbiter=own,
        workers=[WorkerStatus(own, 0, "ready"), WorkerStatus(1 << 30, 1, "ready")],
        instances=[InstanceStatus(7, 1, own, state, []) for state in ("ready", "stopping")],
        pools=[PoolStatus("models", "ready", ["g.a"], [PoolWorkerStatus(own, is_busy) for is_busy in (True, False)], 3)],
    )
    found = samples(tallying.text(tmp_path, node, Told({}, {"models": 4}, lambda graph: {}), is_openmetrics=False))
    assert found['pypes_deployments_total{result="switched"}'] == found['pypes_deployments_total{result="failed"}'] == 1
    assert found["pypes_deployment_seconds_count"] == 1
    assert {name: value for name, value in found.items() if "pool" in name and "process" not in name} == {
        'pypes_pool_workers{pool="models"}': 2,
        'pypes_pool_busy_workers{pool="models"}': 1,
        'pypes_pool_deaths_total{pool="models"}': 4,
    }
    running = {name: value for name, value in found.items() if name.startswith("pypes_graph_running")}
    assert [*running.values()] == [1, 0, 0, 0]
    assert {name: value for name, value in found.items() if name.startswith("pypes_graph_paused") and value} == {
        'pypes_graph_paused{graph="paused"}': 1
    }
    assert found['pypes_instances{state="stopping"}'] == 1
    assert found['pypes_instances{state="starting"}'] == 0
    memory = {name for name in found if name.startswith("pypes_process_resident_memory_bytes")}
    # worker 1 is gone already
    names = ("supervisor", "arbiter", "worker-0", "instance-7", "pool-models-0", "pool-models-1")
    assert memory == {f'pypes_process_resident_memory_bytes{{process="{name}"}}' for name in names}


def test_the_room_that_there_is_is_told(tmp_path: Path) -> None:
    """The memory of an instance, descriptors, and the disk; nothing of a disk that is not there."""
    node = node_of({}, disk=disk_of(tmp_path), max_memory_bytes=5)
    found = samples(Tallying().text(tmp_path, node, NOTHING, is_openmetrics=False))
    assert found["pypes_instance_max_memory_bytes"] == 5
    assert found["pypes_max_descriptors"] == soft_limit()
    assert 0 < found["pypes_data_free_bytes"] < found["pypes_data_size_bytes"] == shutil.disk_usage(tmp_path).total
    node = node_of({}, disk=disk_of(tmp_path / "gone"))
    found = samples(Tallying().text(tmp_path, node, NOTHING, is_openmetrics=False))
    assert not found.keys() & {"pypes_instance_max_memory_bytes", "pypes_data_free_bytes", "pypes_data_size_bytes"}


def test_fifty_graphs_of_twenty_filters_have_at_most_twelve_thousand_series(tmp_path: Path) -> None:
    """All that instances and workers can count of them, and as many counts of components as may be."""
    graphs = {f"graph-{number}": graph_of(20) for number in range(50)}
    tallying = Tallying()
    for process in ("i-1", "i-2", "w-1"):
        Tallies.create(str(tmp_path / f"{process}.tally"))
        tallies = Tallies(str(tmp_path / f"{process}.tally"))
        tallying.gathering.join(str(tmp_path / f"{process}.tally"))
        for name, graph in graphs.items():
            _count_all(tallies, name, graph)
        assert len(tallies.series) > 5000
    counts = {name: {"filter-1": {f"count_{number}": 1 for number in range(100)}} for name in graphs}
    text = tallying.text(tmp_path, node_of(graphs), told(graphs, **counts), is_openmetrics=False)
    found = samples(text)
    assert sum(name.startswith(m.COMPONENT_COUNTS.name) for name in found) == MAX_COUNTS
    # and what the shards know of each graph
    assert len(found) + 50 * (6 + 2 * 4) <= 12_000


def _count_all(tallies: Tallies, name: str, graph: Graph) -> None:
    """Count each metric of each filter and wire; of publishers, which are few, the one at the end."""
    publisher = (m.PUBLISHER_BATCHES, m.PUBLISHER_SECONDS, m.FILTER_RESTING, m.FILTER_LAST_ERROR)
    for metric in m.CATALOGUE:
        if metric.labels == ("graph", "filter"):
            for filter in [*graph["nodes"]][-1 if metric in publisher else 0 :]:
                _count(tallies, metric, name, filter)
        elif metric.labels == ("graph", "wire"):
            for source, target in graph["wires"]:
                _count(tallies, metric, name, f"{source}-{target}")
        elif metric is m.DELIVERY_SECONDS:
            _count(tallies, metric, name)


def _count(tallies: Tallies, metric: m.Metric, *labels: str) -> None:
    if metric.kind == "histogram":
        tallies.histogram(metric, *labels).observe(0.1)
    elif metric.kind == "counter":
        tallies.counter(metric, *labels).add()
    else:
        tallies.gauge(metric, *labels).set(1)
