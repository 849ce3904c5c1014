"""What became of each document: its takers, and the filter that dropped it or in which it failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pypes.component import Component, Filter, Operator, Publisher, Transformer
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.ingest.outcome import Fate
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes.runtime.scheduler.failures import Failure
from tests.runtime.scheduler.destinations import submit
from tests.runtime.scheduler.graphs import Keep, Pass, running


def run(nodes: Mapping[str, Component], wires: Sequence[tuple[str, str]], count: int, limits: Limits | None = None) -> Epoch:
    """Push packets ``n`` = 0, 1, … into the first filter and return their epoch."""
    ends = [(*source.split("."), *target.split(".")) for source, target in wires]
    graph = Graph("g", {name: GraphNode(name, "x", {}) for name in nodes}, tuple(Wire(*end) for end in ends))
    done: list[Epoch] = []
    scheduler = Scheduler(graph, nodes, limits=limits, on_done=done.append)
    scheduler.setup()
    try:
        first = next(iter(nodes))
        scheduler.submit(Feed(iter([(first, [Packet({"n": n}) for n in range(count)], range(count))]), count))
        scheduler.drain()
    finally:
        scheduler.teardown()
    (epoch,) = done
    return epoch


def fates(epoch: Epoch) -> list[Fate]:
    return [epoch.fate_of(document) for document in range(epoch.feed.documents)]


class Even(Filter):
    def process(self, packet: Packet) -> Packet | None:
        return packet if packet.get("n") % 2 == 0 else None


class EvenBatch(Filter):
    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if packet.get("n") % 2 == 0]


class EvenAligned(Filter):
    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        return [packet if packet.get("n") % 2 == 0 else None for packet in packets]


class EvenGenerated(Filter):
    def process_batch(self, packets: list[Packet]) -> Any:
        return (packet for packet in packets if packet.get("n") % 2 == 0)


class EvenSent(Filter):
    def process(self, packet: Packet) -> None:
        if packet.get("n") % 2 == 0:
            self.send("out", packet)


class EvenLoop(Component):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                if packet.get("n") % 2 == 0:
                    self.send("out", packet)
            self.yield_ctrl()


class EvenOneByOne(Component):
    def run(self) -> None:
        while True:
            packet = self.receive("in")
            if packet is None:
                self.yield_ctrl()
            elif packet.get("n") % 2 == 0:
                self.send("out", Packet({"n": packet.get("n")}))


class Fail(Transformer):
    def process(self, packet: Packet) -> Packet:
        if packet.get("n") == 1:
            raise ValueError("one")
        return packet


class Swallow(Publisher):
    def process(self, packet: Packet) -> None:
        return None


EVENS = [Even, EvenBatch, EvenAligned, EvenGenerated, EvenSent, EvenLoop, EvenOneByOne]


@pytest.mark.parametrize("kind", EVENS)
@pytest.mark.parametrize("wire_packets", [4, 256])
def test_a_filter_is_named_for_what_it_dropped(kind: type[Component], wire_packets: int) -> None:
    nodes = {"start": Pass(), "even": kind(), "end": Swallow()}
    wires = [("start.out", "even.in"), ("even.out", "end.in")]
    epoch = run(nodes, wires, 21, Limits(wire_packets=wire_packets))
    published, dropped = Fate("published", ("end",)), Fate("dropped", (), "even")
    assert fates(epoch) == [dropped if n % 2 else published for n in range(21)]
    assert epoch.fates(0, 3) == ((published, dropped), (1, 0, 1, 1, 1, 0))
    assert epoch.takers == ("end",)


@pytest.mark.parametrize("kind", [Pass, *EVENS])
def test_what_leaves_by_a_port_without_a_wire_is_dropped_there(kind: type[Component]) -> None:
    epoch = run({"start": Pass(), "last": kind()}, [("start.out", "last.in")], 3)
    assert fates(epoch) == [Fate("dropped", (), "last")] * 3
    assert epoch.fates() == ((Fate("dropped", (), "last"),), (3, 0))
    assert epoch.takers == ()


def test_what_goes_on_by_another_port_is_not_dropped() -> None:
    class Sort(Operator):
        def __init__(self) -> None:
            super().__init__()
            self.add_output("odd")

        def process(self, packet: Packet) -> Packet | None:
            if packet.get("n") % 2 == 0:
                return packet
            self.send("odd", packet)
            return None

    nodes = {"sort": Sort(), "odds": Swallow()}
    epoch = run(nodes, [("sort.odd", "odds.in")], 3)
    assert fates(epoch) == [Fate("dropped", (), "sort"), Fate("published", ("odds",)), Fate("dropped", (), "sort")]
    nodes = {"sort": Sort(), "odds": Swallow(), "evens": Swallow()}
    epoch = run(nodes, [("sort.odd", "odds.in"), ("sort.out", "evens.in")], 3)
    assert [fate.takers for fate in fates(epoch)] == [("evens",), ("odds",), ("evens",)]
    assert epoch.takers == ()


def test_where_it_failed_is_named_and_who_took_it_all_the_same() -> None:
    nodes = {"start": Pass(), "fail": Fail(), "left": Swallow(), "right": Swallow()}
    wires = [("start.out", "fail.in"), ("fail.out", "left.in"), ("start.out", "right.in")]
    epoch = run(nodes, wires, 3)
    both = Fate("published", ("left", "right"))
    assert fates(epoch) == [both, Fate("failed", ("right",), "fail"), both]
    assert epoch.takers == ()


def test_all_takers_are_said_at_once_if_they_are_the_same_for_all() -> None:
    nodes = {"start": Pass(), "even": Even(), "left": Swallow(), "right": Swallow()}
    epoch = run(nodes, [("start.out", "even.in"), ("even.out", "left.in"), ("even.out", "right.in")], 5)
    assert epoch.takers == ("left", "right")


def test_a_document_dropped_in_several_branches_was_dropped_by_the_last() -> None:
    nodes = {"start": Pass(), "early": Even(), "pass": Pass(), "late": Even()}
    epoch = run(nodes, [("start.out", "early.in"), ("start.out", "pass.in"), ("pass.out", "late.in")], 2)
    assert fates(epoch)[1] == Fate("dropped", (), "late")


class Pairs(Operator):
    """Sends on every second packet for two."""

    holds = True

    def setup(self) -> None:
        self.kept: list[Packet] = []

    def process(self, packet: Packet) -> Packet | None:
        self.kept.append(packet)
        if len(self.kept) < 2:
            return None
        self.release()
        (first, _), self.kept = self.kept, []
        return None if first.get("n") == 2 else first

    def flush(self) -> None:
        self.kept = []


def test_what_was_held_and_let_go_without_sending_is_dropped_there() -> None:
    epoch = run(
        {"pairs": Pairs(), "left": Swallow(), "right": Swallow()}, [("pairs.out", "left.in"), ("pairs.out", "right.in")], 5
    )
    published, dropped = Fate("published", ("left", "right")), Fate("dropped", (), "pairs")
    assert fates(epoch) == [published, published, dropped, dropped, dropped]


def test_derived_epochs_hand_on_what_became_of_their_documents() -> None:
    class Picky(Operator):
        def process(self, packet: Packet) -> Packet | None:
            if packet.get("n") == 0:
                return None
            raise ValueError("no")

    class All(Pairs):
        def process(self, packet: Packet) -> Packet | None:
            self.kept.append(packet)
            if len(self.kept) < 2:
                return None
            self.release()
            (first, _), self.kept = self.kept, []
            return first

    epoch = run({"all": All(), "picky": Picky(), "end": Swallow()}, [("all.out", "picky.in"), ("picky.out", "end.in")], 4)
    assert fates(epoch) == [Fate("dropped", (), "picky")] * 2 + [Fate("failed", (), "picky")] * 2
    assert [failure.documents for failure in epoch.dead_letters] == [(2, 3)]


def test_a_failed_packet_of_two_deliveries_names_the_filter_for_both() -> None:
    nodes = {"pairs": Pairs(), "fail": Fail(), "end": Swallow()}
    wires = (Wire("pairs", "out", "fail", "in"), Wire("fail", "out", "end", "in"))
    scheduler = Scheduler(Graph("g", {name: GraphNode(name, "x", {}) for name in nodes}, wires), nodes)
    scheduler.setup()
    epochs = [scheduler.submit(Feed(iter([("pairs", [Packet({"n": 1})], (0,))]), 1)) for _ in range(2)]
    scheduler.drain()
    scheduler.teardown()
    assert [epoch.fate_of(0) for epoch in epochs] == [Fate("failed", (), "fail")] * 2
    assert [len(epoch.dead_letters) for epoch in epochs] == [1, 0]


def test_what_fails_in_a_component_that_holds_is_made_of_nothing_else_at_the_error_port() -> None:
    class Picky(Operator):
        holds = True

        def process(self, packet: Packet) -> None:
            if packet.get("n") == 2:
                raise ValueError(2)

        def flush(self) -> None:
            pass

    class Fails(Keep):
        def process(self, packet: Packet) -> None:
            raise RuntimeError("bad")

    done = list[Epoch]()
    nodes = {"start": Pass(), "picky": Picky(), "bad": Fails()}
    with running(nodes, [("start.out", "picky.in"), ("picky.error", "bad.in")], on_done=done.append) as scheduler:
        submit(scheduler, 4)
        scheduler.drain()
    assert [letter.documents for letter in done[0].dead_letters] == [(2,)]


def test_a_failure_of_no_document_in_a_derived_epoch_goes_to_its_first_delivery() -> None:
    """What a filter sends over nothing that it took may fail as well; the deliveries end all the same."""
    parents = [Epoch(Feed(iter(()), 2), holds=1) for _ in range(2)]
    derived = Epoch.derived([(parents[0], (1,)), (parents[1], (0,))])
    for documents in ((), (1,)):
        derived.fail(Failure(documents, "f", "F", "rejected", "no", "", b"", 1, 1.0))
    derived.report_to_parents()
    assert [[letter.documents for letter in parent.dead_letters] for parent in parents] == [[()], [(0,)]]
    assert [parent.holds for parent in parents] == [1, 1]
