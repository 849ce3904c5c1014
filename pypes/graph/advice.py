"""Advice: what in a graph can be deployed, but hardly does what was meant."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Any, Final

from pypes.component.parameters import INPUTS
from pypes.core.limits import Limits
from pypes.errors import Problem
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec
from pypes.graph.ways import reach, ways

#: Kinds of components whose packets all go on, as a rule.
_COPYING: Final = ("ADAPTER", "TRANSFORMER", "EXTRACTOR")

#: Places where publishers keep whole documents, by the format of the parameter that names them.
_DESTINATIONS: Final[Mapping[str | None, str]] = {"path": "file", "outbox": "outbox"}


def advise(graph: Graph, catalogue: Mapping[str, ComponentSpec], limits: Limits | None = None, shards: int = 1) -> list[Problem]:
    """All that is worth a warning, in the order in which the graph is written. It must be valid (see ``validate``).

    ``limits`` are those of the node, where they are known, ``shards`` is the number of its ingest workers.
    """
    kinds = (
        _held_branches,
        _shared_ids,
        _shared_parts,
        _shared_destinations,
        _past_remembering,
        _unwaited_batches,
        _unwired_inputs,
    )
    beyond = [] if limits is None else _beyond_the_node(graph, limits, shards)
    return [*beyond, *(problem for found in kinds for problem in found(graph, catalogue))]


def _beyond_the_node(graph: Graph, limits: Limits, shards: int) -> Iterator[Problem]:
    """Limits of a graph that are larger than those of the node."""
    # a graph with order lies in one shard
    shards = 1 if graph.order_by else shards
    for name, value in graph.limits.to_obj().items():
        bound = getattr(limits, name, None)
        if bound is None or value <= (most := bound if name.endswith("_s") else bound * shards):
            continue
        where = f" ({bound} in each of {shards} shards)" if most != bound else ""
        message = (
            f"is more than the {most} that the node has{where}, so it bounds nothing; write less, or raise {name} in [limits] of "
            "pypes.ini"
        )
        yield Problem(f"limits.{name}", message, "graph.limit_beyond_node")


def _held_branches(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Joins that see of a document what came past a filter that holds packets, and later what that filter held."""
    wires = ways(graph)
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
    wires = ways(graph)
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


def _shared_destinations(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Publishers of whole documents that write to one file or outbox.

    Each is told of every document, also of those that came to the other, and takes what the other has published for the rest
    of an older version. A version that failed on the way to one of them is whole in the other.
    """
    places: dict[tuple[str, str, str], str] = {}
    for name, node in graph.nodes.items():
        spec = catalogue.get(node.component)
        if spec is None or spec.kind != "PUBLISHER" or not spec.completes:
            continue
        properties: Mapping[str, Any] = spec.schema.get("properties", {})
        for param, value in _values(node.params, properties).items():
            kind = _DESTINATIONS.get(properties[param].get("format"))
            if kind is None or not isinstance(value, str) or not value:
                continue
            other = places.setdefault((node.component, param, posixpath.normpath(value)), name)
            if other != name:
                message = (
                    f"{other!r} and {name!r} publish whole documents to the same {kind}, {value}: each removes older parts there "
                    "when it has all that came to it, even if a document has failed on its way to the other; lead the wires of "
                    "both to one of them, or give each one of its own"
                )
                yield Problem(f"nodes.{name}.params.{param}", message, "graph.shared_destination")


def _past_remembering(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Publishers that documents reach also past a filter that remembers what became of them, in a graph without order."""
    if graph.order_by:
        return
    specs = {name: spec for name, node in graph.nodes.items() if (spec := catalogue.get(node.component)) is not None}
    wires = ways(graph)
    entries = graph.nodes.keys() - {target for _, target in wires}
    for name, spec in specs.items():
        if not spec.concludes or spec.kind == "PUBLISHER":
            continue
        past = reach(entries - {name}, {(source, target) for source, target in wires if name not in (source, target)})
        for publisher in sorted(past & reach((name,), wires)):
            if publisher in specs and specs[publisher].kind == "PUBLISHER":
                message = (
                    f"documents also come here past {name!r}, which remembers what is published: while one is on that other way, "
                    "it holds back a newer one for what is about to be replaced; lead all ways to this publisher through one "
                    "such filter, or keep order (order_by)"
                )
                yield Problem(f"nodes.{publisher}", message, "graph.past_filter")


def _unwaited_batches(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Components that wait for their batches, in pools, which do not."""
    for name, node in graph.nodes.items():
        spec = catalogue.get(node.component)
        if node.pool is not None and spec is not None and spec.batch_s:
            message = (
                f"{node.component} waits {spec.batch_s:g} s for a batch (batch_s), and in a pool it does not: packets gather "
                "only while all pool workers are busy; leave out pool if a batch of one packet costs as much as a large one"
            )
            yield Problem(f"nodes.{name}.pool", message, "graph.unwaited_batch")


def _unwired_inputs(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Inputs without a wire that a parameter says are needed: each document that comes to the others fails."""
    wired = _wired_inputs(graph)
    for name, node in graph.nodes.items():
        if (spec := catalogue.get(node.component)) is None:
            continue
        properties: Mapping[str, Any] = spec.schema.get("properties", {})
        for parameter, entries in _values(node.params, properties).items():
            if properties[parameter].get("format") != INPUTS or not isinstance(entries, list):
                continue
            for entry, port in zip(entries, spec.inputs, strict=False):
                if port not in wired.get(name, ()):
                    message = f"no wire leads to {port!r}, which brings {entry!r}, so its documents fail; add one"
                    yield Problem(f"nodes.{name}.params.{parameter}", message, "graph.unwired_input")


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
