"""Pipelines of one function in a pool: what is the same as with a graph around it, and what becomes of strides that wait."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from pypes import Done, Pipeline, Pool, node
from pypes.observe import Observer
from pypes.pipeline.pool_flow import PoolFlow
from tests.pipeline.samples import add, no_three, odd


@pytest.mark.parametrize("place", [{}, {"threads": 2}, {"processes": 1}], ids=["here", "threads", "processes"])
def test_the_only_entry_has_its_items_by_name_too(place: dict[str, Any]) -> None:
    with Pipeline(node(add, **place)) as pipeline:
        assert [*pipeline.run(add=[1, 2])] == [2, 3]


@pytest.mark.parametrize("observer", [None, Observer()], ids=["no graph", "graph"])
def test_it_is_the_same_as_a_filter_of_a_graph(observer: Observer | None) -> None:
    with Pipeline(node(odd, threads=2, stride=3), observer=observer, track=["odd"]) as pipeline:
        assert isinstance(pipeline._flow, PoolFlow) is (observer is None)
        assert [*pipeline.run(range(10))] == [1, 3, 5, 7, 9]
        assert [*pipeline.run(iter(range(4)))] == [1, 3]
        assert pipeline.push([7]) == [7]
        assert pipeline.tracked == {"odd": [1, 3, 5, 7, 9, 1, 3, 7]}
    with Pipeline(node(no_three, threads=1), observer=observer, errors="raise") as pipeline:
        results = pipeline.run(range(9))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="three"):
            next(results)
        assert pipeline.push([4]) == [4]
    with Pipeline(node(Done, threads=1), observer=observer) as pipeline:
        assert [*pipeline.run([1, 2])] == [1, 2]


def test_strides_that_wait_are_let_go() -> None:
    begun: list[int] = []
    may_end = threading.Event()

    def hold(value: int) -> int:
        begun.append(value)
        assert may_end.wait(30)
        return value

    with Pipeline(node(hold, threads=1)) as pipeline:
        results = pipeline.run(range(50))
        with pytest.raises(TimeoutError):
            results.next(timeout_s=0.01)
        results.close()
        may_end.set()
        assert pipeline.push([99]) == [99]
        assert begun == [0, 1, 99]  # a thread has one in hand, and the next one


def test_a_wait_ends_where_another_pipeline_uses_the_same_pool() -> None:
    with Pool(threads=2) as pool, Pipeline(node(add, pool=pool)) as one, Pipeline(node(odd, pool=pool)) as other:
        both = zip(one.run(range(1, 40, 2)), other.run(range(1, 40, 2)), strict=True)
        assert [*both] == [(n + 1, n) for n in range(1, 40, 2)]


class Imported:
    """A function of which the module takes long to import."""

    def __reduce__(self) -> Any:
        return imported, ()

    def __call__(self, value: int) -> int:
        return value


def imported() -> Imported:
    time.sleep(1.5)
    return Imported()


def test_a_function_that_takes_long_to_import_costs_no_item() -> None:
    with Pipeline(node(Imported(), processes=1, timeout_s=0.7), errors="raise") as pipeline:
        assert [*pipeline.run(range(3))] == [0, 1, 2]
