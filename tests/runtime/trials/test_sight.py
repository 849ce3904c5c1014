"""Packets and times that are kept of a trial."""

from __future__ import annotations

from typing import Any

from pypes.component import Component
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed
from pypes.runtime.trials.report import Origin
from pypes.runtime.trials.sight import MAX_SHOWN, Probe, Sight
from tests.runtime.scheduler.graphs import Pass, graph_of, packets, running

FORK = [("a.out", "left.in"), ("a.out", "right.in")]
CHAIN = [("a.out", "end.in")]


class Loop(Component):
    """The original style, in which no method is the work alone."""

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.send("out", packet)
            self.yield_ctrl()


class Change(Pass):
    def process(self, packet: Packet) -> Packet:
        packet.set("n", -1)
        return packet


def seen(a: Component, wires: list[tuple[str, str]], fed: list[Any], *, has_wires: bool = True) -> Sight:
    ends = [target.partition(".")[0] for _, target in wires]
    nodes = {"a": a, **{end: Probe(["in"]) for end in ends}}
    sight = Sight(graph_of(nodes, wires), ends, has_wires)
    with running(nodes, wires, observer=sight) as scheduler:
        scheduler.submit(Feed(iter([("a", fed, range(len(fed)))]), len(fed)))
        scheduler.drain()
    return sight


def numbers(kept: list[dict[str, Any]]) -> list[int]:
    return [packet["fields"]["n"] for packet in kept]


def test_packets_on_several_wires_of_a_port_are_kept_once() -> None:
    sight = seen(Loop(), FORK, packets(2))
    passing = sight.passings["a"]
    assert {port: numbers(kept) for port, kept in passing.sent.items()} == {"out": [0, 1]}
    assert (numbers(passing.arrived), passing.origins) == ([0, 1], [Origin("in")] * 2)
    assert sight.passings["right"].origins == [Origin("in", "a", "out", 0), Origin("in", "a", "out", 1)]
    assert {name: numbers(kept) for name, kept in sight.arrived.items()} == {"left": [0, 1], "right": [0, 1]}


def test_without_wires_only_the_ends_are_kept() -> None:
    sight = seen(Loop(), FORK, packets(2), has_wires=False)
    assert (sight.passings["a"].sent, sight.passings["a"].arrived) == ({"out": []}, [])
    assert numbers(sight.arrived["right"]) == [0, 1]


def test_the_original_style_is_timed_as_well() -> None:
    sight = seen(Loop(), FORK, packets(2))
    assert sight.spent_s["a"] > 0.0
    sight.clear()
    assert (sight.spent_s["a"], sight.arrived) == (0.0, {"left": [], "right": []})


def test_no_more_is_kept_than_can_be_shown() -> None:
    sight = seen(Pass(), CHAIN, packets(MAX_SHOWN + 5))
    assert len(sight.arrived["end"]) == MAX_SHOWN
    assert (sight.passings["a"].arrivals, sight.passings["a"].sendings) == (MAX_SHOWN + 5, {"out": MAX_SHOWN + 5})


def test_packets_are_kept_as_they_were() -> None:
    sight = seen(Change(), CHAIN, packets(1))
    assert (numbers(sight.passings["a"].arrived), numbers(sight.passings["a"].sent["out"])) == ([0], [-1])


def test_a_packet_that_cannot_be_written_does_not_switch_the_sight_off() -> None:
    class Odd(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("no")

    sight = seen(Pass(), CHAIN, [Odd({"\ud800": 1}), *packets(1)])
    assert len(sight.arrived["end"]) == 2
    assert "RuntimeError" in sight.arrived["end"][0]["value"]
