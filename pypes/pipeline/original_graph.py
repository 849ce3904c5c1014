"""Graphs as the original Pypes took them: ``{reader: {printer: ("out", "in")}}``, of components that were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pypes.component import ERROR_PORT, Component
from pypes.errors import InvalidGraph, Problem
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.plan import Plan, find_cycle

#: By component, the components behind it, and for each of these the output port here and the input port there. Type checkers
#: find no common type of mappings whose keys are of different classes, so it is not written out.
OriginalGraph = Mapping[Any, Any]


class Read(NamedTuple):
    """A graph that was read: its components by the names that they have in it, and the names of those that data is sent to."""

    graph: Graph
    components: Mapping[str, Component]
    entries: list[str]


def read(form: OriginalGraph) -> Read:
    """Read and check a graph. Raises :class:`InvalidGraph` with all problems.

    A component is named for its class and its place: ``reader1``, ``printer2``. Entries are the components that no wire leads to,
    and adapters (``__metatype__ = "ADAPTER"``) of which only other inputs than ``in`` are wired.
    """
    problems: list[Problem] = []
    names = _names(form, problems)
    wires = tuple(_wires(form, names, problems))
    nodes = {name: GraphNode(name, type(component).__name__) for component, name in names.items()}
    graph = Graph("dataflow", nodes, wires)
    if not problems and not nodes:
        problems.append(Problem("", "it has no component", "graph.form"))
    if not problems and (cycle := find_cycle(graph)):
        problems.append(Problem("", f"the wires close a cycle: {' -> '.join(cycle)}", "graph.cycle"))
    components = {name: component for component, name in names.items()}
    entries = [] if problems else _entries(graph, components, problems)
    if problems:
        raise InvalidGraph("the dataflow cannot be built", problems=problems)
    return Read(graph, components, entries)


def _names(form: Any, problems: list[Problem]) -> dict[Component, str]:
    if not isinstance(form, Mapping):
        problems.append(Problem("", f"{_shown(form)} is no graph; {_FORM}", "graph.form"))
        return {}
    found: dict[Component, str] = {}
    for source, targets in form.items():
        if not isinstance(targets, Mapping):
            problems.append(Problem(_shown(source), f"{_shown(targets)} is no mapping; {_FORM}", "graph.form"))
        for component in (source, *(targets if isinstance(targets, Mapping) else ())):
            if isinstance(component, Component):
                found.setdefault(component, f"{type(component).__name__.lower()}{len(found) + 1}")
            else:
                problems.append(Problem(_shown(component), _no_component(component), "pipeline.no_component"))
    return found


_FORM = 'the form is {component: {component: ("out", "in")}}'


def _no_component(value: Any) -> str:
    if isinstance(value, type) and issubclass(value, Component):
        return f"a dataflow is made of components, not of classes; write {value.__name__}()"
    return "it is no component"


def _shown(value: Any) -> str:
    return f"{type(value).__name__.lower()}" if isinstance(value, Component) else repr(value)


def _wires(form: OriginalGraph, names: Mapping[Component, str], problems: list[Problem]) -> list[Wire]:
    if problems:
        return []
    found = []
    for source, targets in form.items():
        for target, ports in targets.items():
            path = f"{names[source]} -> {names[target]}"
            if not isinstance(ports, tuple | list) or [*map(type, ports)] != [str, str]:
                problems.append(Problem(path, f"{ports!r} is no pair of ports; {_FORM}", "graph.form"))
                continue
            output, input = ports
            known = source.get_out_ports()
            if output not in (*known, ERROR_PORT):
                problems.append(Problem(path, _no_port("output", output, names[source], known), "graph.unknown_port"))
            if input not in (known := target.get_in_ports()):
                problems.append(Problem(path, _no_port("input", input, names[target], known), "graph.unknown_port"))
            found.append(Wire(names[source], output, names[target], input))
    return found


def _no_port(kind: str, port: str, name: str, known: list[str]) -> str:
    return f"{name} has no {kind} port {port!r}; it has {', '.join(known) or 'none'}"


def _entries(graph: Graph, components: Mapping[str, Component], problems: list[Problem]) -> list[str]:
    found = []
    for name in Plan(graph).order:
        component, wired = components[name], {wire.input for wire in graph.wires if wire.target == name}
        if wired and (component.get_type() != "ADAPTER" or "in" in wired or not component.has_port("in")):
            continue
        if not component.get_in_ports():
            problems.append(
                Problem(name, "no data can be sent to it: it has no input port, and no wire leads to it", "graph.form")
            )
        found.append(name)
    return found
