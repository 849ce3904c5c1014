"""Random graphs: each document is told of once at each end, as whole as it is, and nothing else changes by that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pypes.component import Component, Operator
from pypes.core.identity import Completed, Identity, Version
from pypes.core.limits import Limits
from pypes.graph.plan import Plan
from pypes.packet import Packet
from pypes.runtime.scheduler import BARRIER, Epoch, Feed
from pypes.runtime.scheduler.completions import Known
from tests.runtime.scheduler import test_joining_properties as joins
from tests.runtime.scheduler.destinations import NoRest
from tests.runtime.scheduler.graphs import graph_of, running
from tests.runtime.scheduler.test_properties import (
    Collect,
    CollectBatch,
    CollectGathers,
    CollectLoop,
    Expected,
    built,
    graphs,
    made,
    model,
    worked,
)
from tests.runtime.scheduler.told import nothing_is_left

#: A document: its delivery (the number of its first document) and its number.
Document = tuple[int, int]


class Told(Collect):
    """Is told of no document twice, and given nothing of it afterwards. What was not committed has not happened."""

    def setup(self) -> None:
        super().setup()
        self.told: dict[Document, bool] = {}
        self.announced: dict[Document, bool] = {}

    def process(self, packet: Packet) -> None:
        assert packet.get("of") not in self.told
        super().process(packet)

    def complete(self, documents: list[Completed]) -> None:
        try:
            self.reach()
        except ConnectionError:
            self.open, self.announced = [], {}  # as a transaction that is rolled back
            raise
        found = [(int(each.version.receipt), int(each.document.id)) for each in documents]
        assert found == sorted(found)
        assert len({delivery for delivery, _ in found}) == 1
        self.announced.update(zip(found, (each.is_whole for each in documents), strict=True))

    def commit(self) -> None:
        announced, self.announced = self.announced, {}
        super().commit()
        assert announced.keys().isdisjoint(self.told)
        self.told |= announced


class ToldBatch(Told, CollectBatch):
    def process_batch(self, packets: list[Packet]) -> None:
        assert all(packet.get("of") not in self.told for packet in packets)
        super().process_batch(packets)


class ToldGathers(ToldBatch, CollectGathers):
    pass


class ToldLoop(Told, CollectLoop):
    pass


class Holds(Operator):
    """Keeps packets, and lets some of them go together."""

    kind = "pass"
    holds = True

    def setup(self) -> None:
        self.kept: list[Packet] = []

    def process(self, packet: Packet) -> None:
        worked(self.kind, packet.get("n"))
        self.kept.append(packet)
        if len(self.kept) == 5:
            for each in self.flush():
                self.send("out", each)
            self.release()

    def flush(self) -> list[Packet]:
        kept, self.kept = self.kept, []
        return [made(packet, n) for packet in kept for n in worked(self.kind, packet.get("n"))]


def identities(low: int, count: int) -> dict[int, Known]:
    return {n: Known(Identity("", str(low + n)), Version(f"{low:06}", n)) for n in range(count)}


@given(
    graphs(),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.sampled_from([4, 16, 256]),
    st.sampled_from([7, 60]),
    st.sampled_from([Told, ToldBatch, ToldGathers, ToldLoop]),
    st.sampled_from([0, 3, 7]),
    st.booleans(),
    st.sets(st.integers(0, 6)),
    st.booleans(),
)
def test_every_document_is_told_of_once_at_each_end(
    graph: tuple[list[tuple[type[Component], str]], list[tuple[int, int]]],
    sizes: list[int],
    wire_packets: int,
    wave: int,
    sink: type[Told],
    flaky: int,
    has_barriers: bool,
    holding: set[int],
    waits: bool,
) -> None:
    nodes, wires = graph
    nodes = [(Holds if i in holding and kind in ("pass", "add") else style, kind) for i, (style, kind) in enumerate(nodes)]
    components, sinks, lines = built(nodes, wires, sink)
    for each in sinks.values():
        each.flaky = flaky
    sources = [i for i in range(len(nodes)) if not any(b == i for _, b in wires)]
    done: list[Epoch] = []
    concluded: dict[Document, bool] = {}

    def conclude(documents: list[Completed]) -> None:
        if waits:
            components["n0"].offload(int)
        for each in documents:
            document = int(each.version.receipt), int(each.document.id)
            assert document not in concluded
            assert all(document in sink.told for sink in sinks.values())
            concluded[document] = each.is_whole

    components["n0"].conclude = conclude

    def ended(epoch: Epoch) -> None:
        low = epoch.feed.deliveries[0]
        for told in (concluded, *(each.told for each in sinks.values())):
            assert all((low, n) in told for n in range(low, low + epoch.feed.documents))
        done.append(epoch)

    def batches(low: int, high: int) -> Iterator[Any]:
        for start in range(low, high, wave):
            part = range(start, min(start + wave, high))
            for i in sources:
                packets = [Packet({"n": n, "of": (low, n)}) for n in part]
                yield f"n{i}", packets, range(part[0] - low, part[-1] + 1 - low)
            if has_barriers:
                yield BARRIER

    options: dict[str, Any] = {"limits": Limits(wire_packets=wire_packets), "on_done": ended, "rng": NoRest()}
    with running({**components, **sinks}, lines, **options) as scheduler:
        low = 0
        for size in sizes:
            scheduler.submit(Feed(batches(low, low + size), size, [low], identities=identities(low, size)))
            low += size
        scheduler.drain()
        nothing_is_left(scheduler)

    assert len(done) == len(sizes)
    ancestors = Plan(graph_of({**components, **sinks}, lines)).ancestors
    for epoch in done:
        assert epoch.holds == 0
        assert {letter.code for letter in epoch.dead_letters} <= {"component.raised"}
        assert {letter.filter for letter in epoch.dead_letters}.isdisjoint(sinks)
        low = epoch.feed.deliveries[0]
        for n in range(low, low + epoch.feed.documents):
            fate = epoch.fate_of(n - low)
            expected = Expected()
            for i in sources:
                model(nodes, wires, i, n, expected)
            assert concluded[low, n] is (fate.outcome != "failed")
            for name, each in sinks.items():
                failed = {f"n{i}" for i in expected.failed}
                if not any(style is Holds for style, _ in nodes):
                    assert each.told[low, n] is failed.isdisjoint(ancestors[name])
                elif fate.outcome != "failed":  # what is made of several fails all of them
                    assert each.told[low, n]
                elif fate.filter in ancestors[name]:
                    assert not each.told[low, n]


class KeepTold(joins.Keep):
    """Is told of documents beside what it keeps."""

    def setup(self) -> None:
        super().setup()
        self.told: dict[int, bool] = {}

    def process(self, packet: Packet) -> None:
        assert packet.get("of") not in self.told
        super().process(packet)

    def complete(self, documents: list[Completed]) -> None:
        for each in documents:
            assert self.told.setdefault(int(each.document.id), each.is_whole) is each.is_whole


Outcome = tuple[dict[str, list[tuple[int, int]]], list[bytes], list[Counter[str]]]


def run(shape: joins.Shape, deliveries: Sequence[range], limits: Limits, keep: type[joins.Keep]) -> Outcome:
    """What was published, what became of the documents, and where they failed; checks what the ends are told."""
    nodes, wires = shape.build()
    nodes = {name: keep() if isinstance(node, joins.Keep) else node for name, node in nodes.items()}
    ancestors = Plan(graph_of(nodes, wires)).ancestors
    done: list[Epoch] = []

    def ended(epoch: Epoch) -> None:
        done.append(epoch)
        for name, node in nodes.items():
            if isinstance(node, KeepTold):
                behind = {*ancestors[name], name}
                lost = {n for letter in epoch.dead_letters if letter.filter in behind for n in letter.documents}
                for ordinal, document in enumerate(epoch.feed.deliveries[0]):
                    assert node.told[document] is (ordinal not in lost)

    with running(nodes, wires, limits=limits, on_done=ended, rng=NoRest()) as scheduler:
        for documents in deliveries:

            def batches(documents: range = documents) -> Iterator[Any]:
                for start in range(0, len(documents), limits.wave_packets):
                    part = documents[start : start + limits.wave_packets]
                    packets = [Packet({"n": joins.mixed(n), "of": n}) for n in part]
                    yield "n0", packets, range(start, start + len(part))

            known = identities(documents.start, len(documents))
            scheduler.submit(Feed(batches(), len(documents), [documents], identities=known))
        scheduler.drain()
        if keep is KeepTold:
            nothing_is_left(scheduler)
        assert all(wire.packets == 0 and not wire.overflowed for wire in scheduler.wires)
    done.sort(key=lambda epoch: epoch.feed.deliveries[0].start)
    found = {name: sorted(node.found) for name, node in nodes.items() if isinstance(node, joins.Keep)}
    letters = [Counter(letter.filter for letter in epoch.dead_letters) for epoch in done]
    return found, [bytes(epoch.flags) for epoch in done], letters


@given(
    joins.shapes(), st.lists(st.integers(1, 12), min_size=1, max_size=3), st.sampled_from([1, 3, 16]), st.sampled_from([1, 4, 16])
)
def test_what_becomes_of_documents_is_the_same_as_without(shape: joins.Shape, sizes: list[int], wire: int, wave: int) -> None:
    limits = Limits(wire_packets=wire, wave_packets=wave)
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    deliveries = [range(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    assert run(shape, deliveries, limits, KeepTold) == run(shape, deliveries, limits, joins.Keep)
