"""Streaming: what a generator function makes goes on as it is made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from pypes import Done, Failed, Pipeline, PypesError, node
from pypes.pipeline import calling
from tests.pipeline.samples import double, odd, same


def endless(first: int) -> Iterator[int]:
    yield from count(first)


def up_to(end: int) -> Iterator[int]:
    yield from range(end)


def twice(value: int) -> Iterator[int]:
    yield value
    yield value


class Noted:
    """Counts what was asked of it, and notes that it was ended."""

    def __init__(self) -> None:
        self.made = 0
        self.is_ended = False

    def numbers(self, first: int) -> Iterator[int]:
        try:
            for number in count(first):
                self.made += 1
                yield number
        finally:
            self.is_ended = True


@pytest.mark.parametrize("options", [{}, {"buffer": 1}, {"ordered": False}, {"errors": "return"}, {"track": ["same"]}], ids=str)
@pytest.mark.parametrize("source", [[1, 10], iter([1, 10])], ids=["a list", "an iterator"])
def test_an_endless_one_gives_its_results_as_they_are_made(options: dict[str, Any], source: Any) -> None:
    noted = Noted()
    with Pipeline(same, noted.numbers, double, **options) as pipeline:
        results = pipeline.run([1, 10] if isinstance(source, list) else iter([1, 10]))
        assert [next(results) for _ in range(3)] == [2, 4, 6]
        assert results.next(timeout_s=5) == 8
        assert 4 <= noted.made <= 7  # one, two together, four
        assert (pipeline.stats["double"].items, pipeline.stats["numbers"].items, results.under_way) == (noted.made, 1, 1)
        ended = [noted.is_ended]
        results.close()
        assert [*ended, noted.is_ended] == [False, True]
        assert [*results] == []


def test_what_comes_out_is_what_came_out_before() -> None:
    with Pipeline(up_to, odd, twice, double) as pipeline:
        assert [*pipeline.run([3, 0, 4])] == [2, 2, 2, 2, 6, 6]
        assert pipeline.push([4]) == [2, 2, 6, 6] == pipeline.push([4, 0])


def test_done_passes_over_and_none_is_dropped() -> None:
    def made(value: int) -> Iterator[Any]:
        yield None
        yield Done(value)
        yield value

    with Pipeline(made, made, double) as pipeline:
        assert [*pipeline.run([1, 2])] == [1, 1, 2, 2, 2, 4]


def test_one_that_raises_fails_behind_what_it_has_made() -> None:
    def made(value: int) -> Iterator[int]:
        yield value
        raise ValueError(f"no more of {value}")

    with Pipeline(made, double) as pipeline:
        assert [*pipeline.run([1, 2])] == [2, 4]
        assert [(failed.node, failed.value, failed.reason) for failed in pipeline.dead_letters] == [
            ("made", 1, "ValueError: no more of 1"),
            ("made", 2, "ValueError: no more of 2"),
        ]
        assert pipeline.stats["made"].failures == 2
    with Pipeline(made, double, errors="return") as pipeline:
        found = [*pipeline.run([1, 2])]
        assert [each.positions if isinstance(each, Failed) else each for each in found] == [2, (0,), 4, (1,)]
    with Pipeline(made, double, errors="raise") as pipeline:
        results = pipeline.run([1, 2])
        assert next(results) == 2
        with pytest.raises(ValueError, match="no more of 1"):
            next(results)
        assert [*results] == []


def test_an_interruption_ends_the_run() -> None:
    def made(value: int) -> Iterator[int]:
        yield value
        raise KeyboardInterrupt

    with Pipeline(made) as pipeline:
        results = pipeline.run([1, 2])
        assert next(results) == 1
        with pytest.raises(KeyboardInterrupt):
            next(results)
        assert [*results] == []


def test_none_comes_out_of_a_closed_pipeline() -> None:
    with Pipeline(endless) as pipeline:
        results = pipeline.run([1])
        assert next(results) == 1
    with pytest.raises(PypesError, match="the pipeline is closed"):
        next(results)


def test_in_the_background_it_ends_when_it_is_stopped() -> None:
    came = threading.Event()
    with Pipeline(endless) as pipeline:
        run = pipeline.start([1], to=lambda result: came.set())
        assert came.wait(20)
        run.stop(timeout_s=20)
        assert run.state == "stopped"


def test_a_run_that_asks_itself_is_told() -> None:
    def made(value: int) -> Iterator[Any]:
        yield pipeline.push([value])

    pipeline = Pipeline(made)
    with pipeline:
        assert [*pipeline.run([1])] == []
        assert "pipeline.busy" in {getattr(failed.error, "code", "") for failed in pipeline.dead_letters}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pipeline(node(endless, threads=1), errors="return"),
        lambda: Pipeline(endless, node(sum, consumes=2), errors="return"),
        lambda: Pipeline(
            nodes={"a": endless, "b": same, "c": same}, wires=[("a.out", "b.in"), ("a.out", "c.in")], errors="return"
        ),
        lambda: Pipeline(endless, node(double, threads=2), errors="return"),
    ],
    ids=["in a pool", "behind it a group", "two branches", "behind it a pool"],
)
def test_elsewhere_the_results_of_one_item_are_bounded(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "MOST_RESULTS", 1000)
    with make() as pipeline:
        found = [*pipeline.run([1])]
        assert {each.error.code for each in found} == {"pipeline.endless"}
        assert "it made more than 1,000 results of one item" in found[0].reason
