"""Wires at which somebody looks, while the graph runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pypes.component import Operator
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed, Scheduler
from pypes.runtime.scheduler.tapping import TappedWire, Tapping
from pypes.runtime.scheduler.wire import Wire
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running


class Loop(Operator):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.send("out", packet)
            self.yield_ctrl()


WIRES = [("a.out", "b.in"), ("b.out", "c.in"), ("c.out", "d.in"), ("d.out", "keep.in"), ("a.out", "other.in")]
NAMES = ["entry-a.in", "a.out-b.in", "b.out-c.in", "c.out-d.in", "d.out-keep.in", "a.out-other.in"]


def tapping_of(scheduler: Scheduler) -> Tapping:
    return Tapping(scheduler.graph, scheduler.wires, scheduler.drivers)


def short_cuts(scheduler: Scheduler) -> list[str | None]:
    """By filter, to whom it hands packets past the wire."""
    found = [getattr(driver, "following", None) for driver in scheduler.drivers]
    return [None if following is None else following.name for following in found]


def run(scheduler: Scheduler, made: list[Packet]) -> None:
    count = len(made)
    scheduler.submit(Feed(iter([("a", made, range(count))]), count))
    scheduler.drain()


@pytest.mark.parametrize("middle", [Pass, Loop])
@pytest.mark.parametrize("name", NAMES)
def test_all_that_goes_over_a_wire_is_seen_and_nothing_once_nobody_looks(name: str, middle: type[Operator]) -> None:
    keep, seen = Keep(), list[int]()

    def look(values: Sequence[Any]) -> None:
        seen.extend(packet.get("n") for packet in values)

    nodes = {"a": Pass(), "b": middle(), "c": middle(), "d": middle(), "keep": keep, "other": Keep()}
    with running(nodes, WIRES) as scheduler:
        tapping = tapping_of(scheduler)
        assert list(tapping.wires) == NAMES
        before = short_cuts(scheduler)
        run(scheduler, packets(1))
        assert seen == []
        tapping.add(name, look)
        assert [type(wire) for wire in tapping.wires.values()].count(TappedWire) == 1
        run(scheduler, packets(3, 1))
        assert seen == [1, 2, 3]
        tapping.remove(name, look)
        # plain wires, with all their short cuts
        assert {type(wire) for wire in tapping.wires.values()} == {Wire}
        assert short_cuts(scheduler) == before
        run(scheduler, packets(1, 4))
        assert seen == [1, 2, 3]
    assert keep.numbers == [0, 1, 2, 3, 4]


def test_two_look_at_one_wire_and_each_goes_by_itself() -> None:
    with running({"a": Pass(), "keep": Keep()}, [("a.out", "keep.in")]) as scheduler:
        tapping, counts = tapping_of(scheduler), [0, 0]

        def look(values: Sequence[Any]) -> None:
            counts[0] += len(values)

        def other(values: Sequence[Any]) -> None:
            counts[1] += len(values)

        tapping.add("a.out-keep.in", look)
        tapping.add("a.out-keep.in", other)
        run(scheduler, packets(2))
        tapping.remove("a.out-keep.in", look)
        run(scheduler, packets(3))
        assert counts == [2, 5]
        with pytest.raises(KeyError):
            tapping.add("a.out-nobody.in", look)


def test_a_tap_that_comes_in_the_middle_of_a_turn_changes_nothing_else() -> None:
    keep, seen = Keep(), list[int]()

    def look(values: Sequence[Any]) -> None:
        seen.extend(packet.get("n") for packet in values)

    class Turning(Operator):
        """Has the tap begin and end while a chunk is worked on."""

        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 2:
                tapping.add("b.out-keep.in", look)
            if packet.get("n") == 12:
                tapping.remove("b.out-keep.in", look)
            return packet

    with running({"a": Turning(), "b": Pass(), "keep": keep}, [("a.out", "b.in"), ("b.out", "keep.in")]) as scheduler:
        tapping = tapping_of(scheduler)
        for start in range(0, 20, 5):
            run(scheduler, packets(5, start))
    assert keep.numbers == [*range(20)]
    assert seen == [*range(10)]


@pytest.mark.parametrize("middle", [Pass, Loop])
def test_short_cuts_past_a_tapped_wire_are_taken_and_seen_before_and_after_lone_runs(middle: type[Operator]) -> None:
    keep, seen = Keep(), list[int]()

    def look(values: Sequence[Any]) -> None:
        seen.extend(packet.get("n") for packet in values)

    nodes = {"a": middle(), "b": middle(), "c": middle(), "keep": keep}
    with running(nodes, [("a.out", "b.in"), ("b.out", "c.in"), ("c.out", "keep.in")]) as scheduler:
        tapping = tapping_of(scheduler)
        usual = short_cuts(scheduler)
        assert "b" in usual
        run(scheduler, packets(1))  # loops hand on to those that have begun
        tapping.add("a.out-b.in", look)
        assert short_cuts(scheduler) == usual
        run(scheduler, packets(2, 1))
        # a delivery runs alone
        scheduler.record_turn = lambda filter, document: None
        run(scheduler, packets(2, 3))
        scheduler.record_turn = None
        run(scheduler, packets(2, 5))
        tapping.remove("a.out-b.in", look)
        run(scheduler, packets(2, 7))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert keep.numbers == [*range(9)]
