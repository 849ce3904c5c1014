"""Random graphs of both styles against a model that just follows the wires."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from pypes.component import Component, Operator, Publisher
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.ingest.outcome import Fate
from pypes.packet import Packet
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch, Feed, Scheduler
from tests.runtime.scheduler.destinations import NoRest
from tests.runtime.scheduler.graphs import graph_of

#: What a filter does with the number n: what it sends on, by n; None raises.
WORK: dict[str, Any] = {
    "pass": lambda n: [n],
    "add": lambda n: [n + 1],
    "drop odd": lambda n: [n] if n % 2 == 0 else [],
    "twice": lambda n: [n, n + 100],
    "fail on 3": lambda n: None if n % 5 == 3 else [n],
}


def made(packet: Packet, n: int) -> Packet:
    return Packet({"n": n, "of": packet.get("of")})


def worked(kind: str, n: int) -> list[int]:
    found = WORK[kind](n)
    if found is None:
        raise ValueError(n)
    return list(found)


class Easy(Operator):
    kind = "pass"

    def process(self, packet: Packet) -> Packet | None:
        numbers = worked(self.kind, packet.get("n"))
        for n in numbers[:-1]:
            self.send("out", made(packet, n))
        if not numbers:
            return None
        packet.set("n", numbers[-1])
        return packet


class AtOnce(Easy):
    """Works on several packets at once, each of which waits for two calls."""

    concurrency = 3

    def process(self, packet: Packet) -> Packet | None:
        n = self.offload(packet.get, "n")
        numbers = self.offload(worked, self.kind, n)
        for each in numbers[:-1]:
            self.send("out", made(packet, each))
        if not numbers:
            return None
        packet.set("n", numbers[-1])
        return packet


class Batch(Operator):
    """Sends on the packets it got: a new one would be made of the whole batch."""

    kind = "pass"

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        kept = []
        found = [(packet, worked(self.kind, packet.get("n"))) for packet in packets]
        for packet, numbers in found:
            if numbers:
                packet.set("n", numbers[0])
                kept.append(packet)
        return kept


class Gathers(Batch):
    """Gets batches of several deliveries, and leaves no gap in what it returns."""

    batch_size = 7
    batch_bytes = 1000
    batch_s = 60.0

    def process_batch(self, packets: list[Packet]) -> list[Any]:
        assert len(packets) <= 7
        kept = {id(packet) for packet in super().process_batch(packets)}
        return [packet if id(packet) in kept else None for packet in packets]


class Loop(Component):
    __metatype__ = "OPERATOR"
    kind = "pass"

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                numbers = worked(self.kind, packet.get("n"))
                for n in numbers[:-1]:
                    self.send("out", made(packet, n))
                if numbers:
                    packet.set("n", numbers[-1])
                    self.send("out", packet)
            self.yield_ctrl()


class OneByOne(Component):
    __metatype__ = "OPERATOR"
    kind = "pass"

    def run(self) -> None:
        while True:
            packet = self.receive("in")
            if packet is not None:
                for n in worked(self.kind, packet.get("n")):
                    self.send("out", made(packet, n))
            self.yield_ctrl()


class Collect(Publisher):
    """Must not be given anything of a document (delivery and ordinal) that was reported as committed.

    Once in ``flaky`` times that it is used it cannot reach its destination.
    """

    flaky = 0

    def setup(self) -> None:
        self.open: list[int] = []
        self.numbers: list[int] = []
        self.reported: set[tuple[int, int]] = set()
        self.random = random.Random(self.flaky)

    def process(self, packet: Packet) -> None:
        assert packet.get("of") not in self.reported
        self.reach()
        self.open.append(packet.get("n"))

    def commit(self) -> None:
        taken, self.open = self.open, []
        self.reach()
        self.numbers += taken

    def reach(self) -> None:
        if self.flaky and self.random.randrange(self.flaky) == 0:
            raise ConnectionError("flaky")


class CollectBatch(Collect):
    def process_batch(self, packets: list[Packet]) -> None:
        for packet in packets:
            assert packet.get("of") not in self.reported
        self.reach()
        self.open += [packet.get("n") for packet in packets]


class CollectGathers(CollectBatch):
    batch_size = 11
    batch_s = 60.0


class CollectLoop(Collect):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.process(packet)
            self.yield_ctrl()


STYLES = [Easy, AtOnce, Batch, Gathers, Loop, OneByOne]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[tuple[type[Component], str]], list[tuple[int, int]]]:
    count = draw(st.integers(1, 7))
    nodes: list[tuple[type[Component], str]] = []
    for _ in range(count):
        style = draw(st.sampled_from(STYLES))
        nodes.append((style, draw(st.sampled_from(sorted(k for k in WORK if not issubclass(style, Batch) or k != "twice")))))
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    wires = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=10)) if pairs else []
    return nodes, wires


S = TypeVar("S", bound=Component)


def built(
    nodes: list[tuple[type[Component], str]], wires: list[tuple[int, int]], sink: type[S]
) -> tuple[dict[str, Component], dict[str, S], list[tuple[str, str]]]:
    """The filters of a drawn graph, ``n0`` …, a sink behind each of its ends, ``end0`` …, and all wires."""
    components: dict[str, Component] = {}
    for i, (style, kind) in enumerate(nodes):
        components[f"n{i}"] = style()
        components[f"n{i}"].kind = kind  # type: ignore[attr-defined]
    ends = [i for i in range(len(nodes)) if not any(a == i for a, _ in wires)]
    lines = [(f"n{a}.out", f"n{b}.in") for a, b in wires] + [(f"n{i}.out", f"end{i}.in") for i in ends]
    return components, {f"end{i}": sink() for i in ends}, lines


@dataclass
class Expected:
    """What one number ends up as at the ends of the graph, by end, and where packets failed or were dropped on the way."""

    ends: list[tuple[int, int]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


def model(nodes: list[Any], wires: list[tuple[int, int]], start: int, n: int, expected: Expected) -> None:
    found = WORK[nodes[start][1]](n)
    if found is None:
        expected.failed.append(start)
        return
    if not found:
        expected.dropped.append(start)
    targets = [b for a, b in wires if a == start]
    for value in found:
        if not targets:
            expected.ends.append((start, value))
        for target in targets:
            model(nodes, wires, target, value, expected)


def check_fate(fate: Fate, expected: Expected) -> None:
    """Where packets of one document were dropped or failed in several filters, it may be any of them."""
    assert set(fate.takers) == {f"end{end}" for end, _ in expected.ends}
    if expected.failed:
        assert fate.outcome == "failed"
        assert fate.filter in {f"n{i}" for i in expected.failed}
    elif expected.ends:
        assert (fate.outcome, fate.filter) == ("published", "")
    else:
        assert fate.outcome == "dropped"
        assert fate.filter in {f"n{i}" for i in expected.dropped}


@given(
    graphs(),
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.sampled_from([4, 16, 256]),
    st.sampled_from([7, 60]),
    st.one_of(st.just(set()), st.sets(st.integers(0, 100))),
    st.sampled_from([Collect, CollectBatch, CollectGathers, CollectLoop]),
    st.sampled_from([0, 3, 7]),
)
def test_every_document_is_accounted_for(
    graph: tuple[list[tuple[type[Component], str]], list[tuple[int, int]]],
    sizes: list[int],
    wire_packets: int,
    wave: int,
    again: set[int],
    sink: type[Collect],
    flaky: int,
) -> None:
    """Documents ``again`` were committed in an earlier run by every second publisher."""
    nodes, wires = graph
    components, sinks, lines = built(nodes, wires, sink)
    for each in sinks.values():
        each.flaky = flaky
    everything = {**components, **sinks}
    frozen = graph_of(everything, lines)
    done: list[Epoch] = []

    def committed(epoch: Epoch, publisher: str, documents: Sequence[int]) -> None:
        sinks[publisher].reported.update((epoch.feed.deliveries[0], document) for document in documents)

    limits = Limits(wire_packets=wire_packets)
    scheduler = Scheduler(frozen, everything, limits=limits, on_done=done.append, on_committed=committed, rng=NoRest())
    scheduler.setup()
    sources = [i for i in range(len(nodes)) if not any(b == i for _, b in wires)]
    starts = [0, *sizes]
    bounds = [(sum(starts[: k + 1]), sum(starts[: k + 2])) for k in range(len(sizes))]
    for low, high in bounds:
        parts = [range(start, min(start + wave, high)) for start in range(low, high, wave)]
        batches = [
            (f"n{i}", [Packet({"n": n, "of": (low, n - low)}) for n in part], range(part[0] - low, part[-1] + 1 - low))
            for part in parts
            for i in sources
        ]
        earlier = {end: frozenset(n - low for n in again if low <= n < high) for end in sinks if int(end[3:]) % 2}
        scheduler.submit(Feed(iter(batches), high - low, [low], earlier if again else {}))
    scheduler.drain()
    scheduler.teardown()

    assert len(done) == len(sizes)
    assert scheduler.in_flight == 0
    outputs: Counter[int] = Counter()
    failures = 0
    for epoch in done:
        low = epoch.feed.deliveries[0]
        for document, flag in enumerate(epoch.flags):
            expected = Expected()
            for i in sources:
                model(nodes, wires, i, low + document, expected)
            assert bool(flag & FAILED) == bool(expected.failed)
            assert bool(flag & PUBLISHED) == bool(expected.ends)
            check_fate(epoch.fate_of(document), expected)
            outputs.update(n for end, n in expected.ends if not (end % 2 and low + document in again))
            failures += len(expected.failed)
        fates, runs = epoch.fates()
        spread = [fates[place] for count, place in zip(runs[::2], runs[1::2], strict=True) for _ in range(count)]
        assert spread == [epoch.fate_of(document) for document in range(len(epoch.flags))]
        published = {fate.takers for fate, flag in zip(spread, epoch.flags, strict=True) if flag & PUBLISHED}
        assert epoch.takers == (published.pop() if len(published) == 1 else ())
        failures -= len(epoch.dead_letters)
    assert failures == 0
    assert outputs == Counter(n for sink in sinks.values() for n in sink.numbers)


@given(st.lists(st.sampled_from(STYLES), min_size=1, max_size=6), st.integers(1, 700))
def test_a_chain_keeps_the_order(styles: list[type[Component]], count: int) -> None:
    components: dict[str, Component] = {f"c{i}": style() for i, style in enumerate(styles)}
    components["end"] = end = Collect()
    wires = tuple(Wire(a, "out", b, "in") for a, b in pairwise(components))
    graph = Graph(name="g", nodes={n: GraphNode(n, "x", {}) for n in components}, wires=wires)
    scheduler = Scheduler(graph, components)
    scheduler.setup()
    batches = (
        ("c0", [Packet({"n": n}) for n in range(low, min(low + 256, count))], range(low, min(low + 256, count)))
        for low in range(0, count, 256)
    )
    scheduler.submit(Feed(batches, count))
    scheduler.drain()
    scheduler.teardown()
    assert end.numbers == list(range(count))
