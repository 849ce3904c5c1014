"""Epochs that nothing can end, by a bug that is made here on purpose: they are found, and their documents fail."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from pypes.component import Operator, Transformer
from pypes.errors import ComponentError, Retry
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes.runtime.scheduler.standstill import LOOK_S, STANDSTILL_S
from tests.runtime.clock import Clock
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running


def submit(scheduler: Scheduler, count: int = 1, start: int = 0) -> Epoch:
    return scheduler.submit(Feed(iter([("start", packets(count, start), range(count))]), count))


def passes(scheduler: Scheduler, clock: Clock, seconds: float) -> None:
    """Let time pass as an instance does: it runs the scheduler whenever a deadline has come."""
    end = clock.now + seconds
    while (due := scheduler.runs_at()) is not None and due <= end:
        clock.now = max(clock.now, due)
        scheduler.run()
    clock.now = end


def test_an_epoch_whose_count_leaked_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    clock, keep = Clock(), Keep()
    done: list[Epoch] = []
    with running({"start": Pass(), "keep": keep}, [("start.out", "keep.in")], on_done=done.append, clock=clock) as scheduler:
        leaked = submit(scheduler, 2)
        leaked.acquire()
        scheduler.run()
        assert scheduler.stands_still
        passes(scheduler, clock, STANDSTILL_S - LOOK_S)
        assert not done
        passes(scheduler, clock, 3 * LOOK_S)
        assert done == [leaked]
        assert scheduler.in_flight == 0
        assert scheduler.runs_at() is None
        # whoever held the count gives it up after all: it is not done twice
        leaked.release()
        submit(scheduler)
        scheduler.run()
        assert [epoch is leaked for epoch in done] == [True, False]
    assert [(each.documents, each.code, each.is_whole) for each in leaked.dead_letters] == [
        ((0,), "internal", False),
        ((1,), "internal", False),
    ]
    assert [leaked.fate_of(n).outcome for n in range(2)] == ["failed", "failed"]
    [record] = [record for record in caplog.records if record.message == "documents stand still"]
    assert (record.levelno, record.documents) == (logging.ERROR, 2)  # type: ignore[attr-defined]


def test_others_go_on_beside_it() -> None:
    """The graph is never idle for long, and timers always run."""

    class Later(Pass):
        max_attempts = 100

        def process(self, packet: Packet) -> Packet:
            raise Retry(1.0)

    clock = Clock()
    done: list[Epoch] = []
    with running({"start": Pass(), "later": Later()}, [("start.out", "later.in")], on_done=done.append, clock=clock) as scheduler:
        waits = submit(scheduler)
        leaked = submit(scheduler)
        scheduler.run()
        # it is lost from where it waits to be tried again, with its count
        [key] = [key for key, attempt in scheduler.drivers[1].attempts.items() if attempt.epoch is leaked]
        del scheduler.drivers[1].attempts[key]
        scheduler.core.timers.heap.pop()
        passes(scheduler, clock, STANDSTILL_S + 3 * LOOK_S)
        assert done == [leaked]
        assert not waits.dead_letters
        assert scheduler.in_flight == 1


def test_what_is_parked_for_good_fails_with_its_packets_and_the_graph_goes_on() -> None:
    clock, keep = Clock(), Keep()
    done: list[Epoch] = []
    nodes = {"start": Pass(), "odd": Pass(), "keep": keep}
    with running(nodes, [("start.out", "odd.in"), ("odd.out", "keep.in")], on_done=done.append, clock=clock) as scheduler:
        scheduler.core.ready.block(scheduler.drivers[1])  # and nobody will let go of it
        epoch = submit(scheduler, 3)
        scheduler.run()
        passes(scheduler, clock, STANDSTILL_S + 3 * LOOK_S)
        assert done == [epoch]
        assert [(each.documents, each.filter, each.code) for each in epoch.dead_letters] == [
            ((n,), "odd", "internal") for n in range(3)
        ]
        assert [orjson.loads(each.packet)["fields"] for each in epoch.dead_letters] == [{"n": n} for n in range(3)]
        submit(scheduler, 1, 7)
        scheduler.run()
        assert keep.numbers == [7]


def test_a_filter_that_was_left_in_the_middle_of_its_turn() -> None:
    class Waits(Operator):
        waits = True

        def process(self, packet: Packet) -> Packet:
            if self.waits:
                core: Any = self._run_context.core  # type: ignore[union-attr]
                core.ready.block(self._run_context)
                core.park(self._run_context)
            return packet

    clock, keep, odd = Clock(), Keep(), Waits()
    done: list[Epoch] = []
    with running({"start": odd, "keep": keep}, [("start.out", "keep.in")], on_done=done.append, clock=clock) as scheduler:
        epoch = submit(scheduler, 2)
        scheduler.run()
        passes(scheduler, clock, STANDSTILL_S + 3 * LOOK_S)
        assert done == [epoch]
        assert sorted(each.documents for each in epoch.dead_letters) == [(0,), (1,)]
        odd.waits = False
        submit(scheduler, 2, 5)
        scheduler.run()
        assert keep.numbers == [5, 6]


def test_what_waits_for_something_is_left_alone() -> None:
    class Later(Pass):
        def process(self, packet: Packet) -> Packet:
            raise Retry(3600.0)

    class Holds(Transformer):
        holds = True
        max_hold_s = 60.0

        def process(self, packet: Packet) -> None:
            pass

    for component in (Later(), Holds()):
        clock = Clock()
        done: list[Epoch] = []
        with running({"start": component}, [], on_done=done.append, clock=clock) as scheduler:
            submit(scheduler)
            scheduler.run()
            passes(scheduler, clock, 59.0)
            assert not done
            assert scheduler.in_flight == 1


def test_a_trigger_that_stands_still_is_told_as_failed() -> None:
    class Source(Pass):
        inputs = {}

    clock = Clock()
    done: list[Epoch] = []
    with running({"start": Source()}, [], on_done=done.append, clock=clock) as scheduler:
        epoch = scheduler.trigger()
        epoch.acquire()
        scheduler.run()
        passes(scheduler, clock, STANDSTILL_S + 3 * LOOK_S)
    assert [each.code for each in done[0].dead_letters] == ["internal"]


def test_a_pipeline_ends_with_an_error() -> None:
    with Pipeline(Pass) as pipeline:
        assert pipeline._graph is not None
        scheduler = pipeline._graph.graph.scheduler
        scheduler.core.ready.block(scheduler.drivers[0])
        with pytest.raises(ComponentError) as caught:
            pipeline.push(packets(1))
        assert caught.value.code == "scheduler.stuck"
        assert [letter.code for letter in pipeline.dead_letters] == ["internal"]
        assert len(pipeline.push(packets(2))) == 2
