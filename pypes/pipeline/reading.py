"""Graphs as parts of pipelines: read from files, with the installed components and the functions that they name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pypes.component import BATCH_OPTIONS, Component
from pypes.core.functions import find_function
from pypes.core.pools import ONE_PROCESS, STRIDE
from pypes.core.pools import Pool as PoolOptions
from pypes.errors import InvalidGraph, InvalidInput, Problem
from pypes.graph.composite_files import read_file
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.pools import pool_of
from pypes.graph.spec import ComponentSpec
from pypes.graph.validation import expand, unknown_component
from pypes.pipeline.nodes import Node
from pypes.pipeline.pool import Pool
from pypes.registry.discovery import discover_for_user
from pypes.runtime.making import Site

#: The components that stand for a function, and for one of several parameters, with the inputs that bring these.
CALL: Final = "Call"
CALL_JOIN: Final = "CallJoin"
WAYS: Final = ("in", *(f"in{number}" for number in range(2, 9)))


@dataclass(frozen=True, slots=True)
class Installed:
    """An installed component as a filter of a graph has it; each pipeline that it is part of makes its own."""

    spec: ComponentSpec
    node: GraphNode
    pool: PoolOptions | None

    def make(self) -> Component:
        """The component, with its parameters. Raises ``InvalidComponent``, and ``InvalidInput`` for a parameter."""
        component = Site().make(self.spec, self.node.params, self.node.name)
        for option in ("timeout_s", "max_attempts", *BATCH_OPTIONS):
            if (value := getattr(self.node, option)) is not None:
                setattr(component, option, value)
        return component

    @property
    def options(self) -> dict[str, Any]:
        """The options of its pool."""
        return {} if self.pool is None else self.pool.to_obj()


def read_graph(given: str | os.PathLike[str] | Graph) -> Graph:
    """A graph that a user gave: itself, or that in a file, with composites put in. Raises ``InvalidGraph``."""
    if isinstance(given, Graph):
        return given
    if not isinstance(given, str | os.PathLike):
        raise InvalidInput(f"a graph is the path of its file, or a pypes.Graph, not {given!r}", code="pipeline.no_graph")
    try:
        return read_file(Path(given)).graph
    except OSError as error:
        text = f"the graph {os.fspath(given)!r} cannot be read: {error.strerror or error}"
        raise InvalidGraph(text, code="pipeline.no_graph", where=os.fspath(given)) from error


def nodes_of(graph: Graph, load: Sequence[str | os.PathLike[str]] = ()) -> dict[str, Node]:
    """The filters of a graph, by name. Raises :class:`InvalidGraph` with all that cannot be found.

    ``load`` are Python files whose components are available besides those that are installed. Names of filters that are
    functions are imported: a graph is code as any other, to be loaded by who trusts whoever wrote it.
    """
    if isinstance(load, str | bytes | os.PathLike):
        raise InvalidInput(f"load is a list of Python files, such as [{os.fspath(load)!r}]", code="pipeline.load")
    problems: list[Problem] = []
    is_needed = any(node.component not in (CALL, CALL_JOIN) for node in graph.nodes.values())
    catalogue = discover_for_user([Path(file) for file in load]) if is_needed else {}
    shared: dict[str, Pool] = {}
    found = {}
    for name, node in graph.nodes.items():
        try:
            pool = pool_of(graph, node, {})
        except KeyError:  # one of the node that the graph is for
            pool = ONE_PROCESS
        if node.component in (CALL, CALL_JOIN):
            try:
                found[name] = _function(graph, node, pool, shared)
            except (ValueError, ImportError, InvalidInput) as error:
                problems.append(Problem(f"nodes.{name}.params", str(error), "pipeline.no_function"))
        elif (spec := catalogue.get(node.component)) is None:
            text = f"{unknown_component(node.component, catalogue)}; components of a Python file are found with load=['FILE.py']"
            problems.append(Problem(f"nodes.{name}.component", text, "graph.unknown_component"))
        else:
            found[name] = Node(target=Installed(spec, node, pool), origin=(graph, node))
    if problems:
        raise InvalidGraph("the pipeline cannot be built", where=graph.name, problems=problems)
    return found


def port_of(graph: Graph, wire: Wire) -> str:
    """The input port of a wire, as pipelines know it: of a function of several parameters, the name of one of these."""
    node = graph.nodes.get(wire.target)
    if node is None or node.component != CALL_JOIN:
        return wire.input
    parameters = node.params.get("parameters", ())
    ports: dict[str, str] = dict(zip(WAYS, parameters, strict=False))
    return ports.get(wire.input, wire.input)


def _function(graph: Graph, node: GraphNode, pool: PoolOptions | None, shared: dict[str, Pool]) -> Node:
    params: Mapping[str, Any] = expand(node.params, os.environ)
    stride = 1
    own: Pool | None = None
    if pool is not None:
        stride = 1 if pool.threads else pool.stride or STRIDE
        own = shared.get(node.pool) if isinstance(node.pool, str) else None
        if own is None:
            count: dict[str, Any] = {"threads": pool.threads} if pool.threads else {"processes": pool.processes}
            own = Pool(**count, timeout_s=pool.timeout_s, memory=pool.memory)
        if isinstance(node.pool, str):
            shared[node.pool] = own
    name = params.get("function")
    if not isinstance(name, str):
        raise ValueError("function: must name a function, as package.module:name")
    return Node(
        target=find_function(name),
        params=dict(params.get("options", {})),
        pool=own,
        stride=stride,
        produces=params.get("produces", 0),
        consumes=params.get("consumes", 0),
        repeat=params.get("repeat", False),
        origin=(graph, node),
    )
