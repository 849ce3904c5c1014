"""Threads: what becomes of items that take too long there."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pypes.placement.executor import Calling, ExecutorClosed, Outcome, Work
from pypes.placement.thread_executor import ItemStillRunning, ThreadExecutor, _Seat, _Stride


class Waiter:
    """A function that waits for its event where it is given one of the numbers."""

    def __init__(self, *numbers: int) -> None:
        self.go = threading.Event()
        self._numbers = numbers

    def __call__(self, number: int) -> int:
        if number in self._numbers:
            assert self.go.wait(20)
        return number


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    waiter = Waiter(2, 5)
    yield waiter
    waiter.go.set()


@pytest.mark.parametrize("width", [1, 2])
def test_an_item_that_is_late_has_failed_and_its_neighbours_have_not(waiter: Waiter, width: int) -> None:
    executor = ThreadExecutor(Calling(waiter), width, closing_s=0.05, timeout_s=0.05)
    executor.setup()
    try:
        for _ in range(2):  # the thread was replaced
            outcomes = executor.submit(range(7)).result(20)
            assert [isinstance(outcome.error, TimeoutError) for outcome in outcomes] == [number in (2, 5) for number in range(7)]
            assert [outcome.value for outcome in outcomes] == [None if number in (2, 5) else number for number in range(7)]
            assert "still running" in str(outcomes[2].error)
    finally:
        executor.close()


def test_threads_that_were_given_up_end_when_they_can(waiter: Waiter) -> None:
    before = {*threading.enumerate()}
    executor = ThreadExecutor(Calling(waiter), 1, closing_s=20, timeout_s=0.05)
    executor.setup()
    executor.submit([2]).result(20)
    executor.submit([5]).result(20)
    waiter.go.set()
    for thread in {*threading.enumerate()} - before:
        if thread.name == "pypes-pool-0" and thread is not executor._seats[0].thread:
            thread.join(20)
            assert not thread.is_alive()
    executor.close()
    assert {*threading.enumerate()} <= before
    with pytest.raises(ExecutorClosed):
        executor.submit([1])


def test_an_item_that_is_done_while_it_is_given_up_does_not_count_twice() -> None:
    """The thread notes the outcome in the middle of that; the items behind it would get those of others."""

    class Late(list[Outcome]):
        is_done = False

        def __len__(self) -> int:
            count = super().__len__()
            if not self.is_done:
                self.is_done = True
                self.append(Outcome(1))
            return count

    executor = ThreadExecutor(Calling(abs), 1, timeout_s=60)
    executor.setup()
    try:
        stride, seat = _Stride([1, 2, 3], None, together=False), _Seat(0)
        stride.outcomes = Late()
        seat.stride, seat.begun = stride, 1
        assert executor._give_up(seat, 60) is None
        assert [*stride.outcomes] == [Outcome(1)]
    finally:
        executor.close()


def test_a_second_set_up_waits_for_its_own_threads(waiter: Waiter) -> None:
    """The thread that took the place of a late one has nobody who waits for it."""
    is_broken = False

    def make() -> Work:
        if is_broken:
            raise OSError("no more")
        return Calling(waiter)()

    executor = ThreadExecutor(make, 1, closing_s=20, timeout_s=0.05)
    executor.setup()
    assert [type(outcome.error) for outcome in executor.submit([2]).result(20)] == [ItemStillRunning]
    executor.close()
    is_broken = True
    with pytest.raises(OSError, match="no more"):
        executor.setup()


def test_many_that_are_quick_are_not_late() -> None:
    executor = ThreadExecutor(Calling(abs), 2, timeout_s=5)
    executor.setup()
    try:
        for _ in range(200):
            assert [outcome.value for outcome in executor.submit([-1, -2]).result(20)] == [1, 2]
    finally:
        executor.close()
