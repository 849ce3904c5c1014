"""Batches over several deliveries of which something fails: only what is to blame pays, in its own delivery."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.errors import ComponentError, Retry
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import Highest, pass_time, settle
from tests.runtime.scheduler.gatherers import LONG_S, WIRES, Gathers, GathersLast, push
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running


class Run:
    """A chain with a gathering filter under a clock that a test moves."""

    def __init__(self, gather: Component, wires: list[tuple[str, str]] = WIRES, **options: Any) -> None:
        self.gather, self.end, self.clock = gather, Keep(), Clock()
        self.done: list[Epoch] = []
        nodes = {"in": Pass(), "gather": gather, "end": self.end}
        self._running = running(nodes, wires, clock=self.clock, rng=Highest(), on_done=self.done.append, **options)

    def __enter__(self) -> Run:
        self.scheduler = self._running.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._running.__exit__(*error)

    def push(self, *counts: int) -> None:
        push(self.scheduler, "in", *counts)
        settle(self.scheduler)

    @property
    def letters(self) -> list[tuple[int, str]]:
        """The number of each document that failed, with its code; each delivery knows its own."""
        letters = [(epoch.feed.deliveries[0], letter) for epoch in self.done for letter in epoch.dead_letters]
        return sorted((first + n, letter.code) for first, letter in letters for n in letter.documents)


def test_only_the_guilty_packet_fails_and_in_its_own_delivery() -> None:
    gather = Gathers(5, LONG_S)
    gather.bad = {2: ValueError("two")}
    with Run(gather) as run:
        run.push(1, 3, 1)
    assert gather.batches == [[0, 1, 2, 3, 4], [0], [1], [2], [3], [4]]
    assert run.letters == [(2, "component.raised")]
    assert run.end.numbers == [0, 1, 3, 4]
    assert len(run.done) == 3


def test_it_goes_to_a_wired_error_port_instead() -> None:
    gather = Gathers(3, LONG_S)
    gather.bad = {1: ValueError("one")}
    with Run(gather, [*WIRES, ("gather.error", "end.in")]) as run:
        run.push(1, 1, 1)
    assert sorted(run.end.numbers) == [0, 1, 2]
    assert run.letters == []


def test_a_batch_that_has_begun_to_go_on_is_not_tried_one_by_one() -> None:
    """Those that have gone on are published, the others fail."""

    class Half(Gathers):
        def made(self, packets: list[Packet]) -> Iterator[Packet]:
            yield from packets[:300]
            raise ValueError("half")

    with Run(Half(400, LONG_S)) as run:
        run.push(100, 200, 100)
    assert run.end.numbers == [*range(256)]
    assert run.letters == [(n, "component.raised") for n in range(256, 400)]


def test_a_retry_costs_each_packet_one_try_and_is_counted_over_batches() -> None:
    """Also where a packet that comes back must wait for the next batch."""
    gather = Gathers(2, 1.0)
    gather.max_attempts = 3
    gather.bad = {n: Retry(2.0) for n in range(3)}
    with Run(gather) as run:
        run.push(1, 1, 1)
        while run.scheduler.in_flight:
            pass_time(run.scheduler, run.clock)
    assert run.letters == [(n, "retry.exhausted") for n in range(3)]
    assert [letter.attempts for epoch in run.done for letter in epoch.dead_letters] == [3, 3, 3]
    assert sum(map(len, gather.batches)) == 9


def test_what_cannot_reach_its_service_goes_back_in_order_and_fails_nothing() -> None:
    gather = Gathers(3, 1.0)
    gather.outage = ConnectionRefusedError("nobody")
    with Run(gather) as run:
        run.push(1, 4, 1, 1)
        assert gather.batches == [[0, 1, 2]]
        waits = [pass_time(run.scheduler, run.clock) for _ in range(4)]
        assert waits == [0.5, 1.0, 2.0, 4.0]
        assert run.scheduler.is_resting
        gather.outage = None
        pass_time(run.scheduler, run.clock)
        pass_time(run.scheduler, run.clock)
    assert run.end.numbers == [0, 1, 2, 3, 4, 5, 6]
    assert run.letters == []
    assert len(run.done) == 4


@pytest.mark.parametrize("size", [3, 5, 7])
def test_what_goes_back_comes_first_again_whichever_wire_it_came_by(size: int) -> None:
    gather, end, clock = Gathers(size, 1.0), Keep(), Clock()
    gather.outage = ConnectionRefusedError("nobody")
    wires = [("one.out", "gather.in"), ("two.out", "gather.in"), ("gather.out", "end.in")]
    nodes: dict[str, Component] = {"one": Pass(), "two": Pass(), "gather": gather, "end": end}
    with running(nodes, wires, clock=clock, rng=Highest()) as scheduler:
        both = [("one", packets(4, 10), range(4)), ("two", packets(4, 20), range(4))]
        scheduler.submit(Feed(iter(both), 4))
        settle(scheduler)
        pass_time(scheduler, clock)
        gather.outage = None
        while scheduler.in_flight:
            pass_time(scheduler, clock)
    assert [n for n in end.numbers if n < 20] == [10, 11, 12, 13]
    assert [n for n in end.numbers if n >= 20] == [20, 21, 22, 23]


def test_a_packet_that_alone_cannot_reach_its_service_is_found() -> None:
    gather = Gathers(4, 1.0)
    gather.bad = {1: ConnectionRefusedError("only I")}
    with Run(gather, limits=Limits(unreachable_s=60.0)) as run:
        run.push(1, 1, 1, 1, 1)
        for _ in range(100):
            if not run.scheduler.in_flight:
                break
            pass_time(run.scheduler, run.clock)
    assert sorted(run.end.numbers) == [0, 2, 3, 4]
    assert run.letters == [(1, "retry.exhausted")]


def test_a_retry_is_counted_where_a_delivery_is_worked_on_in_several_batches() -> None:
    gather = Gathers(2, 1.0)
    gather.max_attempts = 3
    gather.bad = {n: Retry(2.0) for n in range(5)}
    with Run(gather) as run:
        run.push(5)
        for _ in range(30):
            if run.scheduler.in_flight:
                pass_time(run.scheduler, run.clock)
    assert run.letters == [(n, "retry.exhausted") for n in range(5)]
    assert sum(map(len, gather.batches)) == 15


def test_what_could_not_reach_its_service_does_not_wait_for_others_as_well() -> None:
    gather = Gathers(3, 10.0)
    gather.outage = ConnectionRefusedError("nobody")
    with Run(gather) as run:
        run.push(1)
        assert [pass_time(run.scheduler, run.clock) for _ in range(3)] == [10.0, 0.5, 1.0]
        assert gather.batches == [[0]] * 3


def test_what_goes_back_is_measured_again() -> None:
    gather = Gathers(max_bytes=1000, wait_s=1.0)
    gather.outage = ConnectionRefusedError("nobody")
    with Run(gather) as run:
        sized = [Packet({"n": n, "text": "x" * size}) for n, size in enumerate([900, 100, 100, 100])]
        run.scheduler.submit(Feed(iter([("in", sized, range(4))]), 4, [0]))
        settle(run.scheduler)
        assert gather.batches == [[0]]
        gather.outage = None
        while run.scheduler.in_flight:
            pass_time(run.scheduler, run.clock)
    assert gather.batches == [[0], [0], [1, 2, 3]]


def test_wires_that_had_to_grow_hold_a_batch_again() -> None:
    gather = Gathers(8, 1.0)
    gather.outage = ConnectionRefusedError("nobody")
    with Run(gather, limits=Limits(wire_packets=4, wave_packets=4)) as run:
        waves = [("in", packets(4, start), range(start, start + 4)) for start in range(0, 60, 4)]
        run.scheduler.submit(Feed(iter(waves), 60, [0]))
        pass_time(run.scheduler, run.clock)
        [wire] = run.scheduler.drivers[1].wires
        assert wire.capacity > wire.usual_capacity
        gather.outage = None
        while run.scheduler.in_flight:
            pass_time(run.scheduler, run.clock)
        assert wire.capacity == wire.usual_capacity == 8
    assert run.end.numbers == [*range(60)]


def test_a_packet_that_is_given_up_is_the_right_one_of_its_delivery() -> None:
    gather = Gathers(4, 1.0)
    gather.bad = {n: ConnectionRefusedError("neither I") for n in (1, 2)}
    with Run(gather, limits=Limits(unreachable_s=60.0)) as run:
        run.push(1, 2, 1)
        for _ in range(200):
            if not run.scheduler.in_flight:
                break
            pass_time(run.scheduler, run.clock)
    assert sorted(run.end.numbers) == [0, 3]
    assert run.letters == [(1, "retry.exhausted"), (2, "retry.exhausted")]


@pytest.mark.parametrize("error", [ConnectionRefusedError("down"), Retry(1.0)])
def test_a_publisher_commits_all_when_its_destination_is_back(error: Exception) -> None:
    last = GathersLast(3, 1.0)
    last.outage = error
    done: list[Epoch] = []
    clock = Clock()
    with running({"last": last}, [], clock=clock, rng=random.Random(1), on_done=done.append) as scheduler:
        push(scheduler, "last", 1, 2, 2)
        settle(scheduler)
        assert not done
        last.outage = None
        while scheduler.in_flight:
            pass_time(scheduler, clock)
    assert sorted(n for commit in last.commits for n in commit) == [*range(5)]
    assert all(fate.outcome == "published" for epoch in done for fate in epoch.fates()[0])


def test_a_commit_that_refuses_one_document_fails_only_that() -> None:
    class Picky(GathersLast):
        def commit(self) -> None:
            taken, self.open = self.open, []
            if 1 in taken:
                raise ValueError("one")
            self.commits.append(taken)

    last, done = Picky(3, LONG_S), list[Epoch]()
    with running({"last": last}, [], clock=Clock(), on_done=done.append) as scheduler:
        push(scheduler, "last", 1, 1, 1)
        settle(scheduler)
    assert last.commits == [[0], [2]]
    assert {epoch.feed.deliveries[0]: epoch.fate_of(0).outcome for epoch in done} == {0: "published", 1: "failed", 2: "published"}


@pytest.mark.parametrize("counts", [(3,), (1, 2), (1, 1, 1)])
def test_a_fault_of_the_runtime_fails_what_was_in_hand_and_loses_nothing(
    counts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    gather = Gathers(3, LONG_S)
    gather.bad = {1: ValueError("one")}

    def fails(*args: Any) -> None:
        monkeypatch.undo()
        raise MemoryError("bookkeeping")

    with Run(gather) as run:
        monkeypatch.setattr("pypes.runtime.scheduler.failing.Failing.failed", fails)
        run.push(*counts)
        assert not run.scheduler.in_flight
    assert run.end.numbers == [0]
    assert run.letters == [(1, "internal"), (2, "internal")]


def test_a_batch_that_is_parked_for_good_fails_and_the_graph_goes_on() -> None:
    class Parks(Gathers):
        parks = True

        def made(self, packets: list[Packet]) -> Any:
            if self.parks:
                core: Any = self._run_context.core  # type: ignore[union-attr]
                core.ready.block(self._run_context)
                core.park(self._run_context)
            return packets

    gather = Parks(2, LONG_S)
    with Run(gather) as run:
        run.push(1, 1, 1)
        with pytest.raises(ComponentError, match="stood still"):
            run.scheduler.drain()
        assert run.letters == [(n, "internal") for n in range(3)]
        gather.parks = False
        run.push(1, 1)
        assert run.end.numbers == [0, 1]


def test_what_has_gone_on_of_a_batch_that_is_parked_for_good_does_not_fail() -> None:
    class Parks(Gathers):
        def made(self, packets: list[Packet]) -> Iterator[Packet]:
            yield from packets[:300]
            core: Any = self._run_context.core  # type: ignore[union-attr]
            core.ready.block(self._run_context)
            core.park(self._run_context)

    with Run(Parks(400, LONG_S)) as run:
        run.push(100, 200, 100)
        with pytest.raises(ComponentError, match="stood still"):
            run.scheduler.drain()
    assert run.end.numbers == [*range(256)]
    assert run.letters == [(n, "internal") for n in range(256, 400)]


def test_what_is_given_up_while_it_waits_for_a_batch_leaves_nothing_behind() -> None:
    gather = Gathers(3, LONG_S)
    with Run(gather) as run:
        run.push(1, 1)
        run.scheduler.standstill.end_all()
        assert run.letters == [(0, "internal"), (1, "internal")]
        assert not run.scheduler.awaits_something
        run.push(1, 1)
        assert run.scheduler.in_flight == 2
        run.scheduler.drain()
    assert run.end.numbers == [0, 1]


def test_a_batch_is_carried_while_it_is_worked_on() -> None:
    """Or a join and the reports of publishers would take its documents for finished."""
    seen: list[Any] = []

    class Looks(Gathers):
        def made(self, packets: list[Packet]) -> Any:
            driver: Any = self._run_context
            found = [*driver.carried()]
            seen.extend((epoch in epochs, driver.has(epoch)) for epoch, _ in found)
            seen.append(sum(epoch in epochs for epoch, _ in found))
            return packets

    epochs: list[Epoch] = []
    with Run(Looks(2, LONG_S)) as run:
        scheduler: Scheduler = run.scheduler
        epochs += [scheduler.submit(Feed(iter([("in", packets(1), range(1))]), 1, [0])) for _ in range(2)]
        settle(scheduler)
    assert seen == [(False, True), (True, True), (True, True), 2]
