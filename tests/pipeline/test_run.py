"""Runs in the background: their states, what pausing and stopping do, and that nothing of them is left."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from pypes import Failed, Packet, Pipeline, Transformer, node
from pypes.errors import ComponentError, Conflict
from pypes.testing.node import until
from tests.pipeline.samples import add, double, no_three, pair, same

DIAMOND = [("split.out", "a.in"), ("split.out", "b.in"), ("a.out", "join.left"), ("b.out", "join.right")]
FORMS: list[Any] = [
    lambda **options: Pipeline(same, **options),
    lambda **options: Pipeline(node(same, threads=2), **options),
    lambda **options: Pipeline(node(same, processes=2, stride=2), **options),
    lambda **options: Pipeline(
        nodes={"split": same, "a": same, "b": same, "join": lambda left, right: left}, wires=DIAMOND, **options
    ),
]
PLACES: list[dict[str, Any]] = [{}, {"threads": 2}]
NAMES = ["chain", "threads", "processes", "graph"]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = {*threading.enumerate()}
    yield
    until(lambda: not {*threading.enumerate()} - before, 20.0, "all threads have ended")


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_each_result_is_handed_over_in_the_background(form: Any) -> None:
    found: list[int] = []
    with form() as pipeline:
        assert pipeline.push([7]) == [7]  # in this thread, whose greenlets are to be left
        for items in (range(100), iter(range(100))):
            found.clear()
            run = pipeline.start(items, to=found.append)
            assert run.wait(timeout_s=20) == 100
            assert (found, run.state, run.count) == ([*range(100)], "done", 100)
        assert [*pipeline.run(range(5))] == [*range(5)]


def test_each_entry_has_items_of_its_own() -> None:
    found: list[Any] = []
    nodes = {"a": add, "b": double, "join": pair}
    with Pipeline(nodes=nodes, wires=DIAMOND[2:]) as pipeline, pipeline.start(a=[1, 2], b=[3, 4], to=found.append):
        pass
    assert found == [(2, 6), (3, 8)]


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_nothing_is_taken_while_it_is_paused(form: Any) -> None:
    taken: list[int] = []
    found: list[int] = []
    enough = threading.Event()

    def items() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    def to(result: int) -> None:
        found.append(result)
        if len(found) == 20:
            enough.set()

    with form(buffer=10) as pipeline:
        run = pipeline.start(items(), to=to)
        assert enough.wait(20)
        run.pause()
        assert run.state == "paused"
        until(lambda: run.under_way == 0, 20.0, "what was under way is done")
        before, done = len(taken), len(found)
        assert before - done <= 10
        enough.clear()
        with pytest.raises(TimeoutError, match="the run is still paused"):
            run.wait(timeout_s=0.05)
        assert len(found) == done
        assert len(taken) <= before + 1  # that one was on its way
        run.resume()
        until(lambda: len(found) > done + 50, 20.0, "it goes on")
        run.stop()
        assert run.state == "stopped"
        assert run.wait() == len(found)
        assert found == [*range(len(found))]


def test_what_a_state_does_not_allow_is_refused_with_what_it_does() -> None:
    go = threading.Event()
    with Pipeline(same) as pipeline:
        run = pipeline.start([1], to=lambda _: go.wait(20))
        with pytest.raises(Conflict, match="resume: the run is running, not paused; possible now: pause, stop and wait"):
            run.resume()
        run.pause()
        with pytest.raises(Conflict, match="pause: the run is paused, not running; possible now: resume, stop and wait"):
            run.pause()
        go.set()
        run.wait(timeout_s=20)
        with pytest.raises(Conflict, match="pause: the run is done") as raised:
            run.pause()
        assert raised.value.code == "pipeline.run_state"
        run.stop()
        assert run.state == "done"


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_a_stopped_run_leaves_the_pipeline_free(form: Any) -> None:
    with form() as pipeline:
        for _ in range(3):
            run = pipeline.start(count())
            until(lambda run=run: run.count > 10, 20.0, "it works")
            run.stop(timeout_s=20)
            assert (run.state, run.under_way == 0 or run.under_way <= 1000) == ("stopped", True)
            assert pipeline.push([1, 2]) == [1, 2]


def test_it_stops_while_its_input_keeps_it_waiting() -> None:
    go = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        go.wait(20)

    for form in FORMS:
        go.clear()
        with form() as pipeline:
            run = pipeline.start(items())
            until(lambda run=run: run.count == 1, 20.0, "the first one is done")
            run.stop(timeout_s=20)
            assert run.state == "stopped"
        go.set()


@pytest.mark.parametrize("where", ["item", "to", "input"])
def test_the_error_that_ended_it_is_raised_to_whoever_waits(where: str) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        if where == "input":
            raise ValueError("three")

    def to(result: int) -> None:
        if where == "to":
            no_three(result + 3)

    function = no_three if where == "item" else same
    for place in PLACES:
        with Pipeline(node(function, **place), errors="raise") as pipeline:
            run = pipeline.start(items(), to=to)
            for _ in range(2):
                with pytest.raises(ValueError, match="three"):
                    run.wait(timeout_s=20)
            assert run.state == "failed"
            with pytest.raises(ValueError, match="three"), pipeline.start(items(), to=to):
                pass
            assert [*pipeline.run([1])] == [1]


def test_an_error_that_nobody_asked_for_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with Pipeline(no_three, errors="raise") as pipeline:
        run = pipeline.start([3])
        until(lambda: run.has_ended, 20.0, "it has ended")
    [record] = caplog.records
    assert "a run in the background has failed" in record.getMessage()
    assert record.levelno == logging.ERROR


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_other_calls_are_refused_while_it_is_under_way(form: Any) -> None:
    with form() as pipeline:
        former = pipeline.run(range(3))
        assert next(former) == 0
        run = pipeline.start(count())
        calls = [
            lambda: pipeline.push([1]),
            lambda: pipeline.push([1, 2]),
            lambda: next(pipeline.run([1])),
            lambda: [*former],
            lambda: pipeline.start([1]),
            pipeline.trigger,
        ]
        for call in calls:
            with pytest.raises(ComponentError, match="a run of this pipeline is under way in the background") as raised:
                call()
            assert raised.value.code == "pipeline.busy"
        run.stop()


def test_closing_the_pipeline_stops_it() -> None:
    for form in FORMS:
        with form() as pipeline:
            run = pipeline.start(count())
            until(lambda run=run: run.count > 0, 20.0, "it works")
        assert run.state == "stopped"


def test_its_own_thread_may_stop_it_and_not_wait_for_it() -> None:
    said: list[str] = []
    with Pipeline(same) as pipeline:
        ready = threading.Event()

        def to(result: int) -> None:
            assert ready.wait(20)
            for call in (run.wait, pipeline.close):
                with pytest.raises(Conflict, match="a run cannot wait for its own end"):
                    call()
                said.append("refused")
            run.stop()

        run = pipeline.start(count(), to=to)
        ready.set()
        run.wait(timeout_s=20)
        assert (run.state, run.count, said) == ("stopped", 1, ["refused"] * 2)


def test_leaving_its_block_waits_or_by_an_exception_stops_it() -> None:
    with Pipeline(same) as pipeline:
        with pipeline.start(range(10)) as run:
            pass
        assert (run.state, run.count) == ("done", 10)
        with pytest.raises(KeyError), pipeline.start(count()) as run:
            raise KeyError
        assert run.state == "stopped"
        with pipeline.start(count()) as run:
            run.pause()
        assert run.state == "stopped"


def test_failures_stand_in_their_places() -> None:
    found: list[Any] = []
    with Pipeline(node(no_three, threads=2), errors="return") as pipeline, pipeline.start(range(5), to=found.append):
        pass
    assert [each for each in found if not isinstance(each, Failed)] == [0, 1, 2, 4]
    assert isinstance(found[3], Failed)


def test_components_run_in_its_thread_and_again_in_this_one() -> None:
    class Looping(Transformer):
        def setup(self) -> None:
            self.threads: set[str] = set()

        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    self.threads.add(threading.current_thread().name)
                    self.send("out", packet)
                self.yield_ctrl()

    looping = Looping()
    found: list[Any] = []
    with Pipeline(looping) as pipeline:
        for _ in range(2):
            found += pipeline.push([Packet({"n": 1})])
            with pipeline.start([Packet({"n": 2})], to=found.append):
                pass
    assert [packet["n"] for packet in found] == [1, 2, 1, 2]
    assert looping.threads == {threading.current_thread().name, "pypes-run"}
