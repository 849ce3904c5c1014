"""Pools of a graph: which filters run in threads or processes of their own, read and checked."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pypes.component import BATCH_OPTIONS
from pypes.core.pools import POOL_OPTIONS, Pool, PoolRules, read_pool
from pypes.errors import Problem
from pypes.graph.model import Graph, GraphNode
from pypes.graph.spec import ComponentSpec

#: Told the path and the message of a problem.
Add = Callable[[str, str], None]


def read_node_pool(value: Any, path: str, add: Add) -> Pool | str | None:
    """The ``pool`` of a filter: options, or the name of a pool of the graph or the node."""
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, dict):
        return _read(value, path, add)
    add(path, f'must be the name of a pool, or an object of {", ".join(POOL_OPTIONS)}, such as {{"processes": 2}}')
    return None


def read_pools(obj: Mapping[str, Any], add: Add) -> dict[str, Pool]:
    """The ``pools`` of a graph, by name."""
    pools = {}
    for name, value in obj.items():
        path = f"pools.{name}"
        if not name:
            add(path, "needs a name, by which filters name the pool")
        elif isinstance(value, dict):
            pools[name] = _read(value, path, add)
        else:
            add(path, 'must be an object such as {"processes": 2}')
    return pools


def _read(obj: Mapping[str, Any], path: str, add: Add) -> Pool:
    return read_pool(obj, lambda option, message: add(f"{path}.{option}" if option else path, message))


def pool_of(graph: Graph, node: GraphNode, named: Mapping[str, Pool]) -> Pool | None:
    """The pool in which a filter runs, ``None`` if it runs in the instance. Raises ``KeyError`` for a name that is not known.

    A pool of the graph goes before one of the node, ``named``, of the same name.
    """
    if not isinstance(node.pool, str):
        return node.pool
    return graph.pools[node.pool] if node.pool in graph.pools else named[node.pool]


def name_of(graph: Graph, filter: str) -> str:
    """The name of a filter's pool in the node: that of the node's own, or with the graph, and the filter, to which it belongs."""
    pool = graph.nodes[filter].pool
    if not isinstance(pool, str):
        return f"{graph.name}.{filter}"
    return f"{graph.name}:{pool}" if pool in graph.pools else pool


def graph_of(name: str) -> str:
    """The graph to which the pool of this name belongs, empty for one of the node; also by the name of a process of the pool.

    One of the node with a dot or a colon in its name counts as that of a graph.
    """
    graph, *rest = re.split("[.:]", name.removeprefix("pool-"), maxsplit=1)
    return graph if rest else ""


def pool_problems(graph: Graph, catalogue: Mapping[str, ComponentSpec], rules: PoolRules, *, is_here: bool) -> Iterator[Problem]:
    """Everything that is wrong with the pools of a graph; ``is_here``: it is to run on this machine."""
    inputs: dict[str, set[str]] = {}
    for wire in graph.wires:
        inputs.setdefault(wire.target, set()).add(wire.input)
    used = set()
    for name, node in graph.nodes.items():
        path = f"nodes.{name}.pool"
        if node.pool is None:
            continue
        if isinstance(node.pool, str):
            used.add(node.pool)
            yield from _name_problems(graph, node.pool, path, rules)
        else:
            yield from _python_problems(node.pool, path, rules, is_here=is_here)
        for reason in _reasons(node, catalogue.get(node.component), len(inputs.get(name, ()))):
            yield Problem(path, f"filter {name!r} ({node.component}) cannot run in a pool: {reason}", "graph.no_pool")
    for name, pool in graph.pools.items():
        path = f"pools.{name}"
        yield from _python_problems(pool, path, rules, is_here=is_here)
        if name not in used:
            message = f'no filter runs in it; write "pool": "{name}" in one, or remove it'
            yield Problem(path, message, "graph.unused_pool")


def _name_problems(graph: Graph, name: str, path: str, rules: PoolRules) -> Iterator[Problem]:
    if name in graph.pools or rules.named is None or name in rules.named:
        return
    near = difflib.get_close_matches(name, [*graph.pools, *rules.named], 1)
    hint = f"did you mean {near[0]!r}?" if near else f"add it to pools of the graph, or [pool:{name}] to pypes.ini"
    yield Problem(path, f"there is no pool {name!r}; {hint}", "graph.unknown_pool")


def _python_problems(pool: Pool, path: str, rules: PoolRules, *, is_here: bool) -> Iterator[Problem]:
    if not pool.python:
        return
    if rules.pythons is not None and pool.python not in rules.pythons:
        message = f"{pool.python} may not be run here; list it under pythons in [components] of pypes.ini"
        yield Problem(f"{path}.python", message, "graph.python")
    elif is_here and not (Path(pool.python).is_file() and os.access(pool.python, os.X_OK)):
        message = f"there is no interpreter {pool.python}; make a virtual environment there, with Pypes in it"
        yield Problem(f"{path}.python", message, "graph.python")


def _reasons(node: GraphNode, spec: ComponentSpec | None, inputs: int) -> Iterator[str]:
    """The reasons why a filter cannot run in a pool, each with what to do instead."""
    if spec is None or spec.error:
        return  # named already
    if spec.unpooled:
        yield spec.unpooled
    if inputs > 1:
        yield "it joins what comes to several inputs; do the work in a filter before it or behind it"
    given = [option for option in BATCH_OPTIONS if getattr(node, option) is not None]
    if given:
        yield f"a pool gathers packets itself; leave out {', '.join(given)}, and give the pool a stride"
