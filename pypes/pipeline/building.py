"""Building: the components and wires of a pipeline, made of what its user gave."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

from pypes.component import Component
from pypes.component.placed import Placed
from pypes.core.pools import read_pool
from pypes.errors import InvalidGraph, Problem
from pypes.graph.model import Graph
from pypes.pipeline.calling import ByName, Collected, Produced, is_join, name_of, parameters_of, same
from pypes.pipeline.chain import Chain, Group, Join, Step
from pypes.pipeline.checking import check, checked_form
from pypes.pipeline.depths import Depths
from pypes.pipeline.filters import FunctionFilter, JoinFilter, PooledFilter
from pypes.pipeline.nodes import Node, as_node
from pypes.pipeline.options import wrong
from pypes.pipeline.pool import FunctionExecutor
from pypes.pipeline.reading import Installed, nodes_of, port_of, read_graph
from pypes.runtime.local import note

#: Source, its port, target, its port.
End = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Given:
    """The nodes and wires that a user gave, with the pipelines among them taken apart."""

    nodes: Mapping[str, Node]
    ends: Sequence[End]
    #: The graph that all of it was read from, if it was.
    origin: Graph | None = None

    @property
    def entries(self) -> list[str]:
        """Nodes that no wire leads to."""
        targets = {end[2] for end in self.ends}
        return [name for name in self.nodes if name not in targets]

    @property
    def ports(self) -> dict[str, set[str]]:
        """By function, the input ports that values come to."""
        found: dict[str, set[str]] = {}
        for _, _, target, port in self.ends:
            found.setdefault(target, set()).add(port)
        return {name: found.get(name, {"in"}) for name, node in self.nodes.items() if not is_component(node.target)}

    @property
    def inherit(self) -> list[str]:
        """Metadata that reach all that is made of a document, as the graphs say of which there are filters."""
        return sorted({each for node in self.nodes.values() if node.origin for each in node.origin[0].inherit})

    @property
    def is_bare(self) -> bool:
        """True if there are components among the nodes, so that items are packets."""
        return any(is_component(node.target) for node in self.nodes.values())


@dataclass(slots=True)
class Built:
    """The filters of a pipeline."""

    components: dict[str, Component] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    #: The functions, by the name of their node.
    steps: dict[str, Step] = field(default_factory=dict)
    #: The pools that components run in, by name, with options of pools in graphs.
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: All there is, if that is functions one after the other in this thread.
    chain: Chain | None = None
    #: All there is, if that is one function in a pool.
    pooled: PooledFilter | None = None


def is_component(target: Any) -> bool:
    """True for a component class or object."""
    return isinstance(target, Component | Placed | Installed) or (isinstance(target, type) and issubclass(target, Component))


def given(chain: Sequence[Any], nodes: Mapping[str, Any] | None, wires: Iterable[tuple[str, str]]) -> Given:
    """Read what a user gave. Raises :class:`InvalidGraph`."""
    wires = checked_form(chain, nodes, wires)
    found: dict[str, Node] = {}
    ends: list[End] = []
    names: list[tuple[str, str]] = []
    named: Iterable[tuple[Any, Any]] = nodes.items() if nodes is not None and not chain else ((None, each) for each in chain)
    inner: dict[str, tuple[str, str]] = {}
    for place, (name, each) in enumerate(named, 1):
        target = each.target if isinstance(each, Node) else each
        own_given = getattr(target, "given", None)
        if isinstance(target, str | os.PathLike | Graph):
            own_given = given_of(target)
        elif isinstance(target, Given):
            own_given = target
        if isinstance(own_given, Given):  # a pipeline
            if isinstance(each, Node) and each != Node(target=each.target):
                raise InvalidGraph(
                    "node(…) with a pipeline or a graph: its own nodes say where they run, so give the options to those",
                    code="pipeline.nested",
                )
            if nodes is None and len(chain) == 1:
                return own_given
            first, last = _taken_in(own_given, name, found, ends)
            names.append((first, last))
            if name is not None:
                inner[name] = (first, last)
            continue
        _check_target(target)
        own = name if name is not None else _unused(_name_in_chain(target, place), found, place)
        found[own] = as_node(each)
        names.append((own, f"{own}.out"))
    if chain:
        ends += [(*_parted(last), first, "in") for (_, last), (first, _) in pairwise(names)]
    else:
        for source, target in wires:
            source_name, output = _parted(source)
            target_name, port = _parted(target)
            if source_name in inner:
                source_name, output = _parted(inner[source_name][1])
            target_name = inner[target_name][0] if target_name in inner else target_name
            ends.append((source_name, output, target_name, port))
    return Given(found, ends)


def given_of(graph: str | os.PathLike[str] | Graph, load: Sequence[str | os.PathLike[str]] = ()) -> Given:
    """The nodes and wires of a graph or of its file. Raises :class:`InvalidGraph`; see :func:`nodes_of`."""
    read = read_graph(graph)
    ends = [(wire.source, wire.output, wire.target, port_of(read, wire)) for wire in read.wires]
    return Given(nodes_of(read, load), ends, read)


def _taken_in(own: Given, name: str | None, found: dict[str, Node], ends: list[End]) -> tuple[str, str]:
    """Add the nodes of a pipeline that is part of another one; returns its entry and its output."""
    entries = own.entries
    sources = {(end[0], end[1]) for end in own.ends}
    outputs = [each for each, node in own.nodes.items() if (each, "out") not in sources and _has_out(node.target)]
    if len(entries) != 1 or len(outputs) != 1:
        raise InvalidGraph(
            f"a pipeline within another one has one entry and one output, not {len(entries)} and {len(outputs)}: wire its nodes",
            code="pipeline.nested",
        )
    renamed = {each: f"{name}-{each}" if name is not None else _unused(each, found, 2) for each in own.nodes}
    found.update((renamed[each], node) for each, node in own.nodes.items())
    ends += [(renamed[a], output, renamed[b], port) for a, output, b, port in own.ends]
    return renamed[entries[0]], f"{renamed[outputs[0]]}.out"


def _has_out(target: Any) -> bool:
    """True unless it is a component, such as a publisher, that has no output ``out``."""
    target = target.component if isinstance(target, Placed) else target
    if isinstance(target, Component):
        return "out" in target.get_out_ports()
    return not is_component(target) or "out" in (target.spec.outputs if isinstance(target, Installed) else target.outputs)


def _parted(end: str) -> tuple[str, str]:
    name, _, port = end.rpartition(".")
    return (name, port) if name else (port, "")


def _unused(name: str, found: Mapping[str, Node], number: int) -> str:
    while name in found:
        name, number = f"{name.rstrip('0123456789')}{number}", number + 1
    return name


def _name_in_chain(target: Any, place: int) -> str:
    if is_component(target):
        cls = target.component if isinstance(target, Placed) else target if isinstance(target, type) else type(target)
        return f"{cls.__name__.lower()}{place}"
    return name_of(target)


def _check_target(target: Any) -> None:
    if is_component(target) or callable(target):
        return
    raise InvalidGraph(
        f"a pipeline is made of functions, components, graphs and other pipelines, not of {target!r}",
        code="pipeline.no_component",
    )


def checked_pools(given: Given, pools: Any) -> dict[str, Mapping[str, Any]]:
    """The pools of components, by name. Raises :class:`InvalidGraph` for those of what is no component."""
    if not isinstance(pools, Mapping) or not all(isinstance(options, Mapping) for options in pools.values()):
        raise wrong("pools", 'a dictionary of pools by filter, such as {"model": {"processes": 4}}', pools, "pipeline.pools")
    problems = [
        Problem(f"pools.{name}", f"{name!r} is a function: say node(…, processes=…), and leave it out here", "pipeline.pools")
        for name in pools
        if name in given.nodes and not is_component(given.nodes[name].target)
    ]
    known = ", ".join(given.nodes)
    for name, options in pools.items():
        if name not in given.nodes:
            fault = f"there is no filter {name!r}; there are {known}"
            problems.append(Problem(f"pools.{name}", fault, "graph.unknown_node"))
        # all that is wrong at once: the graph that is made of it reads them again
        read_pool(options, partial(note, problems, f"pools.{name}"))
    if problems:
        raise InvalidGraph("the pipeline cannot be built", problems=problems)
    return dict(pools)


def build(given: Given, *, track: Iterable[str], ordered: bool) -> Built:
    """Make the filters. Raises :class:`InvalidGraph` and ``InvalidComponent``."""
    ports = given.ports
    check(given.nodes, given.ends, ports)
    built = Built(ends=[*given.ends])
    is_bare = given.is_bare
    for name, node in given.nodes.items():
        if is_component(node.target):
            _place_component(built, name, node)
        else:
            _place_function(built, name, node, ports[name], is_bare=is_bare, ordered=ordered)
    unknown = [name for name in track if name not in built.steps]
    if unknown:
        known = ", ".join(built.steps) or "none"
        raise InvalidGraph(f"track: there is no function {unknown[0]!r}; there are {known}", code="pipeline.track")
    for name in track:
        built.steps[name].kept = []
    if not is_bare:
        _measure(built)
        _fuse(built)
        only = [*built.components.values()]
        if len(only) == 1 and type(only[0]) is FunctionFilter:
            built.chain = only[0].chain
        elif len(only) == 1 and isinstance(only[0], PooledFilter) and type(only[0].step) is Step:
            built.pooled = only[0]
    return built


def _place_component(built: Built, name: str, node: Node) -> None:
    target: Any = node.target
    params, pool = dict(node.params), node.pool
    options: dict[str, Any] = {}
    if isinstance(target, Installed):
        options, target = target.options, target.make()
    if isinstance(target, Placed):
        if pool is not None and target.options:
            raise InvalidGraph(f"{name}: its on(…) says where it runs, so node(…) cannot, too", code="pipeline.node")
        params, options, target = {**target.params, **params}, dict(target.options), target.component
    if isinstance(target, type):
        component = built.components[name] = target()
        if params:
            component.configure(params)
    elif params:
        problem = Problem(f"nodes.{name}", f"{', '.join(params)}: a component object has its parameters already", "pipeline.node")
        raise InvalidGraph("the pipeline cannot be built", problems=[problem])
    else:
        built.components[name] = target
    if node.produces or node.consumes:
        raise InvalidGraph(
            f"{name}: produces and consumes are for functions; a component sends what it makes", code="pipeline.node"
        )
    if pool is not None:
        shown = {"processes": pool.processes, "threads": pool.threads, "timeout_s": pool.timeout_s, "memory": pool.memory}
        options = {key: value for key, value in shown.items() if value}
        if node.stride > 1:
            options["stride"] = node.stride
    if options:
        built.pools[name] = options


def _place_function(built: Built, name: str, node: Node, ports: set[str], *, is_bare: bool, ordered: bool) -> None:
    function = node.target
    if node.params:
        function = _with_parameters(name, function, node.params)
    emits_many = inspect.isgeneratorfunction(node.target)
    if emits_many:
        function = Collected(function)
    if node.produces:
        function, emits_many = Produced(function, node.produces, repeat=node.repeat), True
    parameters = parameters_of(node.target)
    if is_join(node.target, ports):
        unknown = ports - {*parameters}
        if unknown:
            text = f"{name!r} has no parameter {sorted(unknown)[0]!r}; it has {', '.join(parameters) or 'none by name'}"
            raise InvalidGraph("the pipeline cannot be built", problems=[Problem(f"nodes.{name}", text, "graph.unknown_port")])
        if node.consumes:
            text = f"{name}: consumes is for functions of one parameter, which get a list; this one gets values of several ports"
            raise InvalidGraph(text, code="pipeline.node")
        chosen = tuple(each for each in parameters if each in ports)
        if node.pool is None:
            join = Join(name, ByName(function), emits_many=emits_many)
            built.components[name] = JoinFilter(join, chosen, is_bare=is_bare)
            built.steps[name] = join
            return
        built.components[f"{name}-meet"] = JoinFilter(Join(f"{name}-meet", same), chosen, is_bare=is_bare)
        built.ends[:] = [(a, b, f"{name}-meet" if c == name else c, d) for a, b, c, d in built.ends]
        built.ends.append((f"{name}-meet", "out", name, "in"))
        function = ByName(function)
    elif ports != {"in"}:
        built.ends[:] = [(a, b, c, "in" if c == name else d) for a, b, c, d in built.ends]
    if node.consumes and is_bare:
        raise InvalidGraph(
            f"{name}: consumes works among functions, not beside components; use Gather there", code="pipeline.node"
        )
    step = (
        Group(name, function, node.consumes, emits_many=emits_many)
        if node.consumes
        else Step(name, function, emits_many=emits_many)
    )
    built.steps[name] = step
    if node.pool is None:
        built.components[name] = FunctionFilter(Chain((step,)), is_bare=is_bare)
    else:
        executor = FunctionExecutor(node.pool, function)
        built.components[name] = PooledFilter(step, executor, node.stride, is_bare=is_bare, keeps_order=ordered)


def _with_parameters(name: str, function: Any, params: Mapping[str, Any]) -> Any:
    unknown = [each for each in params if each not in parameters_of(function)]
    if unknown:
        text = f"{name!r} has no parameter {unknown[0]!r}; it has {', '.join(parameters_of(function)) or 'none by name'}"
        raise InvalidGraph("the pipeline cannot be built", problems=[Problem(f"nodes.{name}", text, "pipeline.node")])
    return partial(function, **params)


def _measure(built: Built) -> None:
    """Tell those steps to which several values go how far the positions of these have something in common."""
    steps: dict[str, Step] = {}
    sources: dict[str, dict[str, list[str]]] = {}
    for name, component in built.components.items():
        assert isinstance(component, FunctionFilter)
        (steps[name],) = component.chain.steps
    for source, _, target, port in built.ends:
        sources.setdefault(target, {}).setdefault(port, []).append(source)
    spreading = {name for name, step in steps.items() if step.emits_many}
    depths = Depths(sources, spreading, {name for name, step in steps.items() if isinstance(step, Group)})
    for name, step in steps.items():
        if isinstance(step, Join):
            step.depth = depths.of_meeting(name)
        elif isinstance(step, Group):
            step.depth = depths.of_input(name)


def _fuse(built: Built) -> None:
    """Make one filter of functions that follow one another in this thread, with nothing else between them."""
    for source, output, target, _ in [*built.ends]:
        first, second = _holder(built, source), built.components.get(target)
        is_only = sum(end[:2] == (first, output) for end in built.ends) == 1 and sum(end[2] == target for end in built.ends) == 1
        before = built.components.get(first)
        if not is_only or output != "out" or type(before) is not FunctionFilter or type(second) is not FunctionFilter:
            continue
        before.chain = Chain((*before.chain.steps, *second.chain.steps))
        del built.components[target]
        built.ends[:] = [(first if a == target else a, b, c, d) for a, b, c, d in built.ends if (a, c) != (first, target)]


def _holder(built: Built, name: str) -> str:
    """The filter that a function is part of."""
    for filter, component in built.components.items():
        if isinstance(component, FunctionFilter) and any(step.name == name for step in component.chain.steps):
            return filter
    return name
