"""Joins: shapes of graphs, and what components do there that is not usual."""

from __future__ import annotations

import threading
from typing import Any

from pypes.component import Component, Operator, Transformer
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.runtime.scheduler import BARRIER, Epoch, Feed
from tests.runtime.scheduler.graphs import Pass, packets, running
from tests.runtime.scheduler.joins import (
    DIAMOND,
    Easy,
    Keep,
    Mark,
    Merge,
    Split,
    Turns,
    Two,
    diamond,
    feed,
    run,
    still,
)


def test_joins_after_one_another() -> None:
    nodes = {"split": Split(), "a": Mark("a", lambda n: n % 2 == 0), "first": Merge(), "again": Split()}
    nodes |= {"b": Mark("b", lambda n: n % 3 == 0), "second": Merge(), "end": Keep()}
    wires = [("split.out", "a.in"), ("a.out", "first.in"), ("split.out2", "first.in2"), ("first.out", "again.in")]
    wires += [("again.out", "b.in"), ("b.out", "second.in"), ("again.out2", "second.in2"), ("second.out", "end.in")]
    epoch = run(nodes, 300, wires, limits=Limits(wire_packets=16, wire_bytes=1))
    end: Any = nodes["end"]
    assert end.column("n") == list(range(300))
    assert end.column("a") == [n if n % 2 else None for n in range(300)]
    assert end.column("b") == [n if n % 3 else None for n in range(300)]
    assert epoch.dead_letters == []


def test_a_join_within_a_branch_of_another() -> None:
    nodes = {
        "split": Split(),
        "inner": Split(),
        "left": Mark(drop=lambda n: n % 2 == 0),
        "near": Merge(),
        "far": Turns(),
        "end": Keep(),
    }
    wires = [("split.out", "inner.in"), ("inner.out", "left.in"), ("left.out", "near.in"), ("inner.out2", "near.in2")]
    wires += [("near.out", "far.in"), ("split.out2", "far.in2"), ("far.out", "end.in")]
    run(nodes, 100, wires, limits=Limits(wire_packets=8))
    end: Any = nodes["end"]
    assert end.column("turn") == [{"in": [n], "in2": [n]} for n in range(100)]


def test_a_component_that_leaves_packets_is_given_the_same_document_again() -> None:
    class OneOfEach(Two):
        def run(self) -> None:
            while True:
                found = [self.receive("in"), self.receive("in2")]
                self.send("out", Packet({"turn": {"each": [packet and packet.get("n") for packet in found]}}))
                self.yield_ctrl()

    class Thrice(Operator):
        def process(self, packet: Packet) -> Packet:
            self.send("out", packet.clone())
            self.send("out", packet.clone())
            return packet

    nodes = diamond(OneOfEach(), Thrice())
    run(nodes, 2)
    assert nodes["end"].column("turn") == [{"each": [n, m]} for n in (0, 1) for m in (n, None, None)]


def test_a_component_that_takes_nothing_at_a_join_is_stalled() -> None:
    class Blind(Two):
        def run(self) -> None:
            while True:
                self.yield_ctrl()

    epoch = run(diamond(Blind()), 2)
    assert [(f.documents, f.code) for f in epoch.dead_letters] == [((n,), "component.stalled") for n in (0, 0, 1, 1)]


def test_sources_that_were_triggered_together_meet() -> None:
    class Fetch(Component):
        __metatype__ = "ADAPTER"

        def __init__(self) -> None:
            Component.__init__(self)
            self.remove_input("in")

        def run(self) -> None:
            while True:
                self.send("out", Packet({"n": 1}))
                self.yield_ctrl()

    wires = [("one.out", "join.in"), ("two.out", "middle.in"), ("middle.out", "join.in2")]
    with Pipeline(nodes={"one": Fetch, "two": Fetch, "middle": Pass, "join": Turns}, wires=wires) as pipeline:
        for _ in range(2):
            assert [packet.get("turn") for packet in pipeline.trigger()] == [{"in": [1], "in2": [1]}]


def test_a_lone_run_passes_a_join_document_by_document() -> None:
    nodes = diamond(Merge())
    noted: list[tuple[str, int]] = []
    batches: list[Any] = [part for n in range(3) for part in (("split", packets(1, n), (n,)), BARRIER)]
    with running(nodes, DIAMOND) as scheduler:
        scheduler.record_turn = lambda filter, document: noted.append((filter, document))
        scheduler.submit(Feed(iter(batches), 3))
        scheduler.drain()
    assert [document for filter, document in noted if filter == "join"] == [0, 1, 2]
    assert nodes["end"].column("n") == [0, 1, 2]


def test_documents_that_were_published_are_reported_while_others_wait_at_a_join() -> None:
    release = threading.Event()

    class Slow(Transformer):
        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 2:
                self.offload(release.wait, 10)
            return packet

    reported: list[int] = []
    nodes = diamond(Merge(), Slow())
    done: list[Epoch] = []
    told: Any = lambda epoch, publisher, documents: reported.extend(documents)  # noqa: E731
    with running(nodes, DIAMOND, clock=still, on_done=done.append, on_committed=told, limits=Limits(wire_packets=1)) as scheduler:
        feed(scheduler, 4, wave=1)
        scheduler.run()
        assert reported == [0, 1]
        release.set()
        scheduler.drain()
    assert nodes["end"].column("n") == [0, 1, 2, 3]


def test_a_feed_that_waits_for_all_that_it_has_fed_is_not_waited_for() -> None:
    """What belongs to no document is waited for until the feed ends, or stands at a barrier: it would wait for that in turn."""

    class Adds(Component):
        def run(self) -> None:
            while True:
                self.send("out", Packet({"n": -1}))
                for packet in self.receive_all("in"):
                    self.send("out", packet)
                self.yield_ctrl()

    done, end = list[Epoch](), Keep()
    nodes: dict[str, Component] = {"start": Pass(), "adds": Adds(), "join": Easy(), "end": end}
    wires = [("start.out", "join.in"), ("start.out", "adds.in"), ("adds.out", "join.in2"), ("join.out", "end.in")]
    batches: list[Any] = [("start", packets(1), [0]), BARRIER, ("start", packets(1, 1), [1]), BARRIER]
    with running(nodes, wires, on_done=done.append) as scheduler:
        scheduler.submit(Feed(iter(batches), 2))
        while not scheduler.is_idle:
            scheduler.run()
    assert len(done) == 1
    assert {-1, 0, 1} == set(end.column("n"))
