"""Scheduler claims: a chain of ten components with full tracking against the same ten functions nested.

Ratios of medians, both sides interleaved in one run: ``python -m benchmarks scheduler``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.report import Line
from pypes.component import Component, Publisher, Transformer
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed, Scheduler

HOPS = 10
ROUNDS = 15


class SetOne(Transformer):
    """Sets one field."""

    field = "f"

    def process(self, packet: Packet) -> Packet:
        packet.set(self.field, 1)
        return packet


class SetOneOriginal(Component):
    """The same in the original style."""

    field = "f"

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                packet.set(self.field, 1)
                self.send("out", packet)
            self.yield_ctrl()


class Swallow(Publisher):
    """Takes everything; its own turn is part of what is measured."""

    def process_batch(self, packets: list[Packet]) -> None:
        return None


def chain(component: type[Component]) -> Scheduler:
    components: dict[str, Component] = {f"c{i}": component() for i in range(HOPS)}
    for name, each in components.items():
        each.field = name  # type: ignore[attr-defined]
    components["end"] = Swallow()
    names = list(components)
    wires = tuple(Wire(a, "out", b, "in") for a, b in pairwise(names))
    graph = Graph(name="chain", nodes={n: GraphNode(n, "x", {}) for n in names}, wires=wires)
    scheduler = Scheduler(graph, components)
    scheduler.setup()
    return scheduler


def run_chain(scheduler: Scheduler, packets: Sequence[Packet], wave: int) -> None:
    for start in range(0, len(packets), wave):
        part = packets[start : start + wave]
        scheduler.submit(Feed(iter([("c0", part, range(len(part)))]), len(part)))
        scheduler.drain()


class Nested:
    """Ten bound methods that each set one field, called one inside the other."""

    def __init__(self, field: str) -> None:
        self.field = field

    def process(self, packet: Packet) -> Packet:
        packet.set(self.field, 1)
        return packet


def run_nested(packets: Sequence[Packet]) -> None:
    a, b, c, d, e, f, g, h, i, j = (Nested(f"c{n}").process for n in range(HOPS))
    for packet in packets:
        j(i(h(g(f(e(d(c(b(a(packet))))))))))


def timed(fn: Callable[..., None], *args: Any) -> float:
    start = time.perf_counter()
    fn(*args)
    return time.perf_counter() - start


def compare(component: type[Component], count: int, wave: int) -> float:
    scheduler = chain(component)
    ratios = []
    for _ in range(ROUNDS):
        base = timed(run_nested, [Packet({"n": n}) for n in range(count)])
        full = timed(run_chain, scheduler, [Packet({"n": n}) for n in range(count)], wave)
        ratios.append(full / base)
    scheduler.teardown()
    return statistics.median(ratios)


def fan(branches: int, hops: int, active: int) -> tuple[Scheduler, list[str]]:
    """A router in front of branches, of which only ``active`` ever get a packet."""

    class Route(Component):
        def __init__(self) -> None:
            super().__init__()
            for n in range(active):
                self.add_output(f"b{n}")

        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    self.send("b0", packet)
                self.yield_ctrl()

    components: dict[str, Component] = {"route": Route()}
    wires = []
    for branch in range(branches):
        before, port = "route", f"b{branch}"
        for hop in range(hops):
            name = f"b{branch}h{hop}"
            components[name] = SetOne()
            if branch < active or hop:
                wires.append(Wire(before, port, name, "in"))
            before, port = name, "out"
    graph = Graph(name="fan", nodes={n: GraphNode(n, "x", {}) for n in components}, wires=tuple(wires))
    scheduler = Scheduler(graph, components)
    scheduler.setup()
    return scheduler, ["route"]


def idle_ratio(count: int = 2000) -> float:
    crowded, _ = fan(10, 10, 10)
    alone, _ = fan(1, 10, 1)

    def run(scheduler: Scheduler) -> None:
        for n in range(count):
            scheduler.submit(Feed(iter([("route", [Packet({"n": n})], (0,))]), 1))
            scheduler.drain()

    ratios = [timed(run, crowded) / timed(run, alone) for _ in range(ROUNDS)]
    crowded.teardown()
    alone.teardown()
    return statistics.median(ratios)


def lines() -> Iterator[Line]:
    nested = "chain of 10 components that each set one field, with tracking, against the functions nested"
    for claim, component, count, wave, must, stretch, before in (
        (f"{nested}: `process`, waves of 100", SetOne, 20_000, 100, 1.5, 1.15, ""),
        ("same, original style, waves of 100", SetOneOriginal, 20_000, 100, 1.75, 1.3, "1.83"),
        ("same, one packet at a time, `process`", SetOne, 1_000, 1, 10.0, 4.0, ""),
        ("same, one packet at a time, original style", SetOneOriginal, 1_000, 1, 15.0, 8.0, "23"),
    ):
        yield Line(claim, "", compare(component, count, wave), must, stretch, before=before)
    yield Line("90 % of the branches idle against none idle, one packet", "", idle_ratio(), 1.5, 1.1, before="1.33 to 1.53")
