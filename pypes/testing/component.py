"""Run one component on the real scheduler, without graph, server or files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pypes.component import Component, Publisher
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.runtime.scheduler import Batch, Epoch, Failure, Feed, Scheduler


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run: packets by output port, dead letters, and what the component has counted."""

    outputs: Mapping[str, list[Any]]
    dead_letters: tuple[Failure, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def packets(self) -> list[Any]:
        """The packets that were sent to ``out``."""
        return self.outputs.get("out", [])


class _Source(Component):
    """The entry of a test's packets for one port."""

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.send("out", packet)
            self.yield_ctrl()


class _Sink(Publisher):
    def setup(self) -> None:
        self.packets: list[Any] = []

    def process(self, packet: Any) -> None:
        self.packets.append(packet)


def run_component(
    component: Component | type[Component],
    packets: Iterable[Any] | Mapping[str, Iterable[Any]],
    *,
    limits: Limits | None = None,
    **params: Any,
) -> Result:
    """Set a component up, push packets into port ``in`` (or, by port, into several), tear it down. Blocks.

    ``params`` are its parameters. All packets are one delivery, each one document; those of several ports are of the same
    document, because a component with several inputs sees one document at a time.
    """
    target = component() if isinstance(component, type) else component
    if params:
        target.configure(params)
    ports = packets if isinstance(packets, Mapping) else {"in": packets}
    nodes: dict[str, Component] = {"component": target}
    wires = []
    for port in ports:
        nodes[f"source-{port}"] = _Source()
        wires.append(Wire(f"source-{port}", "out", "component", port))
    sinks = {}
    for port in target.get_out_ports():
        nodes[f"sink-{port}"] = sinks[port] = _Sink()
        wires.append(Wire("component", port, f"sink-{port}", "in"))
    graph = Graph(
        name="test",
        nodes={name: GraphNode(name, type(node).__name__, {}) for name, node in nodes.items()},
        wires=tuple(wires),
    )
    limits = limits or Limits()
    batches: list[Batch] = []
    count = 0
    is_joined = len(ports) > 1
    for port, each in ports.items():
        waves = list(each)
        for start in range(0, len(waves), limits.wave_packets):
            wave = waves[start : start + limits.wave_packets]
            batches.append((f"source-{port}", wave, (0,) * len(wave) if is_joined else range(count, count + len(wave))))
            count += len(wave)
    done: list[Epoch] = []
    # a destination that is down is a result here, nothing to wait for
    scheduler = Scheduler(graph, nodes, limits=limits, on_done=done.append, has_breakers=False)
    scheduler.setup()
    try:
        # the one document is not complete before all is fed
        scheduler.submit(Feed(iter(batches), 1, complete=lambda: 0) if is_joined else Feed(iter(batches), count))
        scheduler.drain()
    finally:
        scheduler.teardown()
    return Result({port: sink.packets for port, sink in sinks.items()}, tuple(done[0].dead_letters), target._counts.totals)
