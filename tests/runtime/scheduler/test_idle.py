"""An instance sleeps while a scheduler is idle, so idle must mean that nothing can move."""

from __future__ import annotations

import itertools
import threading

from pypes.component import Component, Operator, Publisher, Transformer
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler


class Passing(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


class Slow(Publisher):
    """Commits in a thread, when it is let."""

    def setup(self) -> None:
        self.may_commit = threading.Event()

    def process(self, packet: Packet) -> None:
        return None

    def commit(self) -> None:
        self.offload(self.may_commit.wait, 10)


def test_a_feed_that_waits_for_an_offloaded_call_leaves_the_scheduler_idle() -> None:
    nodes: dict[str, Component] = {"passing": Passing(), "slow": Slow()}
    graph = Graph(
        name="slow",
        nodes={name: GraphNode(name, type(node).__name__, {}) for name, node in nodes.items()},
        wires=(Wire("passing", "out", "slow", "in"),),
    )
    done: list[Epoch] = []
    scheduler = Scheduler(graph, nodes, limits=Limits(wire_packets=4, wave_packets=4), on_done=done.append)
    scheduler.setup()
    try:
        batches = ((("passing", [Packet() for _ in range(4)], range(at, at + 4))) for at in range(0, 80, 4))
        scheduler.submit(Feed(iter(batches), 80))
        for _ in range(10):
            scheduler.run()
        assert scheduler.is_idle
        assert not done
        nodes["slow"].may_commit.set()  # type: ignore[attr-defined]
        scheduler.drain()
        assert len(done) == 1
    finally:
        scheduler.teardown()


def test_a_slice_that_ends_in_a_jam_does_not_leave_the_scheduler_idle() -> None:
    class Split(Operator):
        def __init__(self) -> None:
            super().__init__()
            self.add_output("out2")

        def process(self, packet: Packet) -> Packet:
            self.send("out2", packet.clone())
            return packet

    class Join(Operator):
        def __init__(self) -> None:
            super().__init__()
            self.add_input("in2")

        def process(self, packet: Packet) -> Packet:
            return packet

    nodes: dict[str, Component] = {"split": Split(), "long": Passing(), "join": Join()}
    wires = (Wire("split", "out", "join", "in"), Wire("split", "out2", "long", "in"), Wire("long", "out", "join", "in2"))
    graph = Graph(name="g", nodes={name: GraphNode(name, "x", {}) for name in nodes}, wires=wires)
    done: list[Epoch] = []
    ticks = itertools.count()  # every slice is over after one wave
    scheduler = Scheduler(graph, nodes, limits=Limits(wire_packets=4), on_done=done.append, clock=lambda: float(next(ticks)))
    scheduler.setup()
    try:
        batches = (("split", [Packet() for _ in range(4)], range(at, at + 4)) for at in range(0, 40, 4))
        scheduler.submit(Feed(batches, 40))
        scheduler.drain()
        assert done[0].flags.count(0) == 40
        scheduler.run()
        assert scheduler.is_idle
    finally:
        scheduler.teardown()


def test_a_join_that_waits_for_an_offloaded_call_leaves_the_scheduler_idle() -> None:
    may_go_on = threading.Event()

    class Wait(Transformer):
        def process(self, packet: Packet) -> Packet:
            self.offload(may_go_on.wait, 10)
            return packet

    class Join(Component):
        def __init__(self) -> None:
            super().__init__()
            self.add_input("in2")

        def run(self) -> None:
            while True:
                for port in ("in", "in2"):
                    for packet in self.receive_all(port):
                        self.send("out", packet)
                self.yield_ctrl()

    nodes: dict[str, Component] = {"start": Passing(), "wait": Wait(), "join": Join()}
    wires = (Wire("start", "out", "wait", "in"), Wire("start", "out", "join", "in"), Wire("wait", "out", "join", "in2"))
    graph = Graph(name="g", nodes={name: GraphNode(name, "x", {}) for name in nodes}, wires=wires)
    done: list[Epoch] = []
    scheduler = Scheduler(graph, nodes, on_done=done.append)
    scheduler.setup()
    try:
        scheduler.submit(Feed(iter([("start", [Packet()], (0,))]), 1))
        scheduler.run()
        assert scheduler.is_idle
        assert not done
        may_go_on.set()
        scheduler.drain()
        assert len(done) == 1
    finally:
        scheduler.teardown()
