"""Local graph: components as a graph in this process and thread, without server, files or registry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from pypes.component import ERROR_PORT, Component, Publisher, Resources
from pypes.core.identity import Identity, Version
from pypes.core.limits import Limits
from pypes.core.pools import read_pool
from pypes.errors import BadId, InvalidGraph, Problem
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.plan import Plan, find_cycle, repeated
from pypes.observe import Observer
from pypes.packet import Packet
from pypes.placement import isolate
from pypes.runtime.making import Site
from pypes.runtime.one_thread import OneThread
from pypes.runtime.pools.placing import place_made
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes.runtime.scheduler.completions import Known
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.wiring import tear_component_down


class Collect(Publisher):
    """Keeps what arrives at an output port that no wire leads from, with the epoch and the lineage of each."""

    def setup(self) -> None:
        self.taken: list[tuple[Epoch, Lineage, Any]] = []

    def process(self, packet: Any) -> None:
        driver: Any = self._run_context
        self.taken.append((driver.epoch, driver.lineages[len(driver.results)], packet))

    def take(self) -> list[tuple[Epoch, Lineage, Any]]:
        """All that has arrived since this was last asked."""
        taken, self.taken = self.taken, []
        return taken


class LocalGraph(OneThread):
    """A graph of components in this process and thread, ready to run: what is submitted to :attr:`scheduler` is collected here.

    Each output port without a wire has a :class:`Collect` in :attr:`outputs`. ``on_done`` is called with each epoch that is done.
    ``pools`` has filters work in pools of this graph, by name. ``inherit`` names metadata that reach all made of a document.
    Raises ``InvalidGraph`` and ``InvalidComponent``.
    """

    def __init__(
        self,
        components: Mapping[str, Component],
        ends: Iterable[Sequence[str]],
        *,
        limits: Limits | None = None,
        observer: Observer | None = None,
        pools: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        inherit: Iterable[str] = (),
        on_done: Callable[[Epoch], None] = lambda epoch: None,
    ) -> None:
        super().__init__()
        self.limits = limits or Limits()
        made = {name: isolate(each, limits=self.limits) if each.isolated else each for name, each in components.items()}
        wires = [tuple(end) for end in ends]
        self.outputs: list[Collect] = []
        #: The output ports without a wire, by the name of what stands there.
        self.ports: dict[str, str] = {}
        for name, port in _open_outputs(made, wires):
            collector = Collect()
            self.outputs.append(collector)
            made[f"{name}-{port}-collected"] = collector
            self.ports[f"{name}-{port}-collected"] = f"{name}.{port}"
            wires.append((name, port, f"{name}-{port}-collected", "in"))
        graph = Graph(
            name="pipeline",
            nodes={name: GraphNode(name, type(each).__name__, {}) for name, each in made.items()},
            wires=tuple(Wire(*end) for end in wires),
            inherit=tuple(inherit),
        )
        _check(graph, made)
        made.update(_pooled(graph, made, pools, self.limits))
        resources = Resources()
        for component in made.values():
            component._shares.resources = resources
        self.entries = [name for name in Plan(graph).order if not any(wire.target == name for wire in graph.wires)]
        self.scheduler = Scheduler(graph, made, limits=self.limits, on_done=on_done, observer=observer)
        self.scheduler.setup()

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By filter and name, what the components have counted (:meth:`pypes.Component.count`) so far."""
        return {name: totals for name, each in self.scheduler.watch.counts.items() if (totals := each.totals)}

    def take_counts(self) -> dict[str, dict[str, int]]:
        """As :attr:`counts`, since this was last asked."""
        return {name: taken for name, each in self.scheduler.watch.counts.items() if (taken := each.take())}

    def submit(self, packets: Sequence[Any], deliveries: Any = ()) -> Epoch:
        """Submit packets, each a document, to the filters that no wire leads to: clones to all of these but one."""
        lineages = range(len(packets))
        clones = [[p.clone() if isinstance(p, Packet) else p for p in packets] for _ in self.entries[1:]]
        batches = [(entry, wave, lineages) for entry, wave in zip(self.entries, [*clones, list(packets)], strict=True)]
        completing = self.scheduler.completing
        identities = None if completing is None else _identities(packets, has_nameless=completing.tells_nameless)
        return self.scheduler.submit(Feed(iter(batches), len(packets), deliveries, identities=identities))

    def leave_thread(self) -> None:
        """Let another thread go on, while nothing is in flight; called in the one that it has run in."""
        self.scheduler.leave_thread()
        super().leave_thread()

    def close(self) -> None:
        """Tear the components down; in another thread than that in which they ran, they are not asked to end what they do."""
        self.check_idle()
        if self._use.thread in (None, threading.current_thread()):
            self.scheduler.teardown()
        else:
            for driver in self.scheduler.drivers:
                tear_component_down(driver)
            self.scheduler.core.calls.close()


def _pooled(
    graph: Graph, components: Mapping[str, Component], pools: Mapping[str, Mapping[str, Any]], limits: Limits
) -> dict[str, Component]:
    """The stand-ins of components that are to work in pools. Raises ``InvalidGraph`` and ``InvalidComponent``."""
    problems: list[Problem] = []
    found = {}
    for name, options in pools.items():
        add = partial(note, problems, f"pools.{name}")
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


def note(problems: list[Problem], path: str, option: str, message: str) -> None:
    """Add what is wrong with an option of a pool, or with all of it if ``option`` is empty."""
    problems.append(Problem(f"{path}.{option}" if option else path, message, "graph.form"))


def _open_outputs(components: Mapping[str, Component], ends: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    wired = {(end[0], end[1]) for end in ends}
    return [(name, port) for name, c in components.items() for port in c.get_out_ports() if (name, port) not in wired]


def _check(graph: Graph, components: Mapping[str, Component]) -> None:
    problems = [
        Problem(f"wires.{wire}", "it occurs twice; remove one", "graph.duplicate_wire") for _, wire in repeated(graph.wires)
    ]
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
