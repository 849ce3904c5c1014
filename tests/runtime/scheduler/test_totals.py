"""Totals: what is counted of each filter of a real graph, with an observer, where all goes over the wires, and without."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Component, Operator, Publisher, Transformer
from pypes.observe import Observer
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running


def counted(nodes: dict[str, Component], wires: list[tuple[str, str]], *, at: str = "a", number: int = 6) -> dict[str, Any]:
    """Packets taken, sent, dropped and failed by each filter, of so many that came to the one ``at``."""
    found = [_counted(nodes, wires, at, number, observer) for observer in (None, Observer())]
    assert found[0] == found[1]
    return found[0]


def _counted(
    nodes: dict[str, Component], wires: list[tuple[str, str]], at: str, number: int, observer: Observer | None
) -> dict[str, Any]:
    with running(nodes, wires, observer=observer) as scheduler:
        scheduler.submit(Feed(iter([(at, packets(number), range(number))]), number))
        scheduler.drain()
        found = scheduler.totals.take()
        assert scheduler.totals.take() == {}
    return {name: (total.taken, total.sent, total.dropped, total.failed) for name, total in found.items()}


def is_kept(packet: Packet) -> bool:
    """Half of them; one fails."""
    if packet.get("n") == 5:
        raise ValueError("five")
    return bool(packet.get("n") % 2)


class Each(Transformer):
    def process(self, packet: Packet) -> Packet | None:
        return packet if is_kept(packet) else None


class Sends(Operator):
    def process(self, packet: Packet) -> None:
        if is_kept(packet):
            self.send("out", packet)


class Beside(Transformer):
    concurrency = 2

    def process(self, packet: Packet) -> Packet | None:
        return packet if self.offload(is_kept, packet) else None


class Loop(Component):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                if packet.get("n") % 2:
                    self.send("out", packet)
            self.yield_ctrl()


class Batches(Operator):
    def process_batch(self, packets: list[Packet]) -> list[Packet | None]:
        return [packet if packet.get("n") % 2 else None for packet in packets]


CHAIN = [("a.out", "b.in"), ("b.out", "end.in")]


@pytest.mark.parametrize("made", [Each, Sends, Beside])
def test_what_a_filter_takes_goes_on_or_is_dropped_or_fails(made: type[Component]) -> None:
    found = counted({"a": Pass(), "b": made(), "end": Keep()}, CHAIN)
    assert found == {"a": (6, 6, 0, 0), "b": (6, 2, 3, 1), "end": (2, 2, 0, 0)}


@pytest.mark.parametrize("made", [Loop, Batches])
def test_it_is_the_same_whichever_way_components_are_driven(made: type[Component]) -> None:
    found = counted({"a": Pass(), "b": made(), "end": Keep()}, CHAIN)
    assert found == {"a": (6, 6, 0, 0), "b": (6, 3, 3, 0), "end": (3, 3, 0, 0)}


def test_a_packet_that_goes_on_several_wires_counts_once() -> None:
    found = counted({"a": Pass(), "b": Keep(), "c": Keep()}, [("a.out", "b.in"), ("a.out", "c.in")])
    assert found == {"a": (6, 6, 0, 0), "b": (6, 6, 0, 0), "c": (6, 6, 0, 0)}


def test_what_a_publisher_refuses_is_not_sent() -> None:
    class Picky(Publisher):
        def process(self, packet: Packet) -> None:
            is_kept(packet)

    found = counted({"a": Pass(), "end": Picky()}, [("a.out", "end.in")])
    assert found == {"a": (6, 6, 0, 0), "end": (6, 5, 0, 1)}


@pytest.mark.parametrize("concurrency", [1, 2])
def test_time_is_work_or_waiting(concurrency: int) -> None:
    now_s = [0.0]

    def call() -> None:
        now_s[0] += 5.0

    class Calls(Operator):
        def process(self, packet: Packet) -> Packet:
            now_s[0] += 2.0
            self.offload(call)
            return packet

    calls = Calls()
    calls.concurrency = concurrency
    nodes = {"a": calls, "end": Keep()}
    with running(nodes, [("a.out", "end.in")], clock=lambda: now_s[0]) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(1), range(1))]), 1))
        scheduler.drain()
        found = scheduler.totals.so_far["a"]
    assert found.waiting_s == 5.0
    assert 2.0 <= found.work_s <= 7.0  # the other thread may have been done before the turn was
