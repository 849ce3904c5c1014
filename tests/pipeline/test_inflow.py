"""Inflow: the items of a run, and the thread that asks an iterator for them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from pypes import Pipeline, node
from pypes.pipeline.inflow import Read
from tests.pipeline.samples import add


class Seen(list[int]):
    """Items of which one arrives just after somebody has looked."""

    def __init__(self) -> None:
        super().__init__()
        self.is_raced = False
        self.looked = threading.Event()
        self.appended = threading.Event()

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        if self.is_raced:
            self.is_raced = False
            self.looked.set()
            assert self.appended.wait(20)
        return found

    def extend(self, items: Iterable[int]) -> None:
        super().extend(items)
        self.appended.set()


def test_an_item_that_comes_just_after_the_look_is_told_of() -> None:
    woken = threading.Event()
    taken = Seen()

    def items() -> Iterator[int]:
        yield 1
        assert taken.looked.wait(20)
        yield 2

    read = Read(items(), woken.set)
    read._taken = taken
    found = read.take(2)
    while not found:
        assert woken.wait(20)
        found = read.take(2)
    assert found == [1]
    woken.clear()
    taken.appended.clear()
    taken.is_raced = True
    assert read.take(1) == []
    assert woken.wait(20)
    assert read.take(1) == [2]
    read.close()


def test_whoever_waits_for_a_slow_input_sleeps() -> None:
    goes_on = threading.Event()
    waits = 0

    def items() -> Iterator[int]:
        yield 1
        assert goes_on.wait(20)
        yield 2

    with Pipeline(node(add, threads=1)) as pipeline:
        flow = pipeline._flow
        wait = flow.wait

        def counted(timeout_s: float, *, is_last: bool) -> None:
            nonlocal waits
            waits += 1
            if waits > 20:
                goes_on.set()  # so that it fails, and does not last
            wait(timeout_s, is_last=is_last)

        flow.wait = counted  # type: ignore[method-assign]
        results = pipeline.run(items())
        assert next(results) == 2
        waits = 0
        timer = threading.Timer(0.1, goes_on.set)
        timer.start()
        assert next(results) == 3
        timer.join()
    assert waits <= 20


@pytest.mark.parametrize("quick", [1, 2, 100, 1000])
@pytest.mark.parametrize("place", [{}, {"threads": 2}], ids=["here", "threads"])
def test_results_come_while_the_iterator_waits(quick: int, place: dict[str, int]) -> None:
    has_all = threading.Event()

    def items() -> Iterator[int]:
        for each in range(3):
            yield from range(each * quick, each * quick + quick)
            assert has_all.wait(30)
            has_all.clear()

    with Pipeline(node(add, **place)) as pipeline:  # type: ignore[arg-type]
        results = pipeline.run(items())
        for each in range(3):
            assert [next(results) for _ in range(quick)] == [*range(each * quick + 1, each * quick + quick + 1)]
            has_all.set()
        assert next(results, None) is None


def test_no_more_is_read_than_is_asked_for() -> None:
    news = threading.Semaphore(0)
    read: list[int] = []

    def items() -> Iterator[int]:
        for each in range(1000):
            read.append(each)
            yield each

    inflow = Read(items(), news.release)
    found: list[int] = []
    while len(found) < 50:
        taken = inflow.take(min(7, 50 - len(found)))
        found += taken
        if not taken:
            assert news.acquire(timeout=30)
    inflow.close()
    assert found == [*range(50)]
    assert inflow._thread is not None
    inflow._thread.join(30)
    assert read == [*range(50)]
