"""Batches that the runtime gathers: what fills them, what they wait for, and that each packet keeps its own epoch."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pypes.component import Operator
from pypes.core.limits import Limits
from pypes.errors import InvalidComponent
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.runtime.scheduler import BARRIER, Epoch, Feed, Scheduler
from pypes.runtime.scheduler.standstill import LOOK_S, STANDSTILL_S
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import settle
from tests.runtime.scheduler.gatherers import LONG_S, WIRES, Gathers, GathersLast, chain, numbers, push
from tests.runtime.scheduler.graphs import Keep, Pass, graph_of, packets, running

# -- what fills a batch --------------------------------------------------------------------------------------


def test_single_documents_fill_a_batch_and_each_is_done_by_itself() -> None:
    gather, clock, done = Gathers(4, LONG_S), Clock(), list[Epoch]()
    with running(chain(gather), WIRES, clock=clock, on_done=done.append) as scheduler:
        for n in range(9):
            push(scheduler, "in", 1, start=n)
            settle(scheduler)
        assert gather.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
        assert [epoch.feed.deliveries for epoch in done] == [[n] for n in range(8)]
        assert all(epoch.fate_of(0).outcome == "published" for epoch in done)
        assert scheduler.in_flight == 1


@pytest.mark.parametrize("counts", [(10,), (1,) * 10, (3, 7), (9, 1)])
def test_without_a_time_to_wait_a_batch_takes_what_is_there(counts: tuple[int, ...]) -> None:
    gather = Gathers(4)
    with running({"gather": gather, "end": Keep()}, WIRES[1:]) as scheduler:
        push(scheduler, "gather", *counts)
        settle(scheduler)
        assert gather.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert not scheduler.in_flight


def test_the_first_that_waits_waits_no_longer_than_it_may() -> None:
    gather, clock = Gathers(4, 2.0), Clock()
    with running(chain(gather), WIRES, clock=clock) as scheduler:
        for n in range(3):
            push(scheduler, "in", 1, start=n)
            settle(scheduler)
            assert scheduler.core.timers.next_s == 102.0
            clock.now += 0.5
        clock.now = 101.99
        settle(scheduler)
        assert gather.batches == []
        clock.now = 102.0
        scheduler.run()
        assert gather.batches == [[0, 1, 2]]
        assert not scheduler.in_flight


def test_the_next_batch_waits_anew() -> None:
    gather, clock = Gathers(2, 2.0), Clock()
    with running(chain(gather), WIRES, clock=clock) as scheduler:
        push(scheduler, "in", 1)
        settle(scheduler)
        clock.now = 101.0
        push(scheduler, "in", 2, start=1)
        settle(scheduler)
        assert gather.batches == [[0, 1]]
        clock.now = 102.5  # the time of the first one
        scheduler.run()
        assert gather.batches == [[0, 1]]
        assert scheduler.core.timers.next_s == 103.0
        clock.now = 103.0
        scheduler.run()
        assert gather.batches == [[0, 1], [2]]


def test_nothing_waits_longer_than_anything_may_be_held() -> None:
    gather, clock = Gathers(2, 500.0), Clock()
    with running(chain(gather), WIRES, clock=clock, limits=Limits(hold_s=3.0)) as scheduler:
        push(scheduler, "in", 1)
        settle(scheduler)
        assert scheduler.core.timers.next_s == 103.0


def test_a_batch_closes_when_it_is_large_and_what_is_larger_goes_alone() -> None:
    """An empty packet counts 64 bytes, and each field 64 and its text."""
    gather, clock = Gathers(max_bytes=1000, wait_s=LONG_S), Clock()
    sizes = [100, 100, 900, 100, 5000, 600, 100, 100, 100]
    with running(chain(gather), WIRES, clock=clock) as scheduler:
        for n, size in enumerate(sizes):
            packet = Packet({"n": n, "text": "x" * size})
            scheduler.submit(Feed(iter([("in", [packet], range(1))]), 1))
            settle(scheduler)
        assert gather.batches == [[0, 1], [2], [3], [4], [5]]
        scheduler.drain()
    assert gather.batches[5:] == [[6, 7, 8]]


class Apart(Gathers):
    """Keeps numbers apart by their tens; a key cannot be made of 13 and of 30."""

    def batch_key(self, packet: Packet) -> list[int]:
        number = packet.get("n")
        return [number // 10 if number not in (13, 30) else number // 0]


@pytest.mark.parametrize("counts", [(40,), (1,) * 40, (15, 10, 15)])
def test_packets_with_different_keys_are_kept_apart_in_their_order(counts: tuple[int, ...]) -> None:
    gather, clock, done = Apart(8, LONG_S), Clock(), list[Epoch]()
    with running(chain(gather), WIRES, clock=clock, on_done=done.append) as scheduler:
        push(scheduler, "in", *counts)
        settle(scheduler)
        scheduler.drain()
    assert [number for batch in gather.batches for number in batch] == [*range(40)]
    for batch in gather.batches:
        assert len(batch) <= 8
        assert len({number // 10 for number in batch}) == 1
        assert len(batch) == 1 or not {13, 30} & {*batch}
    assert len(gather.batches) < 20
    assert sum(epoch.fate_of(n).outcome == "published" for epoch in done for n in range(epoch.feed.documents)) == 40


def test_a_feed_fills_batches_larger_than_its_waves_and_the_wires() -> None:
    gather, clock = Gathers(20, LONG_S), Clock()
    with running({"gather": gather, "end": Keep()}, WIRES[1:], clock=clock, limits=Limits(wire_packets=4)) as scheduler:
        waves = [("gather", packets(3, start), range(start, start + 3)) for start in range(0, 45, 3)]
        scheduler.submit(Feed(iter(waves), 45))
        settle(scheduler)
        assert gather.batches == [[*range(20)], [*range(20, 40)]]
        scheduler.drain()
    assert gather.batches[2:] == [[*range(40, 45)]]


def test_the_graph_goes_before_the_component() -> None:
    gather, clock = Gathers(100, LONG_S), Clock()
    settings = {"gather": {"batch_size": 2, "batch_s": 0.0}}
    with running(chain(gather), WIRES, clock=clock, settings=settings) as scheduler:
        push(scheduler, "in", 5)
        settle(scheduler)
    assert gather.batches == [[0, 1], [2, 3], [4]]


def test_wires_into_one_port_take_turns() -> None:
    gather = Gathers(4)
    nodes = {"a": Pass(), "b": Pass(), "gather": gather, "end": Keep()}
    with running(nodes, [("a.out", "gather.in"), ("b.out", "gather.in"), *WIRES[1:]]) as scheduler:
        push(scheduler, "a", 8)
        push(scheduler, "b", 8, start=100)
        settle(scheduler)
    assert [batch[0] for batch in gather.batches] == [0, 100, 4, 104]


def test_a_long_delivery_keeps_no_other_waiting() -> None:
    gather = Gathers(4)
    with running(chain(gather), WIRES, limits=Limits(wave_packets=4)) as scheduler:
        waves = [("in", packets(8, start), range(start, start + 8)) for start in range(0, 80, 8)]
        scheduler.submit(Feed(iter(waves), 80))
        push(scheduler, "in", 1, start=1000)
        settle(scheduler)
    assert 1000 in gather.batches[2]


# -- what does not wait --------------------------------------------------------------------------------------


def test_a_flush_lets_all_go_that_waits() -> None:
    gather, clock = Gathers(4, LONG_S), Clock()
    with running(chain(gather), WIRES, clock=clock) as scheduler:
        push(scheduler, "in", 3)
        settle(scheduler)
        assert scheduler.flush_holds()
        settle(scheduler)
        assert gather.batches == [[0, 1, 2]]
        assert not scheduler.flush_holds()
        push(scheduler, "in", 1, start=3)
        settle(scheduler)
        assert len(gather.batches) == 1


def test_a_lone_run_waits_for_nothing() -> None:
    gather, clock = Gathers(4, LONG_S), Clock()
    with running(chain(gather), WIRES, clock=clock) as scheduler:
        scheduler.record_turn = lambda filter, document: None
        each = [step for n in range(3) for step in (("in", packets(1, n), range(n, n + 1)), BARRIER)]
        scheduler.submit(Feed(iter(each), 3))
        settle(scheduler)
        assert gather.batches == [[0], [1], [2]]
        assert not scheduler.in_flight


def test_documents_that_must_follow_each_other_do_not_wait_for_a_batch() -> None:
    gather, clock = Gathers(4, LONG_S), Clock()
    with running(chain(gather), WIRES, clock=clock) as scheduler:
        parts: list[Any] = [("in", packets(2), range(2)), BARRIER, ("in", packets(1, 2), range(2, 3))]
        scheduler.submit(Feed(iter(parts), 3))
        settle(scheduler)
        assert gather.batches == [[0, 1]]
        assert scheduler.in_flight == 1


def test_a_lone_run_that_begins_while_a_batch_waits_lets_it_go() -> None:
    gather, clock = Gathers(4, LONG_S), Clock()
    with running(chain(gather), WIRES, clock=clock) as scheduler:
        push(scheduler, "in", 1, 1)
        settle(scheduler)
        assert scheduler.is_gathering
        scheduler.record_turn = lambda filter, document: None
        settle(scheduler)
        assert gather.batches == [[0, 1]]
        assert not scheduler.in_flight


@pytest.mark.parametrize("max_bytes", [None, 1000])
def test_a_wave_of_nothing_ends_at_once(max_bytes: int | None) -> None:
    gather = Gathers(4, LONG_S, max_bytes=max_bytes)
    with running({"gather": gather, "end": Keep()}, WIRES[1:], clock=Clock()) as scheduler:
        push(scheduler, "gather", 0)
        settle(scheduler)
        assert not scheduler.in_flight
    assert gather.batches == []


def test_a_pipeline_waits_for_nothing() -> None:
    gather = Gathers(100, LONG_S)
    with Pipeline(Pass, gather) as pipeline:
        assert numbers(pipeline.push([*packets(250)])) == [*range(250)]
    assert [len(batch) for batch in gather.batches] == [100, 100, 50]


def test_a_join_that_waits_for_room_does_not_wait_for_a_batch() -> None:
    """The splitter fills the wire to the join, which waits for the part of the document that the batch would be filled with."""

    class Splits(Operator):
        outputs = {"out": "", "rest": ""}

        def process(self, packet: Packet) -> Packet:
            for _ in range(9):
                self.send("rest", packet.clone())
            return packet

    class Meets(Operator):
        inputs = {"in": "", "in2": ""}

        def process(self, packet: Packet) -> Packet:
            return packet

    gather, clock = Gathers(100, LONG_S), Clock()
    wires = [("in.out", "split.in"), ("split.out", "gather.in"), ("split.rest", "meet.in"), ("gather.out", "meet.in2")]
    nodes = {"in": Pass(), "split": Splits(), "gather": gather, "meet": Meets(), "end": Keep()}
    with running(nodes, [*wires, ("meet.out", "end.in")], clock=clock, limits=Limits(wire_packets=4)) as scheduler:
        push(scheduler, "in", 1, 1, 1)
        settle(scheduler)
        assert gather.batches == [[0], [1]]
        assert scheduler.in_flight == 1  # the last one may wait


def test_what_waits_for_its_batch_does_not_stand_still() -> None:
    gather, clock, done = Gathers(4, 59.0), Clock(), list[Epoch]()
    with running(chain(gather), WIRES, clock=clock, on_done=done.append) as scheduler:
        push(scheduler, "in", 1)
        settle(scheduler)
        for clock.now in range(101, 101 + int(STANDSTILL_S + 3 * LOOK_S)):
            scheduler.run()
            assert scheduler.is_idle
        assert not done
        clock.now = 159.0
        scheduler.run()
        assert [epoch.fate_of(0).outcome for epoch in done] == ["published"]


# -- publishers ----------------------------------------------------------------------------------------------


def test_a_publisher_commits_per_batch_and_each_delivery_knows() -> None:
    last, clock, done, told = GathersLast(3, LONG_S), Clock(), list[Epoch](), list[Any]()
    options: dict[str, Any] = {"clock": clock, "on_done": done.append}
    with running(
        {"in": Pass(), "last": last},
        [("in.out", "last.in")],
        on_committed=lambda epoch, publisher, documents: told.append((epoch.feed.deliveries[0], publisher, documents)),
        **options,
    ) as scheduler:
        push(scheduler, "in", 1, 4, 1)
        settle(scheduler)
    assert last.commits == [[0, 1, 2], [3, 4, 5]]
    assert [epoch.feed.deliveries for epoch in done] == [[0], [1], [5]]
    assert told == [(1, "last", [0, 1])]


def test_a_publisher_is_not_given_again_what_it_has_committed() -> None:
    last, done = GathersLast(3, LONG_S), list[Epoch]()
    with running({"last": last}, [], clock=Clock(), on_done=done.append) as scheduler:
        for start, committed in ((0, {0}), (2, set()), (4, {0, 1})):
            feed = Feed(iter([("last", packets(2, start), range(2))]), 2, committed={"last": frozenset(committed)})
            scheduler.submit(feed)
        settle(scheduler)
    assert last.commits == [[1, 2], [3]]
    assert all(fate.outcome == "published" for epoch in done for fate in epoch.fates()[0])
    assert len(done) == 3


# -- the runtime itself --------------------------------------------------------------------------------------


def test_a_source_is_triggered_once() -> None:
    class Source(Gathers):
        inputs = {}

        def process_batch(self, packets: list[Any]) -> list[Packet]:
            return [Packet({"n": n}) for n in range(3)]

    end = Keep()
    with running({"gather": Source(2, LONG_S), "end": end}, WIRES[1:], clock=Clock()) as scheduler:
        scheduler.trigger()
        settle(scheduler)
        assert not scheduler.in_flight
    assert end.numbers == [0, 1, 2]


def test_a_graph_may_end_while_a_batch_waits_and_while_one_is_worked_on() -> None:
    class Parks(Gathers):
        def made(self, packets: list[Packet]) -> Any:
            return self.offload(hold.wait, 10.0)

    hold = threading.Event()
    with running(chain(Gathers(4, LONG_S)), WIRES, clock=Clock()) as scheduler:
        push(scheduler, "in", 1)
        scheduler.run()
    with running(chain(Parks(2, LONG_S)), WIRES, clock=Clock()) as scheduler:
        push(scheduler, "in", 1, 1)
        scheduler.run()
        assert scheduler.in_flight == 2
    hold.set()


def test_options_of_a_filter_whose_component_gets_no_batches_are_refused() -> None:
    nodes = {"in": Pass(), "end": Keep()}
    graph = graph_of(nodes, [("in.out", "end.in")], end={"batch_size": 3})
    with pytest.raises(InvalidComponent, match="Keep: only a component with process_batch gets batches"):
        Scheduler(graph, nodes)


def test_a_filter_with_several_wired_inputs_gets_one_document_at_a_time() -> None:
    class Two(Gathers):
        inputs = {"in": "", "in2": ""}

    gather = Two(3, LONG_S)
    with running(chain(gather), [*WIRES, ("in.out", "gather.in2")], clock=Clock()) as scheduler:
        push(scheduler, "in", 2, 1)
        settle(scheduler)
        assert not scheduler.in_flight
    assert gather.batches == [[0], [0], [1], [1], [2], [2]]
