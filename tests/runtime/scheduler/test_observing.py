"""What an observer is told of a running graph."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pypes.component import Component, Operator, Publisher
from pypes.core.limits import Limits
from pypes.observe import Observer, WireName
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed
from tests.runtime.scheduler.gatherers import LONG_S, GathersLast, push
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running

Make = Callable[[Callable[[], None]], Component]


class Notes(Observer):
    """Writes down every call, and takes a second for each."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls: list[tuple[Any, ...]] = []
        self.seconds: dict[str, float] = {}

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        self.clock.now_s += 1000.0

    def of(self, hook: str) -> list[list[Any]]:
        return [rest for name, *rest in self.calls if name == hook]

    def epoch_began(self, graph: str, documents: int) -> None:
        self._note("began", graph, documents)

    def epoch_ended(self, graph: str, documents: int) -> None:
        self._note("ended", graph, documents)

    def packets_sent(self, graph: str, wire: WireName, packets: Sequence[Any]) -> None:
        self._note("sent", str(wire), [packet.get("n") for packet in packets])

    def packets_taken(self, graph: str, filter: str, packets: Sequence[Any]) -> None:
        self._note("taken", filter, len(packets))

    def filter_ran(self, graph: str, filter: str, seconds: float) -> None:
        self.seconds[filter] = self.seconds.get(filter, 0.0) + seconds
        self._note("ran", filter)

    def packets_committed(self, graph: str, publisher: str, packets: int) -> None:
        self._note("committed", publisher, packets)

    def packets_failed(self, graph: str, filter: str, code: str, packets: int) -> None:
        self._note("failed", filter, code, packets)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def easy(work: Callable[[], None]) -> Component:
    class Easy(Operator):
        def process(self, packet: Packet) -> Packet:
            work()
            return packet

    return Easy()


def batches(work: Callable[[], None]) -> Component:
    class Batches(Operator):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            for _ in packets:
                work()
            return packets

    return Batches()


def loop(work: Callable[[], None]) -> Component:
    class Loop(Component):
        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    work()
                    self.send("out", packet)
                self.yield_ctrl()

    return Loop()


def one_by_one(work: Callable[[], None]) -> Component:
    class OneByOne(Component):
        def run(self) -> None:
            while True:
                while (packet := self.receive("in")) is not None:
                    work()
                    self.send("out", packet)
                self.yield_ctrl()

    return OneByOne()


CHAIN = [("a.out", "b.in"), ("b.out", "end.in")]


@pytest.mark.parametrize("make", [easy, batches, loop, one_by_one])
@pytest.mark.parametrize("clock", [Clock()], ids=[""])
def test_a_chain_is_seen_whole_whichever_way_its_components_are_driven(make: Make, clock: Clock) -> None:
    notes = Notes(clock)

    def work() -> None:
        clock.now_s += 2.0

    nodes = {"a": make(work), "b": make(work), "end": Keep()}
    with running(nodes, CHAIN, observer=notes, clock=clock) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(3), range(3))]), 3))
        scheduler.drain()
    assert notes.of("began") == [["g", 3]] == notes.of("ended")
    assert notes.of("sent") == [["(entry) -> a.in", [0, 1, 2]], ["a.out -> b.in", [0, 1, 2]], ["b.out -> end.in", [0, 1, 2]]]
    assert notes.of("taken") == [["a", 3], ["b", 3], ["end", 3]]
    assert notes.of("committed") == [["end", 3]]
    # neither what the hooks took nor what was done meanwhile by others
    assert notes.seconds == {"a": 6.0, "b": 6.0, "end": 0.0}


def test_time_in_which_a_filter_is_parked_is_not_its_own() -> None:
    clock = Clock()
    notes = Notes(clock)

    class Burst(Operator):
        def process(self, packet: Packet) -> None:
            for each in packets(6):
                clock.now_s += 1.0
                self.send("out", each)

    class Slow(Operator):
        def process(self, packet: Packet) -> Packet:
            clock.now_s += 100.0
            return packet

    nodes = {"a": Burst(), "b": Slow(), "end": Keep()}
    limits = Limits(wire_packets=2, wave_packets=2)
    with running(nodes, CHAIN, observer=notes, clock=clock, limits=limits) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(1), range(1))]), 1))
        scheduler.drain()
    assert notes.seconds == {"a": 6.0, "b": 600.0, "end": 0.0}
    assert len([name for [name] in notes.of("ran") if name == "a"]) > 1


def test_dead_letters_and_triggers_are_told() -> None:
    class Picky(Publisher):
        def process(self, packet: Packet) -> None:
            if packet.get("n") > 0:
                raise ValueError("not this one")

    notes = Notes(Clock())
    nodes = {"a": Pass(), "end": Picky()}
    with running(nodes, [("a.out", "end.in")], observer=notes) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(3), range(3)), ("away", packets(1), (3,))]), 4))
        scheduler.drain()
        scheduler.trigger()
        scheduler.drain()
    assert sorted(notes.of("failed")) == [["away", "replay.no_filter", 1], ["end", "component.raised", 2]]
    assert notes.of("committed") == [["end", 1]]
    assert notes.of("began") == [["g", 4], ["g", 0]] == notes.of("ended")


def test_what_is_fed_behind_other_filters_does_not_come_from_them() -> None:
    notes = Notes(Clock())
    with running({"a": Pass(), "b": Pass(), "end": Keep()}, CHAIN, observer=notes) as scheduler:
        scheduler.submit(Feed(iter([("b", packets(2), range(2))]), 2))
        scheduler.drain()
    assert notes.of("sent") == [["(entry) -> b.in", [0, 1]], ["b.out -> end.in", [0, 1]]]


@pytest.mark.parametrize(
    "hook", ["epoch_began", "packets_sent", "packets_taken", "filter_ran", "packets_committed", "epoch_ended"]
)
def test_an_observer_that_raises_costs_no_document(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    def raising(*args: Any) -> None:
        raise RuntimeError("broken metric")

    keep = Keep()
    observer = type("Broken", (Observer,), {hook: lambda self, *args: raising()})()
    with (
        caplog.at_level(logging.ERROR),
        running({"a": Pass(), "end": keep}, [("a.out", "end.in")], observer=observer) as scheduler,
    ):
        for start in (0, 3):
            scheduler.submit(Feed(iter([("a", packets(3, start), range(3))]), 3))
            scheduler.drain()
    assert keep.numbers == [0, 1, 2, 3, 4, 5]
    assert [record.getMessage() for record in caplog.records] == [f"Broken raised in {hook} and is switched off"]


def test_a_batch_of_several_deliveries_is_taken_and_committed_once() -> None:
    notes, last = Notes(Clock()), GathersLast(3, LONG_S)
    with running({"a": Pass(), "last": last}, [("a.out", "last.in")], observer=notes) as scheduler:
        push(scheduler, "a", 1, 1, 1)
        while not scheduler.is_idle:  # on a busy machine the time of one run is over before
            scheduler.run()
        assert not scheduler.in_flight
    assert notes.of("taken")[-1] == ["last", 3]
    assert notes.of("committed") == [["last", 3]]
    assert len(notes.of("ended")) == 3
