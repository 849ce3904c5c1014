"""Filters in pools, as the scheduler drives them: strides over several deliveries, results in order, fates as without a pool."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from pypes.component import Transformer
from pypes.core.limits import Limits
from pypes.errors import Reject, Retry, Unreachable
from pypes.packet import Packet
from pypes.placement.executor import Calling, Executor, Listener, Outcome
from pypes.placement.inline_executor import InlineExecutor
from pypes.placement.thread_executor import ThreadExecutor
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from tests.runtime.scheduler.graphs import Keep, packets, running

WIRES = [("work.out", "end.in")]
PATIENCE_S = 10.0


class Away(Transformer):
    """Stands in for a component that runs in a pool."""

    is_pooled = True
    most_bytes = 0

    def __init__(self, executor: Executor, most_together: int = 4, *, is_timed: bool = False) -> None:
        super().__init__()
        self.keeps_order = True
        self.executor, self.most_together, self.is_timed, self.takes_batches = executor, most_together, is_timed, False

    def setup(self) -> None:
        self.executor.setup()

    def process(self, packet: Packet) -> Any:
        assert self._run_context is not None
        found = self._run_context.run_in_pool(packet.get("n")).value  # type: ignore[attr-defined]
        if found is None:
            return None
        packet.set("found", found)
        return packet

    def teardown(self) -> None:
        self.executor.close()


class Stations(InlineExecutor):
    """An executor whose strides are done when the test says so; it notes them."""

    width, capacity = 2, 4

    def __init__(self) -> None:
        self.strides: list[tuple[list[Any], Future[list[Outcome]]]] = []

    def setup(self) -> None: ...

    def close(self) -> None: ...

    def submit(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> Future[list[Outcome]]:
        future: Future[list[Outcome]] = Future()
        self.strides.append((list(items), future))
        return future

    def finish(self, number: int) -> None:
        items, future = self.strides[number]
        future.set_result([Outcome(item) for item in items])

    @property
    def sent(self) -> list[list[Any]]:
        return [items for items, _ in self.strides]


def push(scheduler: Scheduler, *counts: int) -> None:
    start = 0
    for count in counts:
        scheduler.submit(Feed(iter([("work", packets(count, start), range(count))]), count, [start]))
        start += count


def settle(scheduler: Scheduler) -> None:
    """Run until nothing can be done before a stride is."""
    scheduler.run()
    while not scheduler.is_idle:
        scheduler.run()


def threads(function: Callable[[Any], Any], width: int = 2) -> ThreadExecutor:
    return ThreadExecutor(Calling(function), width)


@pytest.mark.parametrize("counts", [(24,), (9, 15), (1,) * 24])
@pytest.mark.parametrize("width", [1, 3])
def test_results_go_on_in_the_order_of_their_packets(counts: tuple[int, ...], width: int) -> None:
    end, done = Keep(), list[Epoch]()
    with running({"work": Away(threads(lambda n: n + 1, width)), "end": end}, WIRES, on_done=done.append) as scheduler:
        push(scheduler, *counts)
        scheduler.drain()
    assert end.numbers == list(range(24))
    assert len(done) == len(counts)
    assert not any(epoch.dead_letters for epoch in done)


def test_strides_are_shared_out_and_gather_while_all_are_busy() -> None:
    stations, end = Stations(), Keep()
    with running({"work": Away(stations), "end": end}, WIRES) as scheduler:
        push(scheduler, 1)
        settle(scheduler)
        assert stations.sent == [[0]], "one that comes alone does not wait for others"
        scheduler.submit(Feed(iter([("work", packets(40, 1), range(40))]), 40, [1]))
        settle(scheduler)
        assert stations.sent == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], "no more than it has room for"
        stations.finish(2)
        settle(scheduler)
        assert stations.sent[4:] == [[13, 14, 15, 16]]
        assert end.numbers == [], "those before it are not done"
        stations.finish(0)
        stations.finish(1)
        settle(scheduler)
        assert end.numbers == list(range(9))
        for number in range(3, 20):
            if number < len(stations.strides):
                stations.finish(number)
                settle(scheduler)
        scheduler.drain()
    assert end.numbers == list(range(41))
    assert [n for stride in stations.sent for n in stride] == list(range(41))
    assert max(map(len, stations.sent)) == 4


def test_what_is_done_passes_what_is_not_where_no_order_is_kept() -> None:
    class Some(Away):
        def process(self, packet: Packet) -> Any:
            return packet if packet.get("n") == 5 else super().process(packet)

    stations, end = Stations(), Keep()
    away = Some(stations, 2)
    away.keeps_order = False
    with running({"work": away, "end": end}, WIRES) as scheduler:
        push(scheduler, 8)
        settle(scheduler)
        assert stations.sent == [[0, 1], [2, 3], [4, 6], [7]]
        assert end.numbers == [5], "it did not need the pool"
        for number in (2, 0):
            stations.finish(number)
            settle(scheduler)
        assert end.numbers == [5, 4, 6, 0, 1]
        for number in (3, 1):
            stations.finish(number)
        scheduler.drain()
    assert sorted(end.numbers) == list(range(8))


def test_a_few_packets_are_shared_out_evenly() -> None:
    stations = Stations()
    with running({"work": Away(stations, 16), "end": Keep()}, WIRES) as scheduler:
        push(scheduler, 6)
        settle(scheduler)
        assert stations.sent == [[0, 1, 2], [3, 4], [5]]
        for number in range(3):
            stations.finish(number)
        scheduler.drain()


def test_a_stride_has_no_more_bytes_than_it_may() -> None:
    """Larger packets travel alone."""
    stations = Stations()
    away = Away(stations, 16)
    away.most_bytes = 500
    with running({"work": away, "end": Keep()}, WIRES) as scheduler:
        texts = ["", "", "x" * 1000, "", "x" * 100, "x" * 100, "x" * 100, ""]
        made = [Packet({"n": n, "text": text}) for n, text in enumerate(texts)]
        assert [packet.size_bytes() for packet in made[1:5]] == [192, 1192, 192, 292]
        scheduler.submit(Feed(iter([("work", made, range(len(made)))]), len(made)))
        settle(scheduler)
        for number in range(20):
            if number < len(stations.strides):
                stations.finish(number)
                settle(scheduler)
        scheduler.drain()
    assert stations.sent == [[0, 1], [2], [3, 4], [5], [6], [7]], "the last two are shared out"


def test_fates_are_those_of_the_packets() -> None:
    tries: dict[int, int] = {}

    def work(n: int) -> Any:
        if n == 1:
            raise ValueError("no good")
        if n == 2:
            raise Reject("not this one", "my.code")
        if n == 3:
            tries[n] = tries.get(n, 0) + 1
            if tries[n] < 3:
                raise Retry(0.0, "again")
        return None if n == 4 else n

    end, done = Keep(), list[Epoch]()
    with running({"work": Away(threads(work)), "end": end}, WIRES, on_done=done.append) as scheduler:
        push(scheduler, 8)
        scheduler.drain()
    assert sorted(end.numbers) == [0, 3, 5, 6, 7]
    [epoch] = done
    assert {letter.documents: letter.code for letter in epoch.dead_letters} == {(1,): "component.raised", (2,): "my.code"}
    assert [fate.filter for fate in epoch.fates()[0] if fate.outcome == "dropped"] == ["work"]


def test_a_service_that_cannot_be_reached_rests_the_filter() -> None:
    tried: list[int] = []
    there = threading.Event()

    def work(n: int) -> int:
        if not there.is_set():
            tried.append(n)
            raise Unreachable(0.001, "away")
        return n

    end, done = Keep(), list[Epoch]()
    with running({"work": Away(threads(work)), "end": end}, WIRES, on_done=done.append) as scheduler:
        push(scheduler, 9)
        while len(tried) < 9:  # from then on one at a time is tried
            settle(scheduler)
            scheduler.wait(0.01)
        there.set()
        scheduler.drain()
    assert end.numbers == list(range(9))
    assert not done[0].dead_letters


def test_a_lone_run_has_one_packet_out() -> None:
    stations, end = Stations(), Keep()
    with running({"work": Away(stations), "end": end}, WIRES) as scheduler:
        scheduler.core.record_turn = lambda filter, document: None
        push(scheduler, 3)
        for number in range(3):
            settle(scheduler)
            assert stations.sent == [[n] for n in range(number + 1)]
            stations.finish(number)
        scheduler.drain()
    assert end.numbers == [0, 1, 2]


def test_a_thread_that_takes_too_long_is_seen() -> None:
    go = threading.Event()
    work = Away(threads(lambda n: go.wait(PATIENCE_S)), 1, is_timed=True)
    work.timeout_s = 0.0
    with running({"work": work, "end": Keep()}, WIRES) as scheduler:
        push(scheduler, 4)
        settle(scheduler)
        assert scheduler.watch.overdue() == "work"
        go.set()
        scheduler.drain()
        assert scheduler.watch.overdue() == ""


def test_a_graph_ends_while_strides_are_away() -> None:
    stations = Stations()
    with running({"work": Away(stations), "end": Keep()}, WIRES, limits=Limits()) as scheduler:
        push(scheduler, 3)
        settle(scheduler)
    stations.finish(0)


def test_an_executor_that_was_closed_fails_what_it_has_not_done() -> None:
    executor = InlineExecutor(Calling(lambda n: n))
    done: list[Epoch] = []
    with running({"work": Away(executor), "end": Keep()}, WIRES, on_done=done.append) as scheduler:
        executor.close()
        push(scheduler, 2)
        scheduler.drain()
    assert [letter.error for letter in done[0].dead_letters] == ["ExecutorClosed: the executor is closed"] * 2
