"""Placing: the component that a process puts into its scheduler for a filter, wherever that does its work."""

from __future__ import annotations

from collections.abc import Mapping

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.core.pools import ONE_PROCESS, Pool
from pypes.graph.model import Graph
from pypes.graph.pools import pool_of
from pypes.graph.spec import ComponentSpec
from pypes.placement import isolate
from pypes.runtime.making import Site
from pypes.runtime.pools.order import PoolOrder, PoolUse, filter_of, timeout_of
from pypes.runtime.pools.proxy import in_own_process, in_processes, in_threads
from pypes.runtime.pools.remote_keeper import RemoteKeeper


def place(graph: Graph, name: str, spec: ComponentSpec, site: Site, limits: Limits, named: Mapping[str, Pool]) -> Component:
    """The component of a filter for a graph that runs outside of a node: with a process of its own, if it runs in a pool.

    ``named`` are the pools of the node; one that is not known has processes. Raises what :meth:`Site.make` does.
    """
    node = graph.nodes[name]
    try:
        pool = pool_of(graph, node, named)
    except KeyError:
        pool = ONE_PROCESS
    timeout_s = timeout_of(graph, name, spec, limits.filter_s)
    if pool is None:
        made = site.make(spec, node.params, name)
        return isolate(made, limits=limits, timeout_s=timeout_s, spec=spec) if made.isolated else made
    site.checked(spec, node.params)
    filter = filter_of(graph, name, spec)
    if pool.threads:
        return in_threads(spec, filter, site, 1)
    return in_own_process(spec, PoolOrder(name, pool, (filter,), pool.timeout_s or timeout_s, site.paths), site)


def place_in_node(
    graph: Graph, name: str, spec: ComponentSpec, site: Site, pool: Pool, use: PoolUse | None, socket: str
) -> Component:
    """The component of a filter that runs in a pool, for an instance; ``use`` says which of the processes of the node it has.

    Raises ``InvalidInput`` for a path that leads astray, as :meth:`Site.make`.
    """
    site.checked(spec, graph.nodes[name].params)
    if use is None:
        return in_threads(spec, filter_of(graph, name, spec), site, pool.threads)
    return in_processes(spec, name, site, pool, RemoteKeeper(socket, use.pool, use.width), use.number)
