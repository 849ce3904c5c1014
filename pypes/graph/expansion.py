"""Expansion: a graph with composites becomes one without. Their filters are called ``outer:inner`` in it.

All that runs, counts and tells is about the expanded graph; what people write and change is the graph as it is written.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Protocol

from pypes.component import ERROR_PORT
from pypes.core.pools import Pool
from pypes.errors import InvalidGraph, Problem
from pypes.graph import composite as form
from pypes.graph.codec import FILTER_OPTIONS, FORM
from pypes.graph.composite import PIN, Composite, End
from pypes.graph.model import Graph, GraphNode, Wire

#: Between the name of a composite's filter and those inside it.
SEPARATOR: Final = ":"
#: Composites within each other, at most.
MOST_DEPTH: Final = 8
#: Filters and wires of an expanded graph, at most: beyond, to check it would keep a node from everything else for seconds.
MOST_FILTERS: Final = 2000
MOST_WIRES: Final = 10_000
#: Longest name of a filter, in characters: it is that of a file, and has a place in the crash record.
MOST_CHARS: Final = 200
#: The component whose parameters are a composite: by name, or as it is.
SUBGRAPH: Final = "Subgraph"
#: Parameters of a ``Subgraph`` that runs elsewhere: it is no part of this graph then.
REMOTE: Final = frozenset({"url", "command"})
#: After so many problems nothing more is looked at.
MOST_PROBLEMS: Final = 200

#: The place at which a filter is drawn.
Place = tuple[float, float]


class Found(NamedTuple):
    """A composite with its version; 0 for one that has none, as it is in a file."""

    composite: Composite
    version: int = 0


class Library(Protocol):
    """The composites that filters may name."""

    def find(self, name: str, version: int | None) -> Found | None:
        """A version of a composite, by default the newest; ``None`` if there is none of that name, or no such version."""


class Overlaid:
    """A library in which one composite, which is not kept yet, is the newest of its name."""

    def __init__(self, composite: Composite, library: Library) -> None:
        self._composite = composite
        self._library = library

    def find(self, name: str, version: int | None) -> Found | None:
        """As :class:`Library`."""
        if name == self._composite.name and version is None:
            return Found(self._composite)
        return self._library.find(name, version)


class Use(NamedTuple):
    """A composite that is part of a graph, in the version that is."""

    name: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Expanded:
    """A graph without composites, and where each part of it was written.

    ``uses`` are the composites in it that have a name. ``wires`` has for each wire the composite's filter in which it is written,
    empty for the graph itself, and its number there; without any, nobody knows. ``given`` has for parameters of filters inside
    the place in the graph that gives them.
    """

    graph: Graph
    uses: tuple[Use, ...] = ()
    wires: tuple[tuple[str, int], ...] = ()
    given: Mapping[End, End] = field(default_factory=dict)

    def retold(self, problem: Problem) -> Problem:
        """A problem of the expanded graph at its place in the graph as it is written."""
        head, _, rest = problem.path.partition(".")
        if head == "wires" and rest.isdecimal() and self.wires:
            within, number = self.wires[int(rest)]
            place = f"wires.{number}"
            return inside(within, place, problem) if within else replace(problem, path=place)
        if head == "pools" and SEPARATOR in rest:
            within, _, name = rest.rpartition(SEPARATOR)
            return inside(within, f"pools.{name}", problem)
        filter, _, place = rest.partition(".")
        if head != "nodes" or SEPARATOR not in filter:
            return problem
        first, _, parameter = place.partition(".")
        parameter, _, deeper = parameter.partition(".")
        outer = self.given.get(End(filter, parameter)) if first == "params" else None
        if outer is None:
            return inside(filter, place, problem)
        path = f"nodes.{outer}.{deeper}" if deeper else f"nodes.{outer}"
        return replace(problem, path=path, message=f"{problem.message} (parameter {parameter!r} of {filter})")


def expand_graph(graph: Graph, library: Library, catalogue: Collection[str] = (), way: tuple[str, ...] = ()) -> Expanded:
    """Put the composites that a graph uses into it; what is no composite is left as it is.

    ``catalogue`` has the names of the installed components, which composites may not have; ``way`` the composites within which
    the graph is. Raises :class:`InvalidGraph` with everything that keeps it from being done: a composite that is in itself, ports
    and parameters that there are not.
    """
    expansion = _Expansion(library, catalogue)
    expansion.put(graph, "", way)
    if expansion.problems:
        raise InvalidGraph("the graph is not valid", where=graph.name, problems=expansion.problems)
    if not expansion.has_composites:
        return Expanded(graph, (), tuple(("", number) for number in range(len(graph.wires))))
    expanded = replace(
        graph,
        nodes=expansion.nodes,
        wires=tuple(wire for wire, _ in expansion.wires),
        pools=expansion.pools,
        layout=expansion.layout,
    )
    origins = tuple(origin for _, origin in expansion.wires)
    return Expanded(expanded, tuple(sorted(set(expansion.uses))), origins, expansion.given)


def named(component: str) -> tuple[str, int | None]:
    """The name of a composite, and the version to which it is pinned (``None``: to none), in the ``component`` of a filter."""
    name, at, version = component.partition(PIN)
    return (name, int(version)) if at and version.isdecimal() and len(version) < 10 else (component, None)


def named_in(node: Mapping[str, Any]) -> str:
    """The component that a filter in its JSON form names: its own, or that of a ``Subgraph``; empty if it has it within."""
    component = node.get("component")
    params = node.get("params")
    if component == SUBGRAPH and isinstance(params, Mapping):
        component = params.get("graph")
    return component if isinstance(component, str) else ""


def params_of(node: GraphNode) -> Mapping[str, Any]:
    """The parameters of a filter; those of the composite, of a ``Subgraph``."""
    params = node.params.get("params", {}) if node.component == SUBGRAPH else node.params
    return params if isinstance(params, Mapping) else {}


class _Wanted(NamedTuple):
    """A composite that a filter is, the parameters that it is given, and where these are in the filter.

    ``is_within``: it is written in the filter itself, and has no name by which others know it.
    """

    found: Found
    params: Mapping[str, Any]
    place: str
    is_within: bool = False


class _Ports(NamedTuple):
    """The ports of filters inside to which those of a composite lead."""

    inputs: Mapping[str, list[End]]
    outputs: Mapping[str, list[End]]


#: Of a filter that is said to be a composite, and is none that can be found.
UNKNOWN: Final = _Ports({}, {})


class _Expansion:
    """Gathers the parts of an expanded graph, and what keeps it from being one."""

    def __init__(self, library: Library, catalogue: Collection[str]) -> None:
        self._library = library
        self._catalogue = catalogue
        self.problems: list[Problem] = []
        self.nodes: dict[str, GraphNode] = {}
        #: Each with its origin, as :class:`Expanded` has it.
        self.wires: list[tuple[Wire, tuple[str, int]]] = []
        self.pools: dict[str, Pool] = {}
        self.layout: dict[str, Place] = {}
        self.uses: list[Use] = []
        self.has_composites = False
        self.given: dict[End, End] = {}

    def put(self, graph: Graph, within: str, way: tuple[str, ...], at: Place = (0.0, 0.0)) -> dict[str, _Ports]:
        """Add a graph, or what the filter ``within`` is made of; returns the ports of its filters that are composites.

        ``way`` are the composites that lead here, ``at`` is where the upper left one of its filters is drawn.
        """
        prefix = f"{within}{SEPARATOR}" if within else ""
        self.pools |= {prefix + name: pool for name, pool in graph.pools.items()}
        places = _moved(graph.layout, at) if within else graph.layout
        ports: dict[str, _Ports] = {}
        for name, node in graph.nodes.items():
            full, before = prefix + name, len(self.problems)
            wanted = self._wanted(node, within)
            if wanted is not None:
                ports[name] = self._put_composite(wanted, node, within, way, places.get(name, at))
            elif len(self.problems) > before:
                ports[name] = UNKNOWN
            else:
                pool = f"{prefix}{node.pool}" if isinstance(node.pool, str) and node.pool in graph.pools else node.pool
                self.nodes[full] = replace(node, name=full, pool=pool)
                self.layout |= {full: places[name]} if name in places else {}
        self._put_wires(graph, within, ports)
        self._check_size(within)
        return ports

    # -- one filter -----------------------------------------------------------------------------------------------

    def _wanted(self, node: GraphNode, within: str) -> _Wanted | None:
        """The composite that a filter is; ``None`` if it is none, or not one that can be found: then there is a problem."""
        path = f"nodes.{node.name}"
        component: Any = node.component
        params, place = node.params, "params"
        if component == SUBGRAPH and not REMOTE & params.keys():
            component, params, place = params.get("graph"), params.get("params", {}), "params.params"
            for key in node.params.keys() - {"graph", "params"}:
                self._add(within, f"{path}.params.{key}", "unknown parameter; it has graph, params", "param.unknown")
            if not isinstance(params, Mapping):
                self._add(within, f"{path}.{place}", "must be an object: the parameters of the composite", "param.invalid")
                return None
            if isinstance(component, Mapping):
                return self._written_within(component, params, node, within)
            if not isinstance(component, str) or self._library.find(named(component)[0], None) is None:
                message = "must be the name of a composite (GET /composites lists them), or a composite as a JSON object"
                self._add(within, f"{path}.params.graph", message, "graph.unknown_composite")
                return None
        name, version = named(component)
        found = self._library.find(name, version)
        if found is not None and name in self._catalogue:
            message = f"{name!r} is both an installed component and a composite; rename the composite"
            self._add(within, f"{path}.component", message, "composite.name_taken")
        elif found is not None:
            return _Wanted(found, params, place)
        elif version is not None and self._library.find(name, None) is not None:
            message = f"composite {name!r} has no version {version} here; name one of its versions, or leave out {PIN}{version}"
            self._add(within, f"{path}.component", message, "composite.no_version")
        return None

    def _written_within(self, obj: Mapping[str, Any], params: Mapping[str, Any], node: GraphNode, within: str) -> _Wanted | None:
        try:
            composite = form.from_obj({"pypes": FORM, "name": node.name, **obj})
        except InvalidGraph as error:
            for problem in error.problems:
                self._add(within, f"nodes.{node.name}.params.graph.{problem.path}", problem.message, problem.code)
            return None
        return _Wanted(Found(composite), params, "params.params", is_within=True)

    def _put_composite(self, wanted: _Wanted, node: GraphNode, within: str, way: tuple[str, ...], at: Place) -> _Ports:
        composite, version = wanted.found
        path = f"nodes.{node.name}"
        full = f"{within}{SEPARATOR}{node.name}" if within else node.name
        for option in FILTER_OPTIONS:
            if getattr(node, option) is not None:
                message = f"a composite has no {option}; give it to the filters inside, and save the composite"
                self._add(within, f"{path}.{option}", message, "graph.composite_option")
        name = SUBGRAPH if wanted.is_within else composite.name
        if name in way and not wanted.is_within:
            message = f"the composite is within itself: {' -> '.join([*way, name])}; take it out of one of them"
            self._add(within, f"{path}.component", message, "composite.recursive")
            return UNKNOWN
        if len(way) >= MOST_DEPTH:
            message = f"composites are within each other {MOST_DEPTH} deep at most: {' -> '.join(way)}; put some in one"
            self._add(within, f"{path}.component", message, "composite.too_deep")
            return UNKNOWN
        self.has_composites = True
        if not wanted.is_within:
            self.uses.append(Use(name, version, composite.digest))
        body = self._filled(composite, wanted, full, within)
        return self._ports(composite, full, self.put(body, full, (*way, name), at))

    def _filled(self, composite: Composite, wanted: _Wanted, full: str, within: str) -> Graph:
        """The filters and wires of a composite, with the parameters that it is given."""
        name = full.rpartition(SEPARATOR)[2]
        path = f"nodes.{name}.{wanted.place}"
        for unknown in wanted.params.keys() - composite.parameters.keys():
            near = difflib.get_close_matches(unknown, composite.parameters, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(composite.parameters) or 'no parameters'}"
            self._add(within, f"{path}.{unknown}", f"unknown parameter; {hint}", "param.unknown")
        inner: dict[str, dict[str, Any]] = {}
        for parameter, told in composite.parameters.items():
            origin = self.given.get(End(full, parameter)) if within else End(name, f"{wanted.place}.{parameter}")
            for end in told.sets:
                if origin is not None:
                    self.given[End(f"{full}{SEPARATOR}{end.filter}", end.name)] = origin
                if parameter in wanted.params:
                    inner.setdefault(end.filter, {})[end.name] = wanted.params[parameter]
        nodes = {
            each: replace(node, params=_set(node, inner[each])) if each in inner else node
            for each, node in composite.body.nodes.items()
        }
        return replace(composite.body, nodes=nodes)

    def _ports(self, composite: Composite, full: str, inside: Mapping[str, _Ports]) -> _Ports:
        """The ports of a composite; without one of this name, ``error`` is that of all filters inside that have no wire there."""
        inputs = {name: self._ends(ends, full, inside, is_output=False) for name, ends in composite.inputs.items()}
        outputs = {name: self._ends(ends, full, inside, is_output=True) for name, ends in composite.outputs.items()}
        wired = {wire.source for wire in composite.body.wires if wire.output == ERROR_PORT}
        loose = tuple(End(name, ERROR_PORT) for name in composite.body.nodes if name not in wired)
        outputs.setdefault(ERROR_PORT, self._ends(loose, full, inside, is_output=True))
        return _Ports(inputs, outputs)

    def _ends(self, ends: Iterable[End], full: str, inside: Mapping[str, _Ports], *, is_output: bool) -> list[End]:
        found: list[End] = []
        for end in ends:
            known = inside.get(end.filter)
            if known is None:
                found.append(End(f"{full}{SEPARATOR}{end.filter}", end.name))
            elif (reached := (known.outputs if is_output else known.inputs).get(end.name)) is not None:
                found += reached
            elif known is not UNKNOWN:
                kind = "outputs" if is_output else "inputs"
                message = f"a port of it leads to {end}, and there is no such port; correct its {kind}"
                self._add(full, kind, message, "graph.unknown_port")
        return found

    # -- wires ----------------------------------------------------------------------------------------------------

    def _put_wires(self, graph: Graph, within: str, ports: Mapping[str, _Ports]) -> None:
        for number, wire in enumerate(graph.wires):
            sources = self._reached(End(wire.source, wire.output), within, ports, number, is_output=True)
            targets = self._reached(End(wire.target, wire.input), within, ports, number, is_output=False)
            self.wires += [(Wire(*source, *target), (within, number)) for source in sources for target in targets]

    def _reached(self, end: End, within: str, ports: Mapping[str, _Ports], number: int, *, is_output: bool) -> list[End]:
        """The filters that an end of a wire reaches."""
        known = ports.get(end.filter)
        if known is None:
            return [End(f"{within}{SEPARATOR}{end.filter}" if within else end.filter, end.name)]
        reached = known.outputs if is_output else known.inputs
        if end.name not in reached and known is not UNKNOWN:
            side, has = ("output" if is_output else "input"), ", ".join(reached) or "none"
            near = difflib.get_close_matches(end.name, reached, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {has}"
            message = f"filter {end.filter!r}, a composite, has no {side} {end.name!r}; {hint}"
            self._add(within, f"wires.{number}", message, "graph.unknown_port")
        return reached.get(end.name, [])

    # -- problems -------------------------------------------------------------------------------------------------

    def _add(self, within: str, path: str, message: str, code: str) -> None:
        problem = Problem(path, message, code)
        self.problems.append(inside(within, path, problem) if within else problem)

    def _check_size(self, within: str) -> None:
        """Raise :class:`InvalidGraph` where it would take long to go on."""
        long = next((name for name in self.nodes if len(name) > MOST_CHARS), None)
        if long is not None:
            message = (
                f"with the composites around it, the name of a filter may have {MOST_CHARS} characters; this has {len(long)}"
            )
            self._add(long, "", message, "graph.name")
        if len(self.nodes) > MOST_FILTERS or len(self.wires) > MOST_WIRES:
            message = (
                f"with what composites are made of, a graph has more than {MOST_FILTERS} filters or {MOST_WIRES} wires; split it"
            )
            self._add(within, "nodes", message, "graph.too_large")
        if len(self.problems) > MOST_PROBLEMS or (self.problems and self.problems[-1].code in ("graph.too_large", "graph.name")):
            raise InvalidGraph("the graph is not valid", problems=self.problems)


def inside(within: str, place: str, problem: Problem) -> Problem:
    """A problem at a place inside of the filter ``within``, told of the filter of the graph that it is in."""
    at = f"{within}, {place}" if place else within
    return replace(problem, path=f"nodes.{within.partition(SEPARATOR)[0]}", message=f"inside, at {at}: {problem.message}")


def _set(node: GraphNode, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a filter inside with those that are given from outside; a ``Subgraph`` has them one level deeper."""
    if node.component != SUBGRAPH:
        return {**node.params, **given}
    return {**node.params, "params": {**params_of(node), **given}}


def _moved(layout: Mapping[str, Place], at: Place) -> dict[str, Place]:
    """Places of filters with the upper left corner of all at ``at``."""
    left, top = (min((place[side] for place in layout.values()), default=0.0) for side in (0, 1))
    return {name: (at[0] + x - left, at[1] + y - top) for name, (x, y) in layout.items()}
