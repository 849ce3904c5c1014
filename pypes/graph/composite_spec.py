"""Composites as components: the ports and parameters that they have, told by what is inside, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pypes.component import ERROR_PORT
from pypes.errors import InvalidGraph, Problem
from pypes.graph import composite as form
from pypes.graph.codec import FORM
from pypes.graph.composite import Composite, End
from pypes.graph.expansion import SUBGRAPH, Found, Library, expand_graph, named, params_of
from pypes.graph.model import Graph, GraphNode
from pypes.graph.spec import ComponentSpec

#: The kind of composites, where components have a kind.
COMPOSITE: Final = "COMPOSITE"
#: Problems of a graph that a composite does not have: it is a part of one.
_OF_WHOLE_GRAPHS: Final = frozenset(
    {"graph.no_adapter", "graph.no_publisher", "graph.no_source", "graph.unreachable", "graph.dead_end"}
)


def spec_of(found: Found, library: Library, catalogue: Mapping[str, ComponentSpec]) -> ComponentSpec:
    """A composite as the catalogue describes components. What is not known inside is left out; see :func:`problems_of`."""
    composite = found.composite
    reader = _Specs(library, catalogue)
    specs = {name: reader.of(node, ()) for name, node in composite.body.nodes.items()}
    return reader.described(composite, found.version, specs)


def problems_of(
    composite: Composite,
    library: Library,
    catalogue: Mapping[str, ComponentSpec],
    check: Callable[[Graph], list[Problem]],
) -> list[Problem]:
    """Everything that is wrong with a composite; ``library`` has those that it uses, and itself. ``check`` checks a graph.

    Parameters that are given from outside may be missing inside.
    """
    if composite.name == SUBGRAPH or composite.name in catalogue:
        message = f"{composite.name!r} is the name of a component; take another one"
        return [Problem("name", message, "composite.name_taken")]
    try:
        expanded = expand_graph(composite.body, library, catalogue, (composite.name,))
    except InvalidGraph as error:
        return [*error.problems]
    found = [expanded.retold(problem) for problem in check(expanded.graph) if problem.code not in _OF_WHOLE_GRAPHS]
    given = {_place(composite, end) for told in composite.parameters.values() for end in told.sets}
    found = [problem for problem in found if problem.code != "param.missing" or problem.path not in given]
    reader = _Specs(library, catalogue)
    specs = {name: reader.of(node, ()) for name, node in composite.body.nodes.items()}
    for name, ends in composite.inputs.items():
        found += _unknown(f"inputs.{name}", ends, specs, "input")
    for name, ends in composite.outputs.items():
        found += _unknown(f"outputs.{name}", ends, specs, "output")
    for name, told in composite.parameters.items():
        found += _unknown(f"parameters.{name}", told.sets, specs, "parameter")
    return found


def _place(composite: Composite, end: End) -> str:
    """The path of a parameter that is given from outside."""
    params = "params.params" if composite.body.nodes[end.filter].component == SUBGRAPH else "params"
    return f"nodes.{end.filter}.{params}.{end.name}"


def _names(spec: ComponentSpec, what: str) -> Mapping[str, Any]:
    """The inputs, outputs or parameters of a component, by name."""
    if what == "parameter":
        properties: Mapping[str, Any] = spec.schema.get("properties", {})
        return properties
    return spec.inputs if what == "input" else {**spec.outputs, ERROR_PORT: ""}


def _unknown(path: str, ends: tuple[End, ...], specs: Mapping[str, ComponentSpec | None], what: str) -> list[Problem]:
    found = []
    for end in ends:
        spec = specs.get(end.filter)
        if spec is not None and not spec.error and end.name not in (known := _names(spec, what)):
            message = f"filter {end.filter!r} ({spec.name}) has no {what} {end.name!r}; it has {', '.join(known) or 'none'}"
            found.append(Problem(path, message, "param.unknown" if what == "parameter" else "graph.unknown_port"))
    return found


class _Specs:
    """Describes the filters inside of composites, others of which they may be."""

    def __init__(self, library: Library, catalogue: Mapping[str, ComponentSpec]) -> None:
        self._library = library
        self._catalogue = catalogue

    def of(self, node: GraphNode, way: tuple[str, ...]) -> ComponentSpec | None:
        """The description of a filter's component or composite; ``None`` if there is none, or it would be within itself."""
        if (spec := self._catalogue.get(node.component)) is not None:
            return spec
        component = node.params.get("graph") if node.component == SUBGRAPH else node.component
        if isinstance(component, Mapping):
            name, found = SUBGRAPH, Found(form.from_obj({"pypes": FORM, "name": node.name, **component}))
        else:
            name, version = named(str(component))
            known = None if name in way else self._library.find(name, version)
            if known is None:
                return None
            found = known
        inside = {each: self.of(other, (*way, name)) for each, other in found.composite.body.nodes.items()}
        return self.described(found.composite, found.version, inside)

    def described(self, composite: Composite, version: int, inside: Mapping[str, ComponentSpec | None]) -> ComponentSpec:
        """A composite whose filters are described."""
        inputs = {name: _port(ends, inside, "input") for name, ends in composite.inputs.items()}
        outputs = {name: _port(ends, inside, "output") for name, ends in composite.outputs.items() if name != ERROR_PORT}
        return ComponentSpec(
            composite.name,
            COMPOSITE,
            version=str(version or ""),
            doc=composite.body.description,
            inputs=inputs,
            outputs=outputs,
            schema=_schema(composite, inside),
            privileged=any(spec is not None and spec.privileged for spec in inside.values()),
        )


def _port(ends: tuple[End, ...], inside: Mapping[str, ComponentSpec | None], what: str) -> str:
    spec = inside.get(ends[0].filter)
    return "" if spec is None else str(_names(spec, what).get(ends[0].name, ""))


def _schema(composite: Composite, inside: Mapping[str, ComponentSpec | None]) -> dict[str, Any]:
    """The schema of the parameters: each as the first of those that it sets, with the value that this has by default."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    definitions: dict[str, Any] = {}
    for name, told in sorted(composite.parameters.items()):
        for end in reversed(told.sets):
            spec, params = inside.get(end.filter), params_of(composite.body.nodes[end.filter])
            schema = {} if spec is None else spec.schema
            piece = dict(schema.get("properties", {}).get(end.name, {}))
            definitions |= schema.get("$defs", {})
            if end.name in params:
                piece["default"] = params[end.name]
            elif end.name in schema.get("required", ()) and name not in required:
                required.append(name)
            properties[name] = piece
        if told.description:
            properties[name]["description"] = told.description
    more = {"$defs": definitions} if definitions else {}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}
