"""Windows: the number of deliveries that go to an instance together."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pypes.ingest.dispatch.window import AT_ONCE_S, Window

MANY = 1 << 40


@dataclass
class Light:
    weight: int = 1000


def window(*acknowledged: tuple[int, float]) -> Window:
    """A window out of which deliveries were acknowledged, so many each time, after so many seconds."""
    window, now = Window(), 0.0
    for count, after_s in acknowledged:
        window.count, window.load, window.moved_at = count, 1000 * count, now
        now += after_s
        window.leave(count, 1000 * count, now)
    assert not window.count
    assert not window.load
    return window


def test_each_is_given_by_itself_while_the_pace_is_not_known() -> None:
    assert window().share([Light()] * 10, 64, MANY) == 1


@pytest.mark.parametrize(("count", "share"), [(1, 1), (2, 1), (10, 5), (100, 50), (1000, 100)])
def test_no_more_goes_together_than_an_instance_is_done_with_at_once(count: int, share: int) -> None:
    assert window((count, 2 * AT_ONCE_S)).share([Light()] * 100, 1000, MANY) == share


def test_a_clock_that_stands_still_is_no_pace_without_bounds() -> None:
    assert window((10, 0.0)).share([Light()] * 10_000, MANY, MANY) == 2000


def test_what_goes_together_fits_the_window_but_for_the_last() -> None:
    quick = window((1000, AT_ONCE_S))
    quick.count, quick.load = 10, 10_000
    assert quick.share([Light()] * 100, 64, MANY) == 54
    assert quick.share([Light()] * 100, 64, 12_500) == 3
    assert quick.share([Light(5000)] * 100, 64, 12_500) == 1
    assert quick.share([Light()] * 100, 10, MANY) == 1


def test_the_pace_is_a_running_mean() -> None:
    slowed = window((100, 0.001), (1, 0.1))
    assert slowed.pace_s == pytest.approx(0.00001 + 0.2 * (0.1 - 0.00001))
    assert slowed.share([Light()] * 100, 1000, MANY) == 1
