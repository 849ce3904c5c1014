"""Random graphs with joins: what becomes of a document must not depend on what runs beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from pypes.component import Component, Operator, Publisher
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.ingest.outcome import Fate
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed
from tests.runtime.scheduler.destinations import NoRest
from tests.runtime.scheduler.graphs import running


def mixed(*values: Any) -> int:
    return crc32(repr(values).encode())


def made(packet: Packet, n: int) -> Packet:
    return Packet({"n": n, "of": packet.get("of")})


class Filter(Operator):
    """Does one kind of work, which depends on nothing but the packet."""

    kind, place = "pass", 0

    def setup(self) -> None:
        self.tried: set[int] = set()

    def work(self, packet: Packet) -> list[Packet]:
        n = packet.get("n")
        luck = mixed(n, self.place) % 3
        if self.kind == "drop" and luck == 0:
            return []
        if self.kind == "fail" and luck == 0:
            raise ValueError(n)
        if self.kind == "retry" and luck == 0 and n not in self.tried:
            self.tried.add(n)
            raise Retry(0.0)
        if self.kind == "many":
            return [made(packet, mixed(n, self.place, each)) for each in range(1 + 9 * luck)]
        packet.set("n", mixed(n, self.place))
        return [packet]


class Easy(Filter):
    def process(self, packet: Packet) -> Packet | None:
        found = self.work(packet)
        for each in found[:-1]:
            self.send("out", each)
        return found[-1] if found else None


class AtOnce(Easy):
    """Works on several packets at once; at a join on one at a time."""

    concurrency = 3

    def work(self, packet: Packet) -> list[Packet]:
        return self.offload(super().work, packet)


class Gathers(Filter):
    """Gets batches of several deliveries."""

    batch_size = 5
    batch_s = 60.0

    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        found = [self.work(packet.clone()) for packet in packets]
        return [each[0] if each else None for each in found]


class Loop(Filter):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                for each in self.work(packet):
                    self.send("out", each)
            self.yield_ctrl()


class OneByOne(Filter):
    def run(self) -> None:
        while True:
            packet = self.receive("in")
            if packet is not None:
                for each in self.work(packet):
                    self.send("out", each)
            self.yield_ctrl()


class Join(Filter):
    """One packet of all that it sees in a turn, whatever its order."""

    inputs = {"in": "", "in2": ""}

    def run(self) -> None:
        while True:
            taken = {port: list(self.receive_all(port)) for port in ("in", "in2")}
            first = next((packet for packets in taken.values() for packet in packets), None)
            if first is not None:
                self.send("out", made(first, mixed(*(sorted(p.get("n") for p in packets) for packets in taken.values()))))
            self.yield_ctrl()


class Pairs(Join):
    """Pairs by place, and leaves what is left over of one input to the next turn."""

    def run(self) -> None:
        while True:
            first, second = self.receive("in"), self.receive("in2")
            found = [packet for packet in (first, second) if packet is not None]
            if found:
                self.send("out", made(found[0], min(packet.get("n") for packet in found)))
            self.yield_ctrl()


class EasyJoin(Join):
    run = Component.run

    def process(self, packet: Packet) -> Packet:
        return made(packet, mixed(packet.get("n"), self.place))


class BatchJoin(Join):
    run = Component.run

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return [made(packets[0], mixed(sorted(packet.get("n") for packet in packets)))]


class Keep(Publisher):
    def setup(self) -> None:
        self.found: list[tuple[int, int]] = []

    def process(self, packet: Packet) -> None:
        self.found.append((packet.get("of"), packet.get("n")))


@dataclass
class Shape:
    """Filters in topological order; by filter its class, its kind of work, and what feeds its ports."""

    filters: list[tuple[type[Filter], str, tuple[int, ...]]]

    def build(self) -> tuple[dict[str, Component], list[tuple[str, str]]]:
        nodes: dict[str, Component] = {"n0": Easy()}
        wires = []
        fed: set[int] = set()
        for place, (style, kind, sources) in enumerate(self.filters, 1):
            made = style()
            made.kind, made.place = kind, place
            nodes[f"n{place}"] = made
            wires += [(f"n{source}.out", f"n{place}.{port}") for source, port in zip(sources, ("in", "in2"), strict=False)]
            fed.update(sources)
        for end in set(range(len(self.filters) + 1)) - fed:
            nodes[f"end{end}"] = Keep()
            wires.append((f"n{end}.out", f"end{end}.in"))
        return nodes, wires


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    filters: list[tuple[type[Filter], str, tuple[int, ...]]] = []
    ordered = [True]  # whether what a filter sends of one document always comes in the same order
    for place in range(1, draw(st.integers(2, 9)) + 1):
        if place > 1 and draw(st.booleans()):
            sources = tuple(draw(st.lists(st.integers(0, place - 1), min_size=2, max_size=2)))
            is_ordered = all(ordered[source] for source in sources)
            style = draw(st.sampled_from([Join, EasyJoin, BatchJoin, *([Pairs] if is_ordered else [])]))
            filters.append((style, "pass", sources))
            ordered.append(is_ordered or style is Join)
        else:
            source = draw(st.integers(0, place - 1))
            kind = draw(st.sampled_from(["pass", "drop", "fail", "retry", "many"]))
            styles = [Easy, AtOnce, Loop, OneByOne, *([Gathers] if kind in ("pass", "drop", "fail") else [])]
            filters.append((draw(st.sampled_from(styles)), kind, (source,)))
            ordered.append(ordered[source] and kind != "retry")
    return Shape(filters)


Told = tuple[dict[int, list[tuple[str, int]]], dict[int, tuple[Fate, ...]]]


def run(shape: Shape, deliveries: Sequence[Sequence[int]], limits: Limits) -> Told:
    """What was published of each document, and what became of it."""
    nodes, wires = shape.build()
    done: list[Epoch] = []
    with running(nodes, wires, limits=limits, on_done=done.append, rng=NoRest()) as scheduler:
        for documents in deliveries:

            def batches(documents: Sequence[int] = documents) -> Iterator[Any]:
                for start in range(0, len(documents), limits.wave_packets):
                    part = documents[start : start + limits.wave_packets]
                    yield "n0", [Packet({"n": mixed(n), "of": n}) for n in part], range(start, start + len(part))

            scheduler.submit(Feed(batches(), len(documents), [documents]))
        scheduler.drain()
        assert all(wire.packets == 0 and not wire.overflowed for wire in scheduler.wires)
        assert all(wire.capacity == wire.usual_capacity for wire in scheduler.wires)
    published: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for name, node in nodes.items():
        if isinstance(node, Keep):
            for document, n in node.found:
                published[document].append((name, n))
    fates: dict[int, tuple[Fate, ...]] = {}
    for epoch in done:
        for ordinal, document in enumerate(epoch.feed.deliveries[0]):
            fate = epoch.fate_of(ordinal)
            # where several packets of it were dropped or failed it may be any of those filters
            fates[document] = (Fate(fate.outcome, fate.takers),)
    return {document: sorted(found) for document, found in published.items()}, fates


@given(shapes(), st.lists(st.integers(1, 12), min_size=1, max_size=3), st.sampled_from([1, 3, 16]), st.sampled_from([1, 4, 16]))
def test_a_document_fares_alone_as_it_does_among_others(shape: Shape, sizes: list[int], wire: int, wave: int) -> None:
    limits = Limits(wire_packets=wire, wave_packets=wave)
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    published, fates = run(shape, [range(start, start + size) for start, size in zip(starts, sizes, strict=True)], limits)
    for document in range(sum(sizes)):
        alone, fate = run(shape, [[document]], limits)
        assert published.get(document) == alone.get(document)
        assert fates[document] == fate[document]
