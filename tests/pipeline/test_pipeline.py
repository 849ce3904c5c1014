"""Pipelines of functions: what comes out, in which order, and what becomes of items that fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pypes import Component, Done, Failed, InvalidGraph, Packet, Pipeline, Pool, node
from pypes.errors import ComponentError
from pypes.pipeline.flow import MOST_LETTERS
from tests.pipeline.samples import add, double, no_three, odd, pair, same

DIAMOND = [("split.out", "a.in"), ("split.out", "b.in"), ("a.out", "join.left"), ("b.out", "join.right")]
PLACES: list[dict[str, Any]] = [{}, {"threads": 3}, {"processes": 2, "stride": 4}]


@pytest.mark.parametrize("place", PLACES, ids=["here", "threads", "processes"])
def test_functions_follow_one_another(place: dict[str, Any]) -> None:
    with Pipeline(add, node(double, **place), str) as pipeline:
        assert [*pipeline.run(range(50))] == [str((n + 1) * 2) for n in range(50)]
        assert [*pipeline.run(iter(range(50)))] == [str((n + 1) * 2) for n in range(50)]
        assert pipeline.push([4]) == ["10"]


@pytest.mark.parametrize("place", PLACES, ids=["here", "threads", "processes"])
def test_a_failure_stands_in_its_place(place: dict[str, Any]) -> None:
    with Pipeline(node(no_three, **place), odd, errors="return") as pipeline:
        one, failed, five = pipeline.run(range(6))
        assert (one, five) == (1, 5)
        assert isinstance(failed, Failed)
        assert (failed.value, failed.node, str(failed.error), failed.positions) == (3, "no_three", "three", (3,))
        assert 'raise ValueError("three")' in failed.traceback
        assert failed.reason == "ValueError: three"
        assert not pipeline.dead_letters


@pytest.mark.parametrize("place", PLACES, ids=["here", "threads", "processes"])
def test_a_failure_is_skipped_or_ends_the_run(place: dict[str, Any]) -> None:
    with Pipeline(node(no_three, **place), odd) as pipeline:
        assert [*pipeline.run(range(6))] == [1, 5]
        [letter] = pipeline.dead_letters
        assert (letter.node, letter.positions, pipeline.dead_letters.total) == ("no_three", (3,), 1)
    with Pipeline(node(no_three, **place), odd, errors="raise") as pipeline:
        found: list[Any] = []
        with pytest.raises(ValueError, match="three"):
            found.extend(pipeline.run(range(6)))
        assert found == [1]
        assert [*pipeline.run([1, 2])] == [1]


def test_the_last_failures_are_kept_and_all_are_counted() -> None:
    def fails(value: int) -> int:
        raise ValueError(value)

    with Pipeline(fails) as pipeline:
        assert [*pipeline.run(range(MOST_LETTERS + 5))] == []
        assert (len(pipeline.dead_letters), pipeline.dead_letters.total) == (MOST_LETTERS, MOST_LETTERS + 5)
        assert pipeline.dead_letters[0].value == 5


def test_an_iteration_that_ends_too_soon_is_a_failure() -> None:
    def stops(value: int) -> int:
        if value == 2:
            raise StopIteration
        return value

    with Pipeline(stops, errors="return") as pipeline:
        found = [*pipeline.run(range(4))]
    assert [found[0], found[1], found[3]] == [0, 1, 3]
    assert isinstance(found[2], Failed)


def test_what_is_done_passes_over_the_rest() -> None:
    def early(value: int) -> Any:
        return Done("early") if value == 2 else value

    for place in PLACES[:2]:
        with Pipeline(early, node(add, **place), double) as pipeline:
            assert [*pipeline.run(range(4))] == [2, 4, "early", 8]


def test_branches_meet_item_by_item() -> None:
    nodes = {"split": same, "a": odd, "b": node(no_three, threads=2), "join": pair}
    with Pipeline(nodes=nodes, wires=DIAMOND) as pipeline:
        assert [*pipeline.run(range(8))] == [(1, 1), (5, 5), (7, 7)]
        assert [letter.value for letter in pipeline.dead_letters] == [3]


def test_a_join_may_run_in_a_pool() -> None:
    nodes = {"split": same, "a": add, "b": double, "join": node(pair, processes=1)}
    with Pipeline(nodes=nodes, wires=DIAMOND) as pipeline:
        assert [*pipeline.run(range(4))] == [(1, 0), (2, 2), (3, 4), (4, 6)]


def test_each_entry_has_items_of_its_own() -> None:
    nodes = {"a": add, "b": double, "join": pair}
    with Pipeline(nodes=nodes, wires=DIAMOND[2:]) as pipeline:
        assert [*pipeline.run(a=[1, 2], b=iter([3, 4]))] == [(2, 6), (3, 8)]
        with pytest.raises(ValueError, match="the input of b ended before that of a"):
            [*pipeline.run(a=[1, 2], b=[3])]
        with pytest.raises(InvalidGraph, match="its entries are a, b"):
            pipeline.run(a=[1])


def test_results_of_one_item_are_scattered_and_gathered() -> None:
    with Pipeline(node(list, produces=2), node(str.upper, spawn=2), node("".join, consumes=2)) as pipeline:
        assert [*pipeline.run(["ab", "cd"])] == ["AB", "CD"]
    with Pipeline(node(same, produces=3, repeat=True)) as pipeline:
        assert [*pipeline.run("ab")] == ["a", "a", "a", "b", "b", "b"]
    with Pipeline(node(list, produces=2)) as pipeline:
        assert [*pipeline.run(["ab", "abc"])] == ["a", "b"]
        assert "it returned 3 results, not 2" in pipeline.dead_letters[0].reason


def test_a_generator_function_makes_several_results() -> None:
    def letters(word: str) -> Iterator[str]:
        yield from word

    with Pipeline(letters, str.upper) as pipeline:
        assert [*pipeline.run(["ab", "", "c"])] == ["A", "B", "C"]


def test_a_failure_fails_its_group_and_no_other() -> None:
    def no_c(letter: str) -> str:
        if letter == "c":
            raise ValueError(letter)
        return letter

    with Pipeline(node(list, produces=4), no_c, node("".join, consumes=2), errors="return") as pipeline:
        first, second, third, fourth = pipeline.run(["abcd", "efgh"])
        assert (first, third, fourth) == ("ab", "ef", "gh")
        assert second.node == "no_c"


def test_filters_share_a_pool() -> None:
    with Pool(processes=2) as pool, Pipeline(node(add, pool=pool), node(lambda n: n * 10, pool=pool)) as pipeline:
        assert [*pipeline.run(range(20))] == [(n + 1) * 10 for n in range(20)]


def test_a_pipeline_may_be_part_of_another() -> None:
    inner = Pipeline(add, double)
    nodes = {"x": inner, "y": str}
    with inner, Pipeline(inner, str) as outer, Pipeline(nodes=nodes, wires=[("x.out", "y.in")]) as named:
        assert [*outer.run([1])] == [*named.run([1])] == ["4"]


def test_functions_and_components_follow_one_another() -> None:
    class Upper(Component):
        def process(self, packet: Packet) -> Packet:
            packet["t"] = packet["t"].upper()
            return packet

    def opened(text: str) -> Packet:
        return Packet({"t": text})

    def closed(packet: Packet) -> list[str]:
        return [packet["t"]]

    with Pipeline(opened, Upper, node(closed, threads=2), errors="return") as pipeline:
        first, failed, last = pipeline.run(["a", 3, "b"])
        assert (first, last) == (["A"], ["B"])
        assert (failed.node, failed.positions) == ("upper2", (1,))


def test_the_first_result_comes_when_the_first_item_is_done() -> None:
    asked = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        assert asked.wait(20)
        yield 3

    for place in PLACES[:2]:
        asked.clear()
        with Pipeline(add, node(double, **place)) as pipeline:
            results = pipeline.run(items())
            assert [next(results), next(results)] == [4, 6]
            with pytest.raises(TimeoutError):
                results.next(timeout_s=0.01)
            asked.set()
            assert [*results] == [8]


def test_no_more_items_are_taken_than_the_buffer_has_room_for() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    for place in PLACES[:2]:
        taken = 0
        with Pipeline(node(same, **place), buffer=10) as pipeline:
            results = pipeline.run(items())
            for number, result in enumerate(results):
                assert result == number
                assert taken - number <= 10


def test_quick_ones_come_first_where_the_order_is_free() -> None:
    go = threading.Event()

    def wait_for_others(value: int) -> int:
        if value == 0:
            assert go.wait(20)
        return value

    with Pipeline(node(wait_for_others, threads=2), ordered=False) as pipeline:
        results = pipeline.run(range(5))
        assert sorted(next(results) for _ in range(4)) == [1, 2, 3, 4]
        go.set()
        assert [*results] == [0]


def test_what_the_input_raises_comes_after_the_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with Pipeline(add) as pipeline:
        results = pipeline.run(items())
        assert next(results) == 2
        with pytest.raises(OSError, match="the disk is gone"):
            next(results)


def test_results_of_chosen_functions_are_kept() -> None:
    with Pipeline(add, double, track=["add"]) as pipeline:
        assert pipeline.push([1, 2]) == [4, 6]
        assert pipeline.tracked == {"add": [2, 3]}
        assert pipeline.push([3]) == [8]
        assert pipeline.tracked == {"add": [2, 3, 4]}
    with Pipeline(add, track=["add"]) as pipeline:
        assert pipeline.push([1]) == [2]
        assert pipeline.tracked == {"add": [2]}
    with pytest.raises(InvalidGraph, match="there is no function 'dubble'; there are add, double"):
        Pipeline(add, double, track=["dubble"])


def test_threads_work_at_the_same_time() -> None:
    barrier = threading.Barrier(4)

    def meet(value: int) -> int:
        barrier.wait(20)
        return value

    with Pipeline(node(meet, threads=4)) as pipeline:
        assert [*pipeline.run(range(8))] == [*range(8)]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Pipeline(node(add, threads=2, processes=2)), "give one of threads and processes"),
        (lambda: Pipeline(node(add, stride=3)), "for threads, processes or a pool only"),
        (lambda: Pipeline(node(add, repeat=True)), "repeat needs produces="),
        (lambda: Pipeline(node(add, threads=1, memory="1 MiB")), "memory is that of a process"),
        (lambda: Pipeline(nodes={1: add}), "the name of a node is a text without dots, not 1"),  # type: ignore[dict-item]
        (lambda: Pipeline(nodes={"a.b": add}), "the name of a node is a text without dots, not 'a.b'"),
        (lambda: Pipeline(node(add, threads=0)), "threads must be a whole number from 1 to"),
        (lambda: Pipeline(add, buffer=0), "buffer must be a whole number from 1 on"),
        (lambda: Pipeline(add, errors="ignore"), "errors must be one of return, skip, raise"),  # type: ignore[arg-type]
        (
            lambda: Pipeline(nodes={"a": add, "b": pair}, wires=[("a.out", "b.middle")]),
            "has no parameter 'middle'; it has left",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(make: Any, said: str) -> None:
    with pytest.raises(InvalidGraph, match=said):
        make()


def test_a_run_that_is_given_up_leaves_nothing_running() -> None:
    before = {*threading.enumerate()}
    with Pipeline(node(same, threads=2)) as pipeline:
        results = pipeline.run(iter(range(100)))
        assert next(results) == 0
        results.close()
        assert [*pipeline.run([1])] == [1]
    deadline = time.monotonic() + 20
    while {*threading.enumerate()} - before and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert {*threading.enumerate()} == before


def test_results_are_asked_for_before_the_pipeline_is_closed() -> None:
    for place in PLACES[:2]:
        with Pipeline(node(add, **place), buffer=2) as pipeline:
            results = pipeline.run(range(9))
            assert next(results) == 1
        with pytest.raises(ComponentError, match="ask for results within its with block") as raised:
            list(results)
        assert raised.value.code == "pipeline.closed"
        with pytest.raises(ComponentError, match="ask for results within its with block"):
            [*pipeline.run([1, 2])]
        with pytest.raises(ComponentError, match="ask for results within its with block"):
            pipeline.push([1, 2])
        with pytest.raises(ComponentError, match="ask for results within its with block"):
            pipeline.push([1])
        pipeline.close()


def test_a_pipeline_closed_between_results_takes_nothing_more() -> None:
    called: list[int] = []

    def noted(value: int) -> int:
        called.append(value)
        return value

    pipeline = Pipeline(noted, buffer=1)
    results = pipeline.run([1, 2, 3])
    assert next(results) == 1
    pipeline.close()
    with pytest.raises(ComponentError, match="ask for results within its with block"):
        next(results)
    assert called == [1]


@pytest.mark.parametrize("buffer", [1, 10])
def test_a_pipeline_that_is_closed_from_within_says_so(buffer: int) -> None:
    def closes(value: int) -> int:
        if value == 2:
            pipeline.close()
        return value

    pipeline = Pipeline(closes, buffer=buffer)
    with pytest.raises(ComponentError, match="the pipeline is closed"):
        [*pipeline.run(iter(range(10)))]


def test_items_are_asked_for() -> None:
    with Pipeline(add) as pipeline:
        for run in (pipeline.run, pipeline.start):
            with pytest.raises(TypeError, match="give the items"):
                run()
