"""Loops that send on what they took, nearly what they took, and something else."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.component import Component, Publisher
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.runtime.scheduler import Epoch, Feed
from tests.runtime.scheduler.graphs import Keep, packets, running

#: Stands for a packet that the component makes.
NEW = 9


class Passing(Component):
    """Sends on what it takes, as it is."""

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.send("out", packet)
            self.yield_ctrl()


class Takes(Component):
    """Fails over packets that were made."""

    __metatype__ = "PUBLISHER"

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.taken.append(packet.get("n"))
                if packet.get("n") == NEW:
                    raise ValueError("new")
            self.yield_ctrl()


def test_a_component_with_a_send_of_its_own_calls_that_of_the_base() -> None:
    sent: list[str] = []

    class Noting(Passing):
        def send(self, port: str, data: Any) -> bool:
            sent.append(port)
            return super().send(port, data)

    with Pipeline(Noting, Passing) as pipeline:
        assert [packet.get("n") for packet in pipeline.run(packets(3))] == [0, 1, 2]
    assert sent == ["out"] * 3


def test_a_loop_that_has_left_its_graph_sends_nowhere() -> None:
    component = Passing()
    with running({"pass": component, "end": Takes()}, [("pass.out", "end.in")]) as scheduler:
        scheduler.submit(Feed(iter([("pass", packets(1), range(1))]), 1))
        scheduler.drain()
    assert component.send("out", Packet()) is False
    with pytest.raises(Exception, match="ports work only while a graph runs the component"):
        component.yield_ctrl()


@pytest.mark.parametrize(
    ("sent", "made_of"),
    [
        ([0, 1, NEW], [(0, 1, 2)]),  # in place of the last that was expected
        ([0, NEW, 2], [(0, 1, 2)]),
        ([0, 1, 2, NEW], [(0, 1, 2)]),  # one more than was expected
        ([0, 1, 2, 0, 1, 2, NEW], [(0, 1, 2)]),
        ([1, 0, 2, 0], []),
        ([2], []),
    ],
)
def test_of_what_packets_are_made_where_not_all_go_on_as_they_came(sent: list[int], made_of: list[tuple[int, ...]]) -> None:
    class Shuffle(Component):
        """Takes everything before it sends anything, so that what it makes is made of all."""

        def run(self) -> None:
            while True:
                taken = list(self.receive_all("in"))
                for n in sent if taken else ():
                    self.send("out", taken[n] if n < NEW else Packet({"n": NEW}))
                self.yield_ctrl()

    last, done = Takes(), list[Epoch]()
    with running({"shuffle": Shuffle(), "last": last}, [("shuffle.out", "last.in")], on_done=done.append) as scheduler:
        scheduler.submit(Feed(iter([("shuffle", packets(3), range(3))]), 3))
        scheduler.drain()
    assert last.taken == sent
    assert [failure.documents for failure in done[0].dead_letters] == made_of


class Route(Component):
    """Sends numbers below 10 to one port, below 20 to the other, and all others to both."""

    def __init__(self) -> None:
        super().__init__()
        self.add_output("low")
        self.add_output("high")

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                n = packet.get("n")
                if n < 10 or n >= 20:
                    self.send("low", packet)
                if n >= 10:
                    self.send("high", packet if n < 20 else packet.clone())
            self.yield_ctrl()


@given(st.lists(st.lists(st.integers(0, 25), min_size=1, max_size=4), min_size=1, max_size=6))
def test_a_router_of_which_now_this_port_is_used_now_that(deliveries: list[list[int]]) -> None:
    low, high, done = Keep(), Keep(), list[Epoch]()
    nodes = {"route": Route(), "low": low, "high": high}
    with running(nodes, [("route.low", "low.in"), ("route.high", "high.in")], on_done=done.append) as scheduler:
        for delivery in deliveries:
            fed = [Packet({"n": n}) for n in delivery]
            scheduler.submit(Feed(iter([("route", fed, range(len(fed)))]), len(fed)))
            scheduler.drain()
    numbers = [n for delivery in deliveries for n in delivery]
    assert low.numbers == [n for n in numbers if n < 10 or n >= 20]
    assert high.numbers == [n for n in numbers if n >= 10]
    takers = [epoch.fate_of(at).takers for epoch in done for at in range(epoch.feed.documents)]
    assert takers == [("low",) if n < 10 else ("high",) if n < 20 else ("low", "high") for n in numbers]


class Named(Publisher):
    """Asks for names by being there."""

    def setup(self) -> None:
        self.ids: list[str | None] = []

    def process(self, packet: Packet) -> None:
        self.ids.append(packet.id)

    def complete(self, documents: list[Any]) -> None:
        pass


@pytest.mark.parametrize("count", [1, 3])
def test_a_packet_that_goes_on_keeps_its_place_whichever_port_its_part_takes(count: int) -> None:
    class Part(Component):
        def __init__(self) -> None:
            super().__init__()
            self.add_output("part")

        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    if packet.get("n") == 0:
                        self.send("part", Packet({"n": 0}))
                    self.send("out", packet)
                self.yield_ctrl()

    whole, parts = Named(), Named()
    nodes = {"part": Part(), "whole": whole, "parts": parts}
    fed = [Packet({"n": n}, {"id": f"d{n}", "receipt": "01a", "route": "r"}) for n in range(count)]
    with running(nodes, [("part.out", "whole.in"), ("part.part", "parts.in")]) as scheduler:
        scheduler.submit(Feed(iter([("part", fed, range(count))]), count))
        scheduler.drain()
    assert whole.ids == [f"d{n}" for n in range(count)]
    assert parts.ids == ["d0/~2"]


class Unready(Component):
    """Asks for its packets and does not look at them in its first turns; ``error`` is raised then."""

    def __init__(self, idle: int, error: Exception | None) -> None:
        super().__init__()
        self.idle = idle
        self.error = error

    def run(self) -> None:
        while True:
            packets = self.receive_all("in")
            if self.idle:
                self.idle -= 1
                if self.error is not None:
                    raise self.error
                self.yield_ctrl()
                continue
            for packet in packets:
                self.send("out", packet)
            self.yield_ctrl()


@pytest.mark.parametrize("error", [None, ValueError("not now"), ConnectionError("away")])
@pytest.mark.parametrize("before", [[], ["before"]])
def test_packets_that_a_loop_asks_for_and_does_not_look_at_wait_for_it(error: Exception | None, before: list[str]) -> None:
    now = 0.0
    keep, done = Keep(), list[Epoch]()
    nodes: dict[str, Any] = {**{name: Passing() for name in before}, "unready": Unready(2, error), "end": keep}
    wires = [(f"{a}.out", f"{b}.in") for a, b in pairwise(nodes)]
    with running(nodes, wires, on_done=done.append, clock=lambda: now) as scheduler:
        for n in range(0, 6, 3):
            scheduler.submit(Feed(iter([(next(iter(nodes)), packets(3, n), range(3))]), 3))
            for _ in range(5):
                scheduler.run()
                now += 60.0
    assert keep.numbers == list(range(6))
    assert [epoch.dead_letters for epoch in done] == [[], []]


def test_a_loop_that_asks_for_packets_and_never_looks_at_them_is_stalled() -> None:
    done = list[Epoch]()
    nodes: dict[str, Any] = {"unready": Unready(1000, None), "end": Keep()}
    with running(nodes, [("unready.out", "end.in")], on_done=done.append) as scheduler:
        scheduler.submit(Feed(iter([("unready", packets(2), range(2))]), 2))
        scheduler.drain()
    assert [failure.code for failure in done[0].dead_letters] == ["component.stalled"] * 2


def test_what_a_loop_sends_before_it_looks_at_its_packets_is_taken_back_where_it_raises() -> None:
    class Early(Component):
        is_first = True

        def run(self) -> None:
            while True:
                found = self.receive_all("in")
                if self.is_first:
                    self.is_first = False
                    self.send("out", Packet({"n": 100}))
                    raise ValueError("not now")
                for packet in found:
                    self.send("out", packet)
                self.yield_ctrl()

    keep, done = Keep(), list[Epoch]()
    with running({"early": Early(), "end": keep}, [("early.out", "end.in")], on_done=done.append) as scheduler:
        scheduler.submit(Feed(iter([("early", packets(3), range(3))]), 3))
        scheduler.drain()
    assert keep.numbers == [0, 1, 2]
    assert done[0].dead_letters == []
