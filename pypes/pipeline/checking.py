"""Checking: mistakes in what a user gave, all of them at once, before filters are made."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pypes.errors import InvalidGraph, Problem
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.plan import find_cycle, repeated
from pypes.pipeline.nodes import Node
from pypes.pipeline.options import wrong


def checked_form(chain: Sequence[Any], nodes: Mapping[str, Any] | None, wires: Any) -> Sequence[tuple[str, str]]:
    """The wires. Raises :class:`InvalidGraph` for what is no pipeline at all."""
    if isinstance(wires, str | bytes) or not isinstance(wires, Iterable):
        raise wrong("wires", 'a list of pairs, such as [("a.out", "b.in")]', wires, "pipeline.form")
    found = [*wires]
    if nodes is not None and not isinstance(nodes, Mapping):
        raise wrong("nodes", 'a dictionary of filters by name, such as {"a": str.strip}', nodes, "pipeline.form")
    if chain and (nodes is not None or found):
        raise InvalidGraph("give filters that follow one another, or nodes= and wires=, not both", code="pipeline.form")
    if not chain and not nodes:
        raise InvalidGraph("a pipeline is made of one function, component or pipeline at least", code="pipeline.form")
    for wire in found:
        if not isinstance(wire, tuple | list) or len(wire) != 2 or not all(isinstance(end, str) and "." in end for end in wire):
            raise InvalidGraph(f'a wire is two ends with their ports, ("a.out", "b.in"), not {wire!r}', code="pipeline.form")
    for name in nodes or ():
        if not isinstance(name, str) or not name or "." in name:
            raise InvalidGraph(f"the name of a node is a text without dots, not {name!r}", code="pipeline.node")
    return found


def check(nodes: Mapping[str, Node], ends: Sequence[tuple[str, str, str, str]], ports: Mapping[str, set[str]]) -> None:
    """Raise :class:`InvalidGraph` with all that is wrong; ``ports`` are those of the nodes that are functions."""
    # where there are components, the graph that is made knows their ports, too, and tells of wires
    problems = _wrong_wires(nodes, ends) if len(ports) == len(nodes) else []
    for name, own in ports.items():
        text = _uncallable(name, nodes[name], own)
        if text:
            problems.append(Problem(f"nodes.{name}", text, "pipeline.function"))
    if problems:
        raise InvalidGraph("the pipeline cannot be built", problems=problems)


def _wrong_wires(nodes: Mapping[str, Node], ends: Sequence[tuple[str, str, str, str]]) -> list[Problem]:
    problems = []
    for end in ends:
        for name in dict.fromkeys((end[0], end[2])):
            if name not in nodes:
                text = f"there is no filter {name!r}; there are {', '.join(nodes)}"
                problems.append(Problem(f"wires.{Wire(*end)}", text, "graph.unknown_node"))
    graph = Graph(
        name="pipeline",
        nodes={name: GraphNode(name, "function", {}) for name in nodes},
        wires=tuple(Wire(*end) for end in ends),
    )
    problems += [
        Problem(f"wires.{wire}", "it occurs twice; remove one", "graph.duplicate_wire") for _, wire in repeated(graph.wires)
    ]
    cycle = find_cycle(graph)
    if cycle:
        problems.append(Problem("wires", f"they close a cycle: {' -> '.join(cycle)}", "graph.cycle"))
    return problems


def _uncallable(name: str, node: Node, ports: set[str]) -> str:
    """The reason for which a function cannot be called with what reaches it, or nothing."""
    if inspect.iscoroutinefunction(node.target) or inspect.isasyncgenfunction(node.target):
        return f"{name!r} is async, but functions are called and not awaited; give one that is not, in threads if it waits"
    try:
        # decorators may give arguments of their own, so the function within does not count
        found = inspect.signature(node.target, follow_wrapped=False).parameters.values()
    except (TypeError, ValueError):  # some of C cannot say
        return ""
    named = [each.name for each in found if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    given = {*node.params}
    if ports != {"in"} and ports <= {*named}:
        given |= ports
    elif ports == {"in"} or len(named) == 1:
        first = next((each for each in found if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)), None)
        if first is None:
            takes_any = any(each.kind is each.VAR_POSITIONAL for each in found)
            return "" if takes_any else f"{name!r} takes no value"
        if first.name in given:
            return f"{name!r} is called with the value as {first.name!r}, so that cannot be given"
        given.add(first.name)
    else:  # a port that is no parameter, which is told where joins are made
        return ""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [each.name for each in found if each.kind not in kinds and each.default is each.empty and each.name not in given]
    if not missing:
        return ""
    example = f"lead a wire to {name}.{missing[0]}, or give node(…, {missing[0]}=…)"
    return f"nothing gives {', '.join(map(repr, missing))} to {name!r}: {example}"
