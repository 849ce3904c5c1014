"""Validation: everything that is wrong with a graph, all at once, each with its place and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from pypes.component import BATCH_OPTIONS, ERROR_PORT
from pypes.component.parameters import FUNCTION, paths_in, texts_in
from pypes.core.functions import problem_of
from pypes.core.paths import Paths
from pypes.core.pools import PoolRules
from pypes.core.secrets import VARIABLE, holds_mask
from pypes.errors import InvalidInput, Problem
from pypes.graph.model import Graph, GraphNode
from pypes.graph.plan import find_cycle, repeated
from pypes.graph.pools import pool_problems
from pypes.graph.schedule import loose_sources, sources
from pypes.graph.spec import ComponentSpec
from pypes.graph.ways import reach, ways

#: Rules of a node that is not known.
ANY_POOLS: Final = PoolRules()
#: Problems after which a graph is not looked at any further.
MOST_PROBLEMS = 200
#: Among more names than these none is proposed.
MOST_PROPOSED = 200


def validate(
    graph: Graph,
    catalogue: Mapping[str, ComponentSpec],
    environ: Mapping[str, str] | None = None,
    paths: Paths | None = None,
    pools: PoolRules = ANY_POOLS,
) -> list[Problem]:
    """All problems of ``graph``, in the order in which it is written; none if it can be deployed.

    Beyond :data:`MOST_PROBLEMS` it is only said that there are more: each takes time, and nobody mends so many at once.
    With ``environ``, ``${NAME}`` in parameters stands for that variable; without, values that contain one are not checked.
    With both, ``paths`` says where parameters that are paths may lead. ``pools`` are those of the node.
    """
    problems: list[Problem] = []
    for node in graph.nodes.values():
        problems += _node_problems(node, catalogue, environ, paths)
        if len(problems) >= MOST_PROBLEMS:
            return [*problems, Problem("", "there may be more problems; correct these, then check again", "graph.more_problems")]
    problems += _wire_problems(graph, catalogue)
    problems += _join_problems(graph)
    problems += pool_problems(graph, catalogue, pools, is_here=paths is not None)
    problems += _cycle_problems(graph)
    problems += _flow_problems(graph, catalogue)
    if graph.schedule and not sources(graph, catalogue) and all(node.component in catalogue for node in graph.nodes.values()):
        message = "no filter of the graph fetches anything; add a source, such as Files, or remove the schedule"
        problems.append(Problem("schedule", message, "graph.no_source"))
    return problems


def expand(params: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """``params`` with each ``${NAME}`` in a text replaced by that environment variable; ``$${NAME}`` gives a literal ``${NAME}``.

    Raises ``InvalidInput`` (code ``param.environment``) naming every variable that is not set.
    """
    missing: list[str] = []

    def substitute(found: re.Match[str]) -> str:
        escaped, name = found.groups()
        if escaped:
            return found[0][1:]
        if name not in environ and name not in missing:
            missing.append(name)
        return environ.get(name, "")

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return VARIABLE.sub(substitute, value) if "${" in value else value
        if isinstance(value, Mapping):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [walk(item) for item in value]
        return value

    expanded = {name: walk(value) for name, value in params.items()}
    if missing:
        names = ", ".join(missing)
        raise InvalidInput(f"environment variable not set: {names}; set it where the server is started", code="param.environment")
    return expanded


# -- one filter ------------------------------------------------------------------------------------------


def _node_problems(
    node: GraphNode, catalogue: Mapping[str, ComponentSpec], environ: Mapping[str, str] | None, paths: Paths | None
) -> Iterator[Problem]:
    path = f"nodes.{node.name}"
    spec = catalogue.get(node.component)
    if spec is None:
        yield Problem(f"{path}.component", unknown_component(node.component, catalogue), "graph.unknown_component")
        return
    if spec.error:
        source = f" of {spec.distribution} {spec.version}".rstrip() if spec.distribution else ""
        yield Problem(f"{path}.component", f"component {spec.name!r}{source} cannot be used: {spec.error}", spec.error_code)
        return
    batching = [option for option in BATCH_OPTIONS if getattr(node, option) is not None]
    if batching and not spec.batches:
        message = (
            f"{spec.name} gets no batches; these options are for components with process_batch that are not isolated and do not "
            f"hold packets. Leave out {', '.join(batching)}"
        )
        yield Problem(f"{path}.{batching[0]}", message, "graph.no_batches")
    params: Mapping[str, Any] = node.params
    for place in _hidden(params, f"{path}.params"):
        yield Problem(
            place, "a secret was hidden here when the graph was shown; write its value, best as ${NAME}", "param.hidden"
        )
    if environ is not None:
        missing = list(_missing(params, environ, f"{path}.params"))
        yield from missing
        if missing:
            return
        params = expand(params, environ)
    yield from _param_problems(params, spec.schema, f"{path}.params", unexpanded=environ is None)
    if environ is not None and paths is not None:
        yield from _path_problems(params, spec.schema, f"{path}.params.", paths)


def _missing(params: Mapping[str, Any], environ: Mapping[str, str], path: str) -> Iterator[Problem]:
    """The parameters that name variables which are not set."""
    for name, value in params.items():
        try:
            expand({name: value}, environ)
        except InvalidInput as error:
            yield Problem(f"{path}.{name}", error.message, error.code)


def _param_problems(params: Mapping[str, Any], schema: Mapping[str, Any], path: str, unexpanded: bool) -> Iterator[Problem]:
    # imported here because running a graph needs no validation, and every instance imports this package
    import jsonschema_rs

    try:
        validator = jsonschema_rs.validator_for(dict(schema))
    except jsonschema_rs.ValidationError as wrong:
        message = f"no parameters of this component can be checked, as its schema is wrong: {wrong.message}; tell its author"
        yield Problem(path, message, "component.schema")
        return
    known = sorted(schema.get("properties", {}))
    for error in validator.iter_errors(dict(params)):
        where = ".".join([path, *map(str, error.instance_path)])
        kind: Any = error.kind
        match kind.name:
            case "additionalProperties":
                for name in kind.unexpected:
                    hint = _did_you_mean(name, known) or f"it has {', '.join(known) or 'no parameters'}"
                    yield Problem(f"{where}.{name}", f"unknown parameter; {hint}", "param.unknown")
            case "required":
                yield Problem(f"{where}.{kind.property}", "is required and has no default; give a value", "param.missing")
            case _:
                value = error.instance
                if not (unexpanded and isinstance(value, str) and VARIABLE.search(value)):
                    yield Problem(where, error.message, "param.invalid")


def _hidden(value: Any, place: str) -> Iterator[str]:
    """The places at which a password is missing because it was hidden in what the client read."""
    if isinstance(value, str):
        if holds_mask(value):
            yield place
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _hidden(item, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _hidden(item, f"{place}.{index}")


def _path_problems(params: Mapping[str, Any], schema: Mapping[str, Any], prefix: str, paths: Paths) -> Iterator[Problem]:
    for place, value in paths_in(schema, params):
        message = paths.problem(value)
        if message:
            yield Problem(f"{prefix}{place}", message, "param.path")
    for place, value in texts_in(schema, params, FUNCTION):
        message = problem_of(value, paths.modules)
        if message:
            yield Problem(f"{prefix}{place}", message, "param.function")


def check_paths(params: Mapping[str, Any], schema: Mapping[str, Any], paths: Paths) -> None:
    """Raise ``InvalidInput`` naming every parameter whose path leads where it may not, or whose function may not be called.

    For the process that sets a component up: since the graph was checked, a link may have come.
    """
    problems = list(_path_problems(params, schema, "params.", paths))
    if problems:
        said = "; ".join(f"{problem.path} {problem.message}" for problem in problems)
        raise InvalidInput(said, code=problems[0].code, problems=problems)


# -- wires -----------------------------------------------------------------------------------------------


def _wire_problems(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    for index, wire in repeated(graph.wires):
        yield Problem(f"wires.{index}", f"the wire {wire} occurs twice; remove one", "graph.duplicate_wire")
    for index, wire in enumerate(graph.wires):
        path = f"wires.{index}"
        for name, port, is_output in ((wire.source, wire.output, True), (wire.target, wire.input, False)):
            node = graph.nodes.get(name)
            if node is None:
                hint = _did_you_mean(name, graph.nodes) or "add it to nodes, or remove the wire"
                yield Problem(path, f"there is no filter {name!r}; {hint}", "graph.unknown_node")
                continue
            spec = catalogue.get(node.component)
            if spec is None or spec.error:
                continue  # named already; its ports are not known
            ports = [*spec.outputs, ERROR_PORT] if is_output else list(spec.inputs)
            if port not in ports:
                side = "output" if is_output else "input"
                hint = _did_you_mean(port, ports) or (f"it has {', '.join(ports)}" if ports else "it has none")
                yield Problem(path, f"filter {name!r} ({spec.name}) has no {side} {port!r}; {hint}", "graph.unknown_port")


def _join_problems(graph: Graph) -> Iterator[Problem]:
    inputs: dict[str, set[str]] = {}
    for wire in graph.wires:
        inputs.setdefault(wire.target, set()).add(wire.input)
    for name, node in graph.nodes.items():
        for option in BATCH_OPTIONS:
            if len(inputs.get(name, ())) > 1 and getattr(node, option) is not None:
                message = "a filter with several wired inputs gets one document at a time, so nothing is gathered; leave it out"
                yield Problem(f"nodes.{name}.{option}", message, "graph.no_batches")


def _cycle_problems(graph: Graph) -> Iterator[Problem]:
    while cycle := find_cycle(graph):
        yield Problem("wires", f"the wires close a cycle: {' -> '.join(cycle)}; remove one of them", "graph.cycle")
        # go on without it: the next one found shares no filter with it
        graph = replace(graph, nodes={name: node for name, node in graph.nodes.items() if name not in cycle})


# -- the whole -------------------------------------------------------------------------------------------


def _flow_problems(graph: Graph, catalogue: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    """Filters that never get a document, and documents that never reach a publisher."""
    specs = {name: spec for name, node in graph.nodes.items() if (spec := catalogue.get(node.component)) and not spec.error}
    # what is unknown might be anything: then only say what is certain
    unknown = graph.nodes.keys() - specs.keys()
    # a component without inputs fetches for itself
    entries = {name for name, spec in specs.items() if spec.kind == "ADAPTER" or not spec.inputs}
    exits = {name for name, spec in specs.items() if spec.kind == "PUBLISHER"}
    forward = ways(graph)
    loose = loose_sources(graph, [name for name, spec in specs.items() if spec.fetches])
    fed_by_wires = {wire.target for wire in graph.wires}
    takers = {name for name, spec in specs.items() if spec.accepts and name not in fed_by_wires | loose}
    forward |= {(source, taker) for source in loose for taker in takers}
    if not entries and not unknown:
        yield Problem("nodes", "the graph has no adapter, so nothing can come in; add one, such as JSON", "graph.no_adapter")
    elif graph.nodes:
        fed = reach(entries | unknown, forward)
        for name in graph.nodes:
            if name not in fed:
                message = "no adapter feeds this filter; wire an output to one of its inputs, or remove it"
                yield Problem(f"nodes.{name}", message, "graph.unreachable")
    if not exits and not unknown:
        yield Problem(
            "nodes", "the graph has no publisher, so nothing would be kept; add one, such as JSONLines", "graph.no_publisher"
        )
    elif graph.nodes:
        leading = reach(exits | unknown, {(target, source) for source, target in forward})
        for name in graph.nodes:
            if name in entries and name not in leading:
                message = "no wire leads from this filter to a publisher, so its documents would be lost; add one"
                yield Problem(f"nodes.{name}", message, "graph.dead_end")


def unknown_component(name: str, known: Collection[str]) -> str:
    """The message about a component that is not installed, with the one that was perhaps meant."""
    hint = _did_you_mean(name, known) or "install its distribution, or see `pypes components` for what there is"
    return f"unknown component {name!r}; {hint}"


def _did_you_mean(name: str, known: Collection[str]) -> str:
    if len(known) > MOST_PROPOSED:
        return ""
    by_lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]!r}?" if close else ""
