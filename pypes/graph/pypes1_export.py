"""Graphs as projects of the original Pypes: the way back of :mod:`pypes.graph.pypes1`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pypes.errors import Problem
from pypes.graph.model import Graph, GraphNode
from pypes.graph.pypes1_plugins import NAME_THERE, PLUGINS
from pypes.graph.spec import ComponentSpec

#: The fields of a graph that a project has a place for.
_KEPT = frozenset({"name", "nodes", "wires", "layout"})
#: The place of filters that have none, one below the other.
_LEFT, _DISTANCE = 100, 120


@dataclass(frozen=True, slots=True)
class Exported:
    """A project made of a graph, and what of the graph it has no place for."""

    project: dict[str, Any]
    report: tuple[Problem, ...]


def to_obj(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Exported:
    """Write a graph as a project, with the plugins of the original in the place of their counterparts."""
    report = [
        Problem(field.name, "has no place in a project and is left out", "pypes1.left_out")
        for field in fields(graph)
        if field.name not in _KEPT and getattr(graph, field.name) != field.default and getattr(graph, field.name)
    ]
    containers, places = [], {name: place for place, name in enumerate(graph.nodes)}
    for name, node in graph.nodes.items():
        position = graph.layout.get(name, (_LEFT, _LEFT + _DISTANCE * places[name]))
        containers.append(_container(node, places[name], position, catalogue.get(node.component), report))
    wires = []
    for number, wire in enumerate(graph.wires):
        source, target = places[wire.source], places[wire.target]
        if wire.output not in (outputs := containers[source]["outputs"]) and outputs:
            report.append(Problem(f"wires.{number}", f"the original has no port {wire.output!r} there", "pypes1.unknown_port"))
        wires.append(
            {
                "src": {
                    "moduleId": source,
                    "termid": wire.output,
                    "terminalId": _terminal(containers[source], wire.output, "outputs"),
                },
                "tgt": {
                    "moduleId": target,
                    "termid": wire.input,
                    "terminalId": _terminal(containers[target], wire.input, "inputs"),
                },
            }
        )
    return Exported({"containers": containers, "wires": wires}, tuple(report))


def _container(
    node: GraphNode, place: int, position: tuple[float, float], spec: ComponentSpec | None, report: list[Problem]
) -> dict[str, Any]:
    there = NAME_THERE.get(node.component)
    plugin = PLUGINS[there] if there is not None else None
    if plugin is None:
        what = f"the original has no component {node.component}; port the component to the original"
        report.append(Problem(f"nodes.{node.name}", what, "pypes1.unknown_component"))
        params = dict(node.params)
    else:
        params = plugin.write(dict(node.params))
        for name in params:
            if name not in plugin.params:
                what = f"{there} has no such parameter"
                report.append(Problem(f"nodes.{node.name}.params.{name}", what, "pypes1.unknown_parameter"))
    kind = plugin.kind if plugin is not None else spec.kind if spec is not None else ""
    return {
        "filterName": there or node.component,
        "name": node.name,
        "cid": str(place + 1),
        "type": f"{kind.title()}s" if kind else "",
        # its editor shows no inputs of adapters and no outputs of publishers
        "inputs": list(spec.inputs) if spec is not None and kind != "ADAPTER" else [],
        "outputs": list(spec.outputs) if spec is not None and kind != "PUBLISHER" else [],
        "position": list(position),
        "params": {name: [value, plugin.options.get(name, []) if plugin is not None else []] for name, value in params.items()},
        "xtype": "jsBox",
    }


def _terminal(container: Mapping[str, Any], port: str, side: str) -> int:
    """The number of a port among those that are drawn: inputs first."""
    ports = container[side]
    return (len(container["inputs"]) if side == "outputs" else 0) + (ports.index(port) if port in ports else 0)
