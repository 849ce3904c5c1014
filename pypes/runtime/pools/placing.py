"""Placing: the component that a process puts into its scheduler for a filter, wherever that does its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.core.pools import NO_POOLS, ONE_PROCESS, Pool
from pypes.errors import InvalidComponent
from pypes.graph.model import Graph, GraphNode
from pypes.graph.pools import pool_of
from pypes.graph.spec import ComponentSpec, describe
from pypes.placement import isolate
from pypes.placement.found_again import given_parameters, home_of, refuse_in_pool_worker
from pypes.placement.keeper import LocalKeeper
from pypes.runtime.making import Site
from pypes.runtime.pools.order import PoolOrder, PoolUse, filter_of, timeout_of
from pypes.runtime.pools.proxy import in_processes, in_threads
from pypes.runtime.pools.remote_keeper import RemoteKeeper


def place(
    graph: Graph,
    name: str,
    spec: ComponentSpec,
    site: Site,
    limits: Limits,
    named: Mapping[str, Pool] = NO_POOLS,
    *,
    width: int | None = None,
) -> Component:
    """The component of a filter for a graph that runs outside of a node: with pool workers of its own, if it runs in a pool.

    ``named`` are the pools of the node; one that is not known has a process. ``width``: so many pool workers, whatever the pool
    has. Raises what :meth:`Site.make` does.
    """
    node = graph.nodes[name]
    try:
        pool = pool_of(graph, node, named)
    except KeyError:
        pool = ONE_PROCESS
    timeout_s = timeout_of(graph, name, spec, limits.filter_s)
    if pool is None:
        made = site.make(spec, node.params, name)
        return isolate(made, limits=limits, timeout_s=timeout_s, spec=spec, redact=site.redact) if made.isolated else made
    site.checked(spec, node.params)
    filter = filter_of(graph, name, spec)
    if pool.threads:
        return in_threads(spec, filter, site, pool, width or pool.threads)
    order = PoolOrder(name, pool, (filter,), pool.timeout_s or timeout_s, site.paths, redact=site.redact)
    keeper = LocalKeeper(order, width or pool.processes, order.bounds, name)
    return in_processes(spec, name, site, pool, keeper)


def place_made(component: Component, name: str, pool: Pool, connected: Graph, site: Site, limits: Limits) -> Component:
    """The stand-in of a component that its user has made, and not set up; ``connected`` is a graph with the wires that it has.

    Of the component only the parameters get to the pool worker, which finds its class at the top level of a module. Raises
    :class:`InvalidComponent` for one that cannot run in a pool.
    """
    cls = type(component)
    refuse_in_pool_worker(cls)
    module, attr = home_of(cls)
    spec = describe(cls, module=module, attr=attr, make=lambda _: component)
    if spec.unpooled:
        raise InvalidComponent(f"it cannot run in a pool: {spec.unpooled}", where=cls.__name__)
    node = GraphNode(name, spec.name, given_parameters(component), pool=pool)
    made = place(replace(connected, nodes={**connected.nodes, name: node}), name, spec, site, limits)
    made.max_attempts = component.max_attempts
    return made


def place_in_node(
    graph: Graph, name: str, spec: ComponentSpec, site: Site, pool: Pool, use: PoolUse | None, socket: str
) -> Component:
    """The component of a filter that runs in a pool, for an instance; ``use`` says which of the processes of the node it has.

    Raises ``InvalidInput`` for a path that leads astray, as :meth:`Site.make`.
    """
    site.checked(spec, graph.nodes[name].params)
    if use is None:
        return in_threads(spec, filter_of(graph, name, spec), site, pool, pool.threads)
    return in_processes(spec, name, site, pool, RemoteKeeper(socket, use.pool, use.width), use.number)
