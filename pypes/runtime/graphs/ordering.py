"""Ordering: the pools that graphs of a node need, with what each is to set up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pypes.core.paths import Paths
from pypes.core.pools import Pool
from pypes.graph import codec
from pypes.graph.pools import name_of, pool_of
from pypes.registry import digest_of
from pypes.runtime.graphs.deployed import DeployedGraphs
from pypes.runtime.pools.order import PooledFilter, PoolOrder, filter_of, timeout_of


def orders_of(graphs: Sequence[Mapping[str, Any]], deployed: DeployedGraphs, paths: Paths) -> list[PoolOrder]:
    """One order for each pool with processes that these graphs use.

    Filters that name the same pool share it: those of one graph, or of all of these graphs, if it is a pool of the node.
    """
    settings = deployed.settings
    found: dict[str, tuple[Pool, list[PooledFilter], list[float]]] = {}
    for obj in graphs:
        graph = codec.from_obj(obj, is_expanded=True)
        for name, node in graph.nodes.items():
            pool = pool_of(graph, node, settings.pools)
            if pool is None or pool.threads:
                continue
            assert deployed.catalogue is not None
            spec = deployed.catalogue[node.component]
            code = digest_of(deployed.code_of({"nodes": {name: {"component": node.component}}}))
            _, filters, times = found.setdefault(name_of(graph, name), (pool, [], []))
            filters.append(filter_of(graph, name, spec, code))
            times.append(timeout_of(graph, name, spec, settings.limits.filter_s))
    data = replace(paths, data_dir=str(settings.server.data))
    return [
        PoolOrder(name, pool, tuple(filters), pool.timeout_s or max(times), data, True, settings.observe.redact)
        for name, (pool, filters, times) in found.items()
    ]
