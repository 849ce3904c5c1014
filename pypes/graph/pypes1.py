"""Projects of the original Pypes (2010-2014): its editor's JSON, read into a graph.

A project is ``{"containers": [{"filterName", "type", "cid", "params", "name", "position": [x, y]}, …], "wires":
[{"src": {"moduleId", "termid"}, "tgt": {…}}, …]}``: a wire names a container by its place in the list or by its ``cid``, a port
by ``termid``. Positions within a ``config`` of the container are read, too. Parameters are ``name: [value, options]``, as
``get_parameters`` gives them, or plain values. What came with the original is read as :mod:`pypes.graph.pypes1_plugins` has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pypes.errors import InvalidGraph, Problem
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.pypes1_plugins import PLUGINS
from pypes.graph.spec import ComponentSpec

#: Distance from one to the next of the filters that one container became, downwards.
CHAIN_DISTANCE = 60

#: Largest distance of a filter from the corner of the canvas.
_FARTHEST = 1e9


@dataclass(frozen=True, slots=True)
class Imported:
    """A graph made of a project, and what of the project has no counterpart (path, what was done about it, code)."""

    graph: Graph
    report: tuple[Problem, ...]


def loads(text: bytes | str, name: str, catalogue: Mapping[str, ComponentSpec]) -> Imported:
    """Read a project into a graph called ``name``; raises :class:`InvalidGraph` if it is no project at all.

    The graph need not be valid: a component that is not installed is kept under its name, and reported.
    """
    try:
        obj = json.loads(text)
    except RecursionError:
        raise InvalidGraph("the JSON is nested too deeply for a project", code="graph.malformed") from None
    except ValueError as error:
        raise InvalidGraph(f"the project is not JSON: {error}", code="graph.malformed") from error
    return from_obj(obj, name, catalogue)


def from_obj(obj: Any, name: str, catalogue: Mapping[str, ComponentSpec]) -> Imported:
    """As :func:`loads`, from parsed JSON."""
    containers = obj.get("containers") if isinstance(obj, dict) else None
    if not isinstance(containers, list):
        raise InvalidGraph(
            "the file is no project of the original Pypes: the list of containers is missing", code="graph.malformed"
        )
    reader = _Reader(catalogue)
    for place, container in enumerate(containers):
        reader.container(place, container)
    wires = obj.get("wires", [])
    for place, wire in enumerate(wires if isinstance(wires, list) else []):
        reader.wire(place, wire)
    for key in obj.keys() - {"containers", "wires", "properties"}:
        reader.note(str(key), "has no counterpart and is left out", "pypes1.left_out")
    graph = Graph(name, reader.nodes, tuple(reader.wires), layout=reader.layout)
    return Imported(graph, tuple(reader.report))


def graph_name(text: str) -> str:
    """A name that a graph may have, near ``text``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:64] or "project"


class _Reader:
    """Takes a project apart, noting what cannot be carried over."""

    def __init__(self, catalogue: Mapping[str, ComponentSpec]) -> None:
        self.nodes: dict[str, GraphNode] = {}
        self.wires: list[Wire] = []
        self.layout: dict[str, tuple[float, float]] = {}
        self.report: list[Problem] = []
        self._catalogue = catalogue
        #: By place and by cid: the filters that a container became, the first of which takes its wires and the last sends them.
        self._names: dict[Any, tuple[str, str]] = {}
        #: The number with which the search for a name begins, by what comes before it.
        self._taken: dict[str, int] = {}

    def note(self, path: str, message: str, code: str) -> None:
        self.report.append(Problem(path, message, code))

    def container(self, place: int, container: Any) -> None:
        path = f"containers.{place}"
        component = container.get("filterName") if isinstance(container, dict) else None
        if not isinstance(component, str) or not component:
            self.note(path, "has no filterName and is left out", "pypes1.no_filter")
            return
        position = _position(container)
        wanted = container.get("name") or component
        path = f"nodes.{self._name_for(wanted, component)}"
        component, read = self._counterpart(path, component, _plain(container.get("params")))
        names: list[str] = []
        for number, params in enumerate(read):
            name = self._name_for(wanted, component)
            spec = self._catalogue.get(component)
            self.nodes[name] = GraphNode(name, component, self._known(params, spec, f"nodes.{name}.params"))
            if position is not None:
                self.layout[name] = (position[0], position[1] + number * CHAIN_DISTANCE)
            if names:
                self.wires.append(Wire(names[-1], "out", name, "in"))
            names.append(name)
        self._names[place] = ends = names[0], names[-1]
        if container.get("cid") is not None:
            self._names[str(container["cid"])] = ends

    def _counterpart(self, path: str, component: str, params: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
        """The component that stands for a plugin here, and the parameters of each of the filters that do its work."""
        plugin = PLUGINS.get(component)
        is_ported = component in self._catalogue and (plugin is None or component != plugin.component)
        if plugin is None or is_ported or plugin.component not in self._catalogue:
            if component not in self._catalogue:
                there = f"; the original's has no counterpart: {plugin.note}" if plugin is not None else "; install or port it"
                self.note(path, f"component {component!r} is not installed here{there}", "pypes1.unknown_component")
            return component, [params]
        if plugin.note:
            self.note(path, f"{plugin.component} for {component}: {plugin.note}", "pypes1.differs")
        return plugin.component, plugin.read(params)

    def _name_for(self, wanted: Any, component: str) -> str:
        """A name that filters may have, near the one wanted, and not taken yet."""
        base = _base(wanted) or _base(component) or "filter"
        name, number = base, self._taken.get(base, 2)
        while name in self.nodes:
            name, number = f"{base}-{number}", number + 1
        # the next of many that are called alike need not count from the beginning
        self._taken[base] = max(2, number - 1)
        return name

    def _known(self, params: dict[str, Any], spec: ComponentSpec | None, path: str) -> dict[str, Any]:
        """The parameters that a component has; the others are reported."""
        if spec is None:
            return params
        known = spec.schema.get("properties", {})
        for name in params.keys() - known:
            self.note(f"{path}.{name}", f"{spec.name} has no such parameter; left out", "pypes1.unknown_parameter")
        return {name: value for name, value in params.items() if name in known}

    def wire(self, place: int, wire: Any) -> None:
        path = f"wires.{place}"
        ends = [wire.get(key) if isinstance(wire, dict) else None for key in ("src", "tgt")]
        if not all(isinstance(end, dict) for end in ends):
            self.note(path, "has no src and tgt and is left out", "pypes1.no_wire")
            return
        source, target = (self._named(end.get("moduleId")) for end in ends)  # type: ignore[union-attr]
        if source is None or target is None:
            self.note(path, "leads to a container that is not there, and is left out", "pypes1.no_wire")
            return
        names = source[1], target[0]
        ports = [str(end.get("termid", "")) for end in ends]  # type: ignore[union-attr]
        for name, port, side in ((names[0], ports[0], "outputs"), (names[1], ports[1], "inputs")):
            spec = self._catalogue.get(self.nodes[name].component)
            if spec is not None and port not in getattr(spec, side) and port != "error":
                known = ", ".join(getattr(spec, side)) or "none"
                self.note(path, f"{spec.name} has no port {port!r} among its {side} ({known}); rewire it", "pypes1.unknown_port")
        self.wires.append(Wire(names[0], ports[0], names[1], ports[1]))

    def _named(self, module: Any) -> tuple[str, str] | None:
        return self._names.get(module) if isinstance(module, int) else self._names.get(str(module))


def _base(wanted: Any) -> str:
    """A valid name for a filter, close to ``wanted``, with room for a number; empty if nothing of that can stay."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", str(wanted)).strip("-").lower()[:56].strip("-")


def _plain(params: Any) -> dict[str, Any]:
    """Parameters without the options, which the component declares itself."""
    if not isinstance(params, dict):
        return {}
    return {
        name: value[0] if isinstance(value, list) and len(value) == 2 and isinstance(value[1], list) else value
        for name, value in params.items()
    }


def _position(container: Mapping[str, Any]) -> tuple[float, float] | None:
    config = container.get("config")
    for position in (container.get("position"), config.get("position") if isinstance(config, dict) else None):
        if isinstance(position, list) and len(position) == 2 and all(_is_place(x) for x in position):
            return position[0], position[1]
    return None


def _is_place(value: Any) -> bool:
    # neither NaN nor what no canvas has
    return type(value) in (int, float) and -_FARTHEST < value < _FARTHEST
