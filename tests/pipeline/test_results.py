"""Results: what is taken for them and when, how runs end, and what is left then."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pypes import Operator, Packet, Pipeline, Pool, node
from pypes.errors import ComponentError
from tests.pipeline.samples import PASSED, Waits, add, same

PLACES: list[dict[str, Any]] = [{}, {"threads": 2}, {"processes": 1, "stride": 4}]
IDS = ["here", "threads", "processes"]


class Counted:
    """An item that is known while it lives."""

    alive = 0
    most = 0

    def __init__(self) -> None:
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1


def pypes_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("pypes-")}


@pytest.fixture
def left_threads() -> Callable[[], set[threading.Thread]]:
    """Waits until what the test has started has ended; returns what has not. Threads of other tests are not looked at."""
    before = pypes_threads()

    def left() -> set[threading.Thread]:
        deadline = time.monotonic() + 20
        while (found := pypes_threads() - before) and time.monotonic() < deadline:
            threading.Event().wait(0.005)
        return found

    return left


@pytest.mark.parametrize("place", PLACES[:2], ids=IDS[:2])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("buffer", [1, 3, 20])
def test_no_more_items_live_than_the_buffer_has_room_for(place: dict[str, Any], ordered: bool, buffer: int) -> None:
    gc.collect()
    Counted.alive = Counted.most = 0
    with Pipeline(same, node(same, **place), same, buffer=buffer, ordered=ordered) as pipeline:
        for _ in pipeline.run(Counted() for _ in range(300)):
            pass
    assert Counted.most <= buffer + 2  # and the one that the caller has, and the next one of the iterator


@pytest.mark.parametrize("place", PLACES, ids=IDS)
def test_what_was_worked_on_is_let_go_of(place: dict[str, Any]) -> None:
    with Pipeline(add, node(add, **place), str) as pipeline:
        assert sum(1 for _ in pipeline.run(iter(range(500)))) == 500
        gc.collect()
        before = sys.getallocatedblocks()
        assert sum(1 for _ in pipeline.run(iter(range(20_000 if place == {} else 3000)))) > 0
        gc.collect()
        assert sys.getallocatedblocks() - before < 1000


def test_a_run_in_any_order_that_is_given_up_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()

    def wait(value: int) -> int:
        assert value == 0 or go.wait(20)
        return value

    with Pipeline(node(wait, threads=2), ordered=False) as pipeline:
        results = pipeline.run(range(10))
        assert next(results) == 0
        results.close()
        go.set()
        assert sorted(pipeline.run(range(3))) == [0, 1, 2]
    assert not caplog.records


@pytest.mark.parametrize("place", PLACES, ids=IDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_two_runs_each_have_their_own_results(place: dict[str, Any], ordered: bool) -> None:
    with Pipeline(node(add, **place), str, ordered=ordered, buffer=7) as pipeline:
        first, second = pipeline.run(iter(range(30))), pipeline.run(range(100, 130))
        found = [(next(first), next(second)) for _ in range(30)]
    assert sorted((one for one, _ in found), key=int) == [str(n + 1) for n in range(30)]
    assert sorted((two for _, two in found), key=int) == [str(n + 101) for n in range(30)]


def test_results_of_components_come_one_after_the_other() -> None:
    """None of them waits for items that were taken later."""
    PASSED.clear()
    with Pipeline(Waits.on(threads=2)) as pipeline:
        results = pipeline.run(Packet({"number": number}) for number in range(12))
        PASSED.update(range(4))
        assert [next(results)["number"] for _ in range(4)] == [0, 1, 2, 3]
        PASSED.update(range(12))
        assert [packet["number"] for packet in results] == [*range(4, 12)]


def test_components_of_batches_see_what_waits_and_never_wait_for_more() -> None:
    sizes: list[int] = []
    goes_on = threading.Event()

    class Sized(Operator):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            sizes.append(len(packets))
            return packets

    def items() -> Iterator[Packet]:
        yield Packet({"n": 1})
        assert goes_on.wait(20)
        for number in range(200):
            yield Packet({"n": number})

    with Pipeline(Sized()) as pipeline:
        results = pipeline.run(items())
        assert next(results)["n"] == 1
        goes_on.set()
        assert sum(1 for _ in results) == 200
    assert sizes[0] == 1
    assert sum(sizes) == 201


@pytest.mark.parametrize("place", [{}, {"threads": 1}], ids=["here", "threads"])
def test_a_pipeline_is_not_used_from_within_itself_or_by_two_threads(place: dict[str, Any]) -> None:
    pipelines: list[Pipeline] = []
    at_work, go = threading.Event(), threading.Event()
    refusals: list[str] = []

    def nested(value: int) -> int:
        if value == 1:
            with pytest.raises(ComponentError) as caught:
                pipelines[0].push([5])
            refusals.append(caught.value.code)
        if value == 2:
            at_work.set()
            assert go.wait(20)
        return value

    def other() -> None:
        assert at_work.wait(20)
        with pytest.raises(ComponentError) as caught:
            pipelines[0].push([5])
        refusals.append(caught.value.code)
        with pytest.raises(ComponentError) as caught:
            [*pipelines[0].run([5, 6])]
        refusals.append(caught.value.code)
        go.set()

    with Pipeline(node(nested, **place) if place else nested) as pipeline:
        pipelines.append(pipeline)
        thread = threading.Thread(target=other)
        thread.start()
        assert [*pipeline.run([1, 2])] == [1, 2]
        thread.join()
        assert pipeline.push([3]) == [3]
    assert refusals == ["pipeline.busy"] * 3


@pytest.mark.parametrize(
    "options", [{"threads": 1}, {"processes": 1}, {"instances": 1}], ids=["threads", "processes", "instances"]
)
def test_a_pipeline_that_has_run_belongs_to_its_thread_which_another_one_may_end(
    options: dict[str, Any], left_threads: Callable[[], set[threading.Thread]]
) -> None:
    refusals: list[str] = []

    def other() -> None:
        try:
            pipeline.push([1])
        except ComponentError as error:
            refusals.append(error.code)
        pipeline.close()

    pipeline = Pipeline(add, **options) if "instances" in options else Pipeline(node(add, **options))
    assert pipeline.push([1]) == [2]
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert refusals == ["pipeline.busy"]
    assert not left_threads()


@pytest.mark.parametrize("place", PLACES, ids=IDS)
def test_a_pipeline_that_nobody_has_any_more_ends(
    place: dict[str, Any], left_threads: Callable[[], set[threading.Thread]]
) -> None:
    def blocked() -> Iterator[int]:
        yield 1
        yield from range(1000)

    pipeline = Pipeline(add, node(add, **place), buffer=3)
    for result in pipeline.run(blocked()):
        assert result == 3
        break
    known = weakref.ref(pipeline)
    del pipeline
    gc.collect()
    assert known() is None
    assert not left_threads()


@pytest.mark.parametrize("place", PLACES, ids=IDS)
def test_results_keep_their_pipeline(place: dict[str, Any], left_threads: Callable[[], set[threading.Thread]]) -> None:
    results = Pipeline(node(add, **place)).run(iter(range(20)))
    gc.collect()
    assert [*results] == [*range(1, 21)]
    del results
    gc.collect()
    assert not left_threads()


@pytest.mark.parametrize("place", PLACES, ids=IDS)
def test_a_closed_pipeline_has_no_results_any_more_and_takes_nothing(
    place: dict[str, Any], left_threads: Callable[[], set[threading.Thread]]
) -> None:
    with Pipeline(node(add, **place)) as pipeline:
        results = pipeline.run(iter(range(100)))
        assert next(results) == 1
    with pytest.raises(ComponentError, match="the pipeline is closed"):
        list(pipeline.run([1]))
    with pytest.raises(ComponentError, match="the pipeline is closed"):
        list(results)
    assert not left_threads()


@pytest.mark.parametrize("place", PLACES, ids=IDS)
def test_an_error_that_ends_the_run_leaves_nothing_at_work(place: dict[str, Any]) -> None:
    def refuses(value: int) -> int:
        if value == 3:
            raise ValueError(value)
        return value

    with Pipeline(node(refuses, **place), errors="raise", buffer=4) as pipeline:
        results = pipeline.run(iter(range(1000)))
        with pytest.raises(ValueError, match="3"):
            list(results)
        assert [*results] == []
        graph = pipeline._graph
        assert graph is None or graph.graph.scheduler.in_flight == 0
        assert not is_read_after_a_while()
        assert [*pipeline.run([1])] == [1]


def is_read_after_a_while() -> bool:
    """True if the thread that reads does not end."""
    deadline = time.monotonic() + 20
    while (found := any(thread.name == "pypes-reading" for thread in pypes_threads())) and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    return found


def test_a_pool_that_was_closed_fails_its_items_and_keeps_nobody_waiting() -> None:
    pool = Pool(threads=1)
    with Pipeline(node(same, pool=pool), errors="return") as pipeline:
        assert [*pipeline.run([1])] == [1]
        pool.close()
        (failed,) = pipeline.run([1])
        assert "the pool is closed" in failed.reason


def test_a_wave_that_took_long_is_followed_by_a_short_one() -> None:
    begun: list[int] = []

    def work(value: int) -> int:
        begun.append(value)
        if value >= 60:
            time.sleep(0.005)
        return value

    with Pipeline(work, buffer=32) as pipeline:
        ahead = [len(begun) - value - 1 for value in pipeline.run(range(110))]
    assert ahead[0] == 0
    assert ahead[92:] == [0] * 18  # the first wave with slow ones has 32 at most
