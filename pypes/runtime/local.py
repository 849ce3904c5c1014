"""Pipeline: a graph in this process and thread, without server, files or registry."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import isfunction
from itertools import islice, pairwise
from types import MappingProxyType, TracebackType
from typing import Any

import msgspec

from pypes.component import ERROR_PORT, Component, Publisher, Resources
from pypes.core.identity import Identity, Version
from pypes.core.limits import Limits
from pypes.core.pools import read_pool
from pypes.errors import BadId, ComponentError, InvalidGraph, Problem
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.plan import Plan, find_cycle
from pypes.ingest.outcome import Fate
from pypes.observe import Observer
from pypes.packet import Packet
from pypes.placement import isolate
from pypes.runtime.making import Site
from pypes.runtime.pools.placing import place_made
from pypes.runtime.scheduler import Epoch, Failure, Feed, Scheduler
from pypes.runtime.scheduler.completions import Known

#: A filter of a pipeline: a class, or an instance (configured by its maker).
Node = Component | type[Component]


class _Collect(Publisher):
    """Keeps what arrives at an output port that no wire leads from."""

    def setup(self) -> None:
        self.packets: list[Any] = []

    def process(self, packet: Any) -> None:
        self.packets.append(packet)


class Pipeline:
    """A graph of components, ready to run.

    ``Pipeline(A, B())`` wires them one after the other; a mapping and ``wires`` (``("a.out", "b.in")``) make any
    graph. What is sent to an output port without a wire is what :meth:`run` yields; packets that failed are kept
    in :attr:`dead_letters`, and :attr:`fates` tells of each packet what became of it. A publisher whose destination cannot be
    reached keeps its packets until it can, and :meth:`run` waits for that; the log says so. Use it as a context manager, or call
    :meth:`close`. An ``observer`` (:mod:`pypes.observe`) sees the packets on their way and the time of each filter.

    ``pools`` has filters work in pools of this pipeline, by name: ``{"embed": {"processes": 2}}``, with the keys that pools have
    in graphs. Of a component only the parameters get there, and its class must be at the top level of a module.

    Components that override ``complete`` are told of packets with an identity. The versions of these are in their metadata
    ``receipt`` (or ``origin``), ``index`` and ``run``, as in a node.
    """

    def __init__(
        self,
        *chain: Node,
        nodes: Mapping[str, Node] | None = None,
        wires: Iterable[tuple[str, str]] = (),
        limits: Limits | None = None,
        observer: Observer | None = None,
        pools: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        if chain:
            nodes = {f"{_class_name(node).lower()}{i}": node for i, node in enumerate(chain, 1)}
            names = list(nodes)
            wires = [(f"{a}.out", f"{b}.in") for a, b in pairwise(names)]
        self.limits = limits or Limits()
        components = {name: self._component(node) for name, node in (nodes or {}).items()}
        ends = [(*source.rsplit(".", 1), *target.rsplit(".", 1)) for source, target in wires]
        self._outputs: list[_Collect] = []
        #: The output ports without a wire, by the name of what stands there.
        self._ports: dict[str, str] = {}
        for name, port in _open_outputs(components, ends):
            collector = _Collect()
            self._outputs.append(collector)
            components[f"{name}-{port}-collected"] = collector
            self._ports[f"{name}-{port}-collected"] = f"{name}.{port}"
            ends.append((name, port, f"{name}-{port}-collected", "in"))
        graph = Graph(
            name="pipeline",
            nodes={name: GraphNode(name, _class_name(c), {}) for name, c in components.items()},
            wires=tuple(Wire(*end) for end in ends),
        )
        _check(graph, components)
        components.update(_pooled(graph, components, pools, self.limits))
        resources = Resources()
        for component in components.values():
            component._shares.resources = resources
        self.entries = [name for name in Plan(graph).order if not any(wire.target == name for wire in graph.wires)]
        #: Packets that failed, with the reason; grows until it is cleared by whoever reads it.
        self.dead_letters: list[Failure] = []
        #: The fates of the packets of the last wave that was pushed, in their order: its takers (publishers, and output
        #: ports without a wire), or the filter that dropped it or in which it failed.
        self.fates: list[Fate] = []
        #: Numbers of parts of older versions that publishers have removed for the last wave, by the name of the filter.
        self.removed: dict[str, int] = {}
        self._scheduler = Scheduler(graph, components, limits=self.limits, on_done=self._done, observer=observer)
        self._is_running = False
        self._scheduler.setup()

    def _component(self, node: Node) -> Component:
        if not isinstance(node, Component) and not (isinstance(node, type) and issubclass(node, Component)):
            raise InvalidGraph(_no_component(node), code="pipeline.no_component")
        made = node() if isinstance(node, type) else node
        return isolate(made, limits=self.limits) if made.isolated else made

    def run(self, packets: Iterable[Any]) -> Iterator[Any]:
        """Push packets into the filters that no wire leads to; yields what comes out, wave by wave. Blocks as they do."""
        each = iter(packets)
        while wave := list(islice(each, self.limits.wave_packets)):
            yield from self.push(wave)

    def push(self, packets: Sequence[Any]) -> list[Any]:
        """Run one wave of packets through the graph and return what came out of it.

        Raises ``ComponentError`` (``pipeline.busy``) from within a component or an observer of this pipeline.
        """
        lineages = range(len(packets))
        clones = [[p.clone() if hasattr(p, "clone") else p for p in packets] for _ in self.entries[1:]]
        batches = [(entry, wave, lineages) for entry, wave in zip(self.entries, [*clones, list(packets)], strict=True)]
        completing = self._scheduler.completing
        identities = None if completing is None else _identities(packets, has_nameless=completing.tells_nameless)
        return self._run(lambda: self._scheduler.submit(Feed(iter(batches), len(packets), identities=identities)))

    def trigger(self) -> list[Any]:
        """Run the sources once, as an empty trigger did in the original, and return what came out."""
        return self._run(self._scheduler.trigger)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By filter and name, what the components have counted (:meth:`pypes.Component.count`) so far."""
        return {name: totals for name, each in self._scheduler.watch.counts.items() if (totals := each.totals)}

    def _check_idle(self) -> None:
        if self._is_running:
            raise ComponentError(
                "the pipeline is at work, so its components, observers and other threads can neither push, trigger nor close it; "
                "do that after push or trigger has returned, or use a second pipeline",
                code="pipeline.busy",
            )

    def _run(self, begin: Callable[[], object]) -> list[Any]:
        self._check_idle()
        self._is_running = True
        try:
            begin()
            self._scheduler.drain()
        finally:
            self._is_running = False
        found: list[Any] = []
        for output in self._outputs:
            found += output.packets
            output.packets = []
        return found

    def _done(self, epoch: Epoch) -> None:
        self.dead_letters += epoch.dead_letters
        fates, runs = epoch.fates()
        named = [msgspec.structs.replace(fate, takers=tuple(self._ports.get(t, t) for t in fate.takers)) for fate in fates]
        self.fates = [named[place] for count, place in zip(runs[::2], runs[1::2], strict=True) for _ in range(count)]
        self.removed = {} if epoch.completions is None else epoch.completions.removed_by(0)

    def close(self) -> None:
        """Tear the components down."""
        self._check_idle()
        self._scheduler.teardown()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _pooled(
    graph: Graph, components: Mapping[str, Component], pools: Mapping[str, Mapping[str, Any]], limits: Limits
) -> dict[str, Component]:
    """The stand-ins of components that are to work in pools. Raises ``InvalidGraph`` and ``InvalidComponent``."""
    problems: list[Problem] = []
    found = {}
    for name, options in pools.items():
        add = partial(_note, problems, f"pools.{name}")
        pool = read_pool(options, add)
        if name not in components:
            add("", f"there is no filter {name!r}; there are {', '.join(components)}")
        elif not problems:
            component = components[name]
            site = Site(replace(component.paths, data_dir=component.data_dir))
            found[name] = place_made(component, name, pool, graph, site, limits)
    if problems:
        raise InvalidGraph("the pipeline cannot be built", problems=problems)
    return found


def _note(problems: list[Problem], path: str, option: str, message: str) -> None:
    problems.append(Problem(f"{path}.{option}" if option else path, message, "graph.form"))


def _no_component(node: object) -> str:
    if isinstance(node, (str, os.PathLike, Graph)):
        name = f"graph {node.name!r}" if isinstance(node, Graph) else f"path {os.fspath(node)!r}"
        return (
            f"a pipeline is made of component classes and objects, not of the {name}: run a graph file over documents with "
            "`pypes run GRAPH.json FILE`, or give its components here, with nodes= and wires="
        )
    what = f"the function {node.__name__}; decorate it with @component" if isfunction(node) else f"{node!r}"
    return f"a pipeline is made of component classes and objects, not of {what}"


def _class_name(node: Node) -> str:
    return (node if isinstance(node, type) else type(node)).__name__


def _open_outputs(components: Mapping[str, Component], ends: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    wired = {(end[0], end[1]) for end in ends}
    return [(name, port) for name, c in components.items() for port in c.get_out_ports() if (name, port) not in wired]


def _check(graph: Graph, components: Mapping[str, Component]) -> None:
    problems = []
    for wire in graph.wires:
        ends = ((wire.source, wire.output, Component.get_out_ports), (wire.target, wire.input, Component.get_in_ports))
        for name, port, ports in ends:
            if name not in components:
                text = f"there is no filter {name!r}; there are {', '.join(components)}"
                problems.append(Problem(f"wires.{wire}", text, "graph.unknown_node"))
                continue
            known = ports(components[name])
            if port not in known and not (port == ERROR_PORT and ports is Component.get_out_ports):
                text = f"{name!r} has no port {port!r}; it has {', '.join(known) or 'none'}"
                problems.append(Problem(f"wires.{wire}", text, "graph.unknown_port"))
    cycle = None if problems else find_cycle(graph)
    if cycle:
        problems.append(Problem("wires", f"they close a cycle: {' -> '.join(cycle)}", "graph.cycle"))
    if problems:
        raise InvalidGraph("the pipeline cannot be built", problems=problems)


def _identities(packets: Sequence[Any], *, has_nameless: bool) -> dict[int, Known]:
    """The packets that are documents with an identity, by their place; with ``has_nameless`` those without an id, too."""
    found = {}
    for place, packet in enumerate(packets):
        if not isinstance(packet, Packet):
            continue
        try:
            document = packet.document
        except BadId:  # publishers will tell
            continue
        if document is None and has_nameless:
            document = Identity("", "")
        if document is not None:
            found[place] = Known(document, packet.version or Version(""), packet.is_deletion, is_partial=bool(packet.part))
    return found
