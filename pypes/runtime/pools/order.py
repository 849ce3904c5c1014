"""Orders of pools: plain values that say what the pool workers of one pool set up, and within which bounds they run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pypes.component import ERROR_PORT
from pypes.core.paths import Paths
from pypes.core.pools import Pool
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec
from pypes.placement.executor import Work
from pypes.placement.pool_process import Bounds
from pypes.runtime.file_store import STORES, FileStores
from pypes.runtime.making import Site
from pypes.runtime.pools.work import FilterWork


@dataclass(frozen=True, slots=True)
class PooledFilter:
    """One filter of a pool: all that its component needs to be made, and to find its ports connected as they are.

    ``component`` is ``ComponentSpec.to_obj()``, ``params`` are as the graph has them, ``code`` tells one state of the code from
    another.
    """

    graph: str
    name: str
    component: Mapping[str, Any]
    params: Mapping[str, Any]
    connected: tuple[str, ...]
    code: str = ""

    @property
    def key(self) -> str:
        """Equal for what would be set up equally."""
        found = [self.graph, self.name, self.component, self.params, self.connected, self.code]
        return json.dumps(found, sort_keys=True, default=list)


@dataclass(frozen=True)
class PoolOrder:
    """The order of one pool. Called in a pool worker, it makes the work of that. It travels with cloudpickle."""

    name: str
    pool: Pool
    filters: tuple[PooledFilter, ...]
    #: Time for one packet.
    timeout_s: float
    paths: Paths
    #: True if entries of filters are kept in the data folder, as those of other filters of a node.
    has_stores: bool = False
    #: Patterns of names whose values are hidden in log lines.
    redact: tuple[str, ...] = ()

    def __call__(self) -> Work:
        paths = self.paths
        site = Site(paths, redact=self.redact)
        if self.has_stores:
            site = replace(site, stores=FileStores(Path(paths.data_dir) / STORES))
        return FilterWork(self.filters, site, is_own_process=True)

    @property
    def bounds(self) -> Bounds:
        """Bounds of its pool workers."""
        return Bounds(max_bytes=self.pool.memory, timeout_s=self.timeout_s, python=self.pool.python)

    @cached_property
    def key(self) -> str:
        """Equal for pools that are equal."""
        return digest(self)

    def holds(self, other: PoolOrder) -> bool:
        """True if this pool has all filters of another one, and is like it otherwise."""
        mine = {filter.key for filter in self.filters}
        return all(filter.key in mine for filter in other.filters) and replace(self, filters=()) == replace(other, filters=())

    def number_of(self, filter: PooledFilter) -> int:
        """Position of a filter, by which its packets are told from those of others."""
        return [each.key for each in self.filters].index(filter.key)


def digest(order: PoolOrder) -> str:
    """Names a pool, so that a pool of the same name is the same pool."""
    parts = [order.name, order.pool.to_obj(), [filter.key for filter in order.filters], order.timeout_s, repr(order.paths)]
    parts += [order.redact]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class PoolUse(NamedTuple):
    """The place of one filter in a pool of the node: the pool, the number of the filter in it, and its pool workers."""

    pool: str
    number: int
    width: int


def filter_of(graph: Graph, name: str, spec: ComponentSpec, code: str = "") -> PooledFilter:
    """The order for one filter of a graph."""
    node = graph.nodes[name]
    outputs = {wire.output for wire in graph.wires if wire.source == name}
    inputs = {wire.input for wire in graph.wires if wire.target == name}
    known = {*spec.inputs, *spec.outputs, ERROR_PORT}
    return PooledFilter(graph.name, name, spec.to_obj(), node.params, tuple(sorted((outputs | inputs) & known)), code)


def timeout_of(graph: Graph, name: str, spec: ComponentSpec, filter_s: float) -> float:
    """Time that a filter has for one packet, where its pool does not say so; ``filter_s`` is the limit of the node."""
    own = graph.nodes[name].timeout_s
    if own is None:
        own = spec.timeout_s
    return filter_s if own is None else own


def pools_of(uses: Mapping[str, Mapping[str, PoolUse]], graphs: Collection[str]) -> set[str]:
    """The keys of the pools that some graphs use; ``uses`` are by graph and filter."""
    return {use.pool for graph, filters in uses.items() if graph in graphs for use in filters.values()}
