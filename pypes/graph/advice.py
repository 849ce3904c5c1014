"""Advice: what in a graph can be deployed, but hardly does what was meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Any, Final

from pypes.errors import Problem
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec

#: Kinds of components whose packets all go on, as a rule.
_COPYING: Final = ("ADAPTER", "TRANSFORMER", "EXTRACTOR")


def advise(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> list[Problem]:
    """All that is worth a warning, in the order in which the graph is written. It must be valid (see ``validate``)."""
    return [*_held_branches(graph, catalogue), *_shared_ids(graph, catalogue), *_shared_parts(graph, catalogue)]


def _held_branches(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Joins that see of a document what came past a filter that holds packets, and later what that filter held."""
    wires = {(wire.source, wire.target) for wire in graph.wires}
    ports = _wired_inputs(graph)
    holders = [name for name, node in graph.nodes.items() if (spec := catalogue.get(node.component)) is not None and spec.holds]
    backward = {(target, source) for source, target in wires}
    for name in graph.nodes:
        if len(ports.get(name, ())) < 2:
            continue
        for holder in holders:
            before = reach((holder,), backward) - {holder}
            if name == holder or name not in reach((holder,), wires):
                continue
            past = reach(before, {(source, target) for source, target in wires if holder not in (source, target)})
            if name in past:
                message = (
                    f"documents also come here past {holder!r}, which holds packets: the two halves of a document never "
                    "meet, since each arrives in a turn of its own; hold packets behind the join, or before the branches "
                    "part"
                )
                yield Problem(f"nodes.{name}", message, "graph.held_branch")


def _shared_ids(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Sources of one component that look into different folders, and make ids of what they find there in the same way."""
    sources = [name for name, node in graph.nodes.items() if (spec := catalogue.get(node.component)) is not None and spec.fetches]
    for one, other in combinations(sources, 2):
        component = graph.nodes[one].component
        if component != graph.nodes[other].component:
            continue
        properties: Mapping[str, Any] = catalogue[component].schema.get("properties", {})
        values, others = (_values(graph.nodes[name].params, properties) for name in (one, other))
        differ = {name for name in properties if values.get(name) != others.get(name)}
        template = values.get("id")
        places = set(re.findall(r"\{(\w+)\}", template)) if isinstance(template, str) else set()
        # a template that names a parameter (``{url}``) makes other ids where that is another
        if places and not differ & {"id", *places} and any(properties[name].get("format") == "path" for name in differ):
            message = (
                f"files of the same name in the folders of {one!r} and {other!r} get the same id, {template}, and one document "
                f"takes the place of the other; begin the ids with a name, such as {other}/{template}"
            )
            yield Problem(f"nodes.{other}.params.id", message, "graph.shared_ids")


def _shared_parts(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Filters that make parts of one kind of the same packets, on branches that end in one publisher.

    Named are only those that get the same packets for certain: what drops or routes packets may stand between branches so that
    each gets others.
    """
    specs = {name: spec for name, node in graph.nodes.items() if (spec := catalogue.get(node.component)) is not None}
    splitters = [name for name, spec in specs.items() if spec.parts]
    wires = {(wire.source, wire.target) for wire in graph.wires}
    # a join may make one packet of those of two branches, and what drops or routes may give each branch others
    joins = {name for name, ports in _wired_inputs(graph).items() if len(ports) > 1}
    passing = {(source, target) for source, target in wires if target not in joins}
    copying = {(source, target) for source, target in wires if source in specs and specs[source].kind in _COPYING}
    for one, other in combinations(splitters, 2):
        kinds = set(specs[one].parts).intersection(specs[other].parts)
        if not kinds or other in reach((one,), wires) or one in reach((other,), wires):
            continue
        if not _get_the_same(one, other, graph, specs, copying):
            continue
        for publisher in sorted(reach((one,), passing) & reach((other,), passing)):
            if publisher in specs and specs[publisher].kind == "PUBLISHER":
                message = (
                    f"{one!r} and {other!r} make parts of the same documents, and name them alike ({', '.join(sorted(kinds))}): "
                    f"in {publisher!r} the parts of one replace those of the other; make parts of another kind in one of them, "
                    "or publish them to different publishers"
                )
                yield Problem(f"nodes.{publisher}", message, "graph.shared_parts")


def _get_the_same(
    one: str, other: str, graph: Graph, specs: Mapping[str, ComponentSpec], copying: Collection[tuple[str, str]]
) -> bool:
    """True if two filters get copies of the same packets: of what comes out of one port, or enters at two adapters."""
    if specs[one].kind == specs[other].kind == "ADAPTER" and set(specs[one].accepts) & set(specs[other].accepts):
        return True
    ports: dict[tuple[str, str], set[str]] = {}
    for wire in graph.wires:
        ports.setdefault((wire.source, wire.output), set()).add(wire.target)
    return any(
        one in reach((first,), copying) and other in reach((second,), copying)
        for targets in ports.values()
        for first in targets
        for second in targets - {first}
    )


def _wired_inputs(graph: Graph) -> dict[str, set[str]]:
    """The inputs of each filter to which wires lead."""
    ports: dict[str, set[str]] = {}
    for wire in graph.wires:
        ports.setdefault(wire.target, set()).add(wire.input)
    return ports


def _values(params: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with the defaults of those that are not given."""
    return {name: params.get(name, schema.get("default")) for name, schema in properties.items()}


def reach(starts: Collection[str], wires: Collection[tuple[str, str]]) -> set[str]:
    """The filters that wires, pairs of filters, lead to from ``starts``, these included."""
    after: dict[str, list[str]] = {}
    for source, target in wires:
        after.setdefault(source, []).append(target)
    reached = set(starts)
    waiting = list(starts)
    while waiting:
        for target in after.get(waiting.pop(), ()):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached
