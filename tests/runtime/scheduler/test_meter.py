"""Meter: what filters and wires count, whichever way components are driven, with the short cuts past wires and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.component import Component, Operator, Publisher
from pypes.core.identity import Completed, Identity, Version
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.observe import FilterTotal, Observer, WireName
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed, Scheduler
from pypes.runtime.scheduler.completions import Known
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import Highest, InProcess, NoRest
from tests.runtime.scheduler.graphs import Keep, Pass, graph_of, packets, running
from tests.runtime.scheduler.test_observing import CHAIN, batches, easy, loop, one_by_one
from tests.runtime.scheduler.test_properties import WORK, Collect, CollectBatch, CollectGathers, CollectLoop, built, graphs


class Seen(Observer):
    """Adds up what an observer is told."""

    def __init__(self) -> None:
        self.wires = Counter[str]()
        self.filters: dict[str, FilterTotal] = {}
        self._counted: dict[tuple[str, str], WireName] = {}

    def of(self, filter: str) -> FilterTotal:
        return self.filters.setdefault(filter, FilterTotal())

    def packets_sent(self, graph: str, wire: WireName, packets: Sequence[Any]) -> None:
        self.of(wire.target).taken += len(packets)
        if wire.source:
            self.wires[str(wire)] += len(packets)
            if self._counted.setdefault((wire.source, wire.output), wire) == wire:
                self.of(wire.source).sent += len(packets)

    def filter_ran(self, graph: str, filter: str, seconds: float) -> None:
        self.of(filter).work_s += seconds

    def filter_waited(self, graph: str, filter: str, seconds: float) -> None:
        self.of(filter).waiting_s += seconds

    def packets_dropped(self, graph: str, filter: str, packets: int) -> None:
        self.of(filter).dropped += packets

    def packets_committed(self, graph: str, publisher: str, packets: int) -> None:
        self.of(publisher).sent += packets

    def packets_failed(self, graph: str, filter: str, code: str, packets: int) -> None:
        self.of(filter).failed += packets


def over_wires(scheduler: Scheduler) -> Counter[str]:
    return Counter({wire.label: n for wire in scheduler.wires if (n := wire.total - wire.fed)})


def in_and_out(totals: dict[str, FilterTotal]) -> dict[str, tuple[int, int, int]]:
    return {name: (total.taken, total.sent, total.failed) for name, total in totals.items()}


class Expected:
    """The packets of a drawn graph, one after the other along the wires."""

    def __init__(self, nodes: Sequence[tuple[type[Component], str]], wires: Sequence[tuple[int, int]]) -> None:
        self._nodes = nodes
        self._wires = wires
        self.wires = Counter[str]()
        self.filters: dict[str, FilterTotal] = {}

    def take(self, at: int, n: int) -> None:
        own = self.filters.setdefault(f"n{at}", FilterTotal())
        own.taken += 1
        found = WORK[self._nodes[at][1]](n)
        if found is None:
            own.failed += 1
            return
        own.sent += len(found)
        targets = [b for a, b in self._wires if a == at]
        for value in found:
            for target in targets:
                self.wires[f"n{at}.out -> n{target}.in"] += 1
                self.take(target, value)
            if not targets:
                self.wires[f"n{at}.out -> end{at}.in"] += 1
                end = self.filters.setdefault(f"end{at}", FilterTotal())
                end.taken += 1
                end.sent += 1


@given(
    graphs(),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.sampled_from([4, 256]),
    st.sampled_from([Collect, CollectBatch, CollectGathers, CollectLoop]),
    st.sampled_from([0, 3]),
)
def test_counts_are_what_an_observer_sees_and_what_the_graph_makes_of_its_packets(
    graph: tuple[list[tuple[type[Component], str]], list[tuple[int, int]]],
    sizes: list[int],
    wire_packets: int,
    sink: type[Collect],
    flaky: int,
) -> None:
    nodes, wires = graph
    sources = [i for i in range(len(nodes)) if not any(b == i for _, b in wires)]
    expected = Expected(nodes, wires)
    for n in range(sum(sizes)):
        for i in sources:
            expected.take(i, n)
    for observer in (None, Seen()):
        components, sinks, lines = built(nodes, wires, sink)
        for each in sinks.values():
            each.flaky = flaky
        everything = {**components, **sinks}
        limits = Limits(wire_packets=wire_packets)
        scheduler = Scheduler(graph_of(everything, lines), everything, limits=limits, rng=NoRest(), observer=observer)
        scheduler.setup()
        low = 0
        for size in sizes:
            part = range(low, low + size)
            fed = [(f"n{i}", [Packet({"n": n, "of": (low, n - low)}) for n in part], range(size)) for i in sources]
            scheduler.submit(Feed(iter(fed), size))
            low += size
        scheduler.drain()
        found = scheduler.totals.so_far
        assert in_and_out(found) == in_and_out(expected.filters)
        assert over_wires(scheduler) == expected.wires
        for driver in scheduler.drivers:
            assert driver.meter.seconds >= 0
            assert (driver.meter.commits > 0) == (driver.name in sinks and driver.meter.committed > 0)
        if observer is not None:
            seen = {name: total for name, total in observer.filters.items() if total != FilterTotal()}
            assert in_and_out(seen) == in_and_out(found)
            assert {name: total.dropped for name, total in seen.items()} == {name: t.dropped for name, t in found.items()}
            for name, total in found.items():
                assert total.work_s == pytest.approx(seen[name].work_s)
                assert total.waiting_s == pytest.approx(seen[name].waiting_s)
            assert observer.wires == expected.wires
        scheduler.teardown()


@pytest.mark.parametrize("make", [easy, batches, loop, one_by_one])
@pytest.mark.parametrize("count", [1, 3])
def test_time_is_that_of_the_filter_whose_code_runs(make: Callable[[Callable[[], None]], Component], count: int) -> None:
    clock = Clock()

    def work() -> None:
        clock.now += 2.0

    nodes = {"a": make(work), "b": make(work), "end": Keep()}
    with running(nodes, CHAIN, clock=clock) as scheduler:
        for feeds in range(1, 4):  # a loop hands on past the wire to one that has begun
            scheduler.submit(Feed(iter([("a", packets(count), range(count))]), count))
            scheduler.drain()
            clock.now += 1000.0
            scheduler.run()
            assert [driver.meter.seconds for driver in scheduler.drivers] == [2.0 * count * feeds, 2.0 * count * feeds, 0.0]
            assert set(in_and_out(scheduler.totals.so_far).values()) == {(count * feeds, count * feeds, 0)}
            assert set(over_wires(scheduler).values()) == {count * feeds}


def test_what_a_feed_takes_is_no_filters_time() -> None:
    clock = Clock()

    def fed() -> Iterable[Any]:
        for n in range(3):
            clock.now += 50.0
            yield "a", packets(1, n), range(n, n + 1)

    with running({"a": Pass(), "b": Pass(), "end": Keep()}, CHAIN, clock=clock) as scheduler:
        scheduler.submit(Feed(iter(fed()), 3))
        scheduler.drain()
        assert [driver.meter.seconds for driver in scheduler.drivers] == [0.0, 0.0, 0.0]


def test_a_sender_is_parked_while_its_wire_is_full() -> None:
    clock = Clock()

    class Burst(Operator):
        def process(self, packet: Packet) -> None:
            for each in packets(6):
                clock.now += 1.0
                self.send("out", each)

    class Slow(Operator):
        def process(self, packet: Packet) -> Packet:
            clock.now += 100.0
            return packet

    nodes = {"a": Burst(), "b": Slow(), "end": Keep()}
    with running(nodes, CHAIN, clock=clock, limits=Limits(wire_packets=2, wave_packets=2)) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(1), range(1))]), 1))
        scheduler.drain()
        a, b, _ = (driver.meter for driver in scheduler.drivers)
        assert (a.seconds, b.seconds) == (6.0, 600.0)
        # room is made as the packets are taken, before they are worked on: what was parked in between is the time before
        wire = scheduler.wires[0]
        assert a.parked_s == wire.parked_s
        assert b.parked_s == scheduler.wires[1].parked_s == 0.0


def test_a_full_wire_before_a_filter_that_waits_parks_its_sender() -> None:
    clock = Clock()
    end = InProcess()
    nodes = {"a": Pass(), "end": end}
    end.error = ConnectionRefusedError("down")
    limits = Limits(wire_packets=2, wave_packets=2, wire_bytes=1)
    with running(nodes, [("a.out", "end.in")], clock=clock, limits=limits, rng=Highest()) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(2, n), range(n, n + 2)) for n in (0, 2, 4)]), 6))
        scheduler.run()
        assert scheduler.drivers[1].meter.error_at > 0
        clock.now += 0.25
        for driver in scheduler.drivers:
            driver.meter.up_to(clock.now)
        a, last = (driver.meter for driver in scheduler.drivers)
        assert last.parked_s == 0.25
        assert a.parked_s == 0.25
        clock.now += 0.25
        end.error = None
        scheduler.run()
        scheduler.drain()
        assert (a.parked_s, last.parked_s) == (0.5, 0.5)
        assert scheduler.wires[0].parked_s == 0.5
        assert scheduler.totals.so_far["end"].sent == 6


def test_retries_are_counted_and_their_time() -> None:
    clock = Clock()
    tries = []

    class Later(Operator):
        def process(self, packet: Packet) -> Packet:
            tries.append(packet)
            if len(tries) < 4:
                raise Retry(5.0, "not yet")
            return packet

    with running({"a": Later(), "end": Keep()}, [("a.out", "end.in")], clock=clock, rng=NoRest()) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(2), range(2))]), 2))
        scheduler.run()
        clock.now += 5.0
        scheduler.run()
        clock.now += 5.0
        scheduler.drain()
        meter = scheduler.drivers[0].meter
        assert (meter.retries, meter.failures, meter.parked_s) == (3, 0, 10.0)
        assert meter.error_at > 0
        found = scheduler.totals.so_far
        assert (found["a"].taken, found["a"].sent, found["end"].sent) == (2, 2, 2)


def test_packets_that_go_on_by_the_error_port_have_failed() -> None:
    class Fails(Operator):
        def process(self, packet: Packet) -> Packet:
            raise ValueError(packet.get("n"))

    nodes = {"a": Fails(), "end": Keep(), "failed": Keep()}
    with running(nodes, [("a.out", "end.in"), ("a.error", "failed.in")]) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(2), range(2))]), 2))
        scheduler.drain()
        assert in_and_out(scheduler.totals.so_far) == {"a": (2, 2, 2), "failed": (2, 2, 0)}


def test_commits_and_their_time_are_counted() -> None:
    clock = Clock()

    class Slow(Publisher):
        def process(self, packet: Packet) -> None:
            clock.now += 1.0

        def commit(self) -> None:
            clock.now += 10.0

    with running({"a": Pass(), "end": Slow()}, [("a.out", "end.in")], clock=clock) as scheduler:
        for low in (0, 3):
            scheduler.submit(Feed(iter([("a", packets(3, low), range(3))]), 3))
            scheduler.drain()
        meter = scheduler.drivers[1].meter
        assert (meter.commits, meter.committed, meter.commit_s, meter.seconds) == (2, 6, 20.0, 26.0)


def test_a_filter_that_is_told_of_documents_has_the_time_of_that() -> None:
    clock = Clock()

    class Told(Operator):
        def process(self, packet: Packet) -> Packet:
            return packet

        def complete(self, documents: Sequence[Completed]) -> int:
            clock.now += 3.0
            self.offload(lambda: None)
            return 0

    known = {0: Known(Identity("s", "1"), Version(""), is_deleted=False, is_partial=False)}
    with running({"a": Told(), "end": Keep()}, [("a.out", "end.in")], clock=clock) as scheduler:
        scheduler.submit(Feed(iter([("a", packets(1), range(1))]), 1, identities=known))
        scheduler.drain()
        assert [driver.meter.seconds for driver in scheduler.drivers] == [3.0, 0.0]


def test_time_goes_on_after_an_interruption_with_the_next_turn() -> None:
    clock = Clock()

    class Interrupted(Operator):
        is_first = True

        def process(self, packet: Packet) -> Packet:
            clock.now += 1.0
            if self.is_first:
                self.is_first = False
                raise KeyboardInterrupt
            return packet

    with running({"a": Interrupted(), "end": Keep()}, [("a.out", "end.in")], clock=clock) as scheduler:
        for low in (0, 1):
            scheduler.submit(Feed(iter([("a", packets(1, low), range(1))]), 1))
        with pytest.raises(KeyboardInterrupt):
            scheduler.run()
        clock.now += 1000.0
        scheduler.drain()
        assert scheduler.drivers[0].meter.seconds in (1.0, 2.0)
