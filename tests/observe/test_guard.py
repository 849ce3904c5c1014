"""Observers that raise are switched off, and harm nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from pypes.observe import Observer, guarded, together


class Counting(Observer):
    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.calls = 0

    def epoch_ended(self, graph: str, documents: int) -> None:
        self.calls += 1
        if graph == "bad":
            raise self.error

    def epoch_began(self, graph: str, documents: int) -> None:
        self.calls += 1


def test_an_observer_that_raises_is_switched_off_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    counting = Counting(ValueError("no such metric"))
    observer = guarded(counting)
    assert observer is not None
    observer.epoch_ended("good", 1)
    with caplog.at_level(logging.ERROR):
        observer.epoch_ended("bad", 1)
    observer.epoch_ended("good", 1)
    observer.epoch_began("good", 1)
    assert counting.calls == 2
    [record] = caplog.records
    assert record.getMessage() == "Counting raised in epoch_ended and is switched off"
    assert record.exc_info is not None


def test_what_interrupts_the_program_goes_through() -> None:
    observer = guarded(Counting(KeyboardInterrupt()))
    assert observer is not None
    with pytest.raises(KeyboardInterrupt):
        observer.epoch_ended("bad", 1)


def test_nobody_and_who_is_guarded_already_stay_as_they_are() -> None:
    observer = guarded(Observer())
    assert guarded(observer) is observer
    assert guarded(None) is None


def test_hooks_that_are_not_overridden_are_not_called() -> None:
    """The guard costs nothing for them: they are the empty ones of the base class."""
    observer = guarded(Counting(ValueError()))
    assert observer is not None
    assert type(observer).packets_sent is Observer.packets_sent
    assert observer.__dict__.keys() == {"epoch_ended", "epoch_began"}


class Unrun(Observer):
    """Its hooks are called, and do nothing."""

    async def epoch_began(self, graph: str, documents: int) -> None:  # type: ignore[override]
        raise AssertionError("it runs")

    def epoch_ended(self, graph: str, documents: int) -> Iterator[None]:  # type: ignore[override]
        yield


@pytest.mark.parametrize(("hook", "made"), [("epoch_began", "coroutine"), ("epoch_ended", "generator")])
def test_a_hook_that_nobody_runs_is_said_so(hook: str, made: str, caplog: pytest.LogCaptureFixture) -> None:
    observer = guarded(Unrun())
    getattr(observer, hook)("good", 1)
    getattr(observer, hook)("good", 1)
    [record] = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]).startswith(f"the hook returned a {made}: ")


def test_of_several_observers_only_the_one_that_raises_is_switched_off() -> None:
    class Fine(Observer):
        calls = 0

        def epoch_ended(self, graph: str, documents: int) -> None:
            self.calls += 1

    bad, fine = Counting(ValueError("no such metric")), Fine()
    observer = together(bad, fine)
    assert observer is not None
    for _ in range(2):
        observer.epoch_ended("bad", 1)
    assert (bad.calls, fine.calls) == (1, 2)
    observer.epoch_began("bad", 1)
    assert guarded(observer) is observer
    assert together(None) is None
