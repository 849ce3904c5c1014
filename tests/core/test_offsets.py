"""Which time is shown for what happened while the wall clock was wrong, and which reading was the wrong one."""

from __future__ import annotations

import pytest

from pypes.core.offsets import MAX_ROWS, STEADY_S, Offsets, Row, jumped, started

DAY = 86_400.0
#: The node began at this time with a clock that was right.
BEGIN = 1_000_000.0
HOUR = 3600.0


class Told:
    """A node's rows, as jumps are noticed one after the other, ``at`` seconds after it began."""

    def __init__(self) -> None:
        self.rows: tuple[Row, ...] = (Row(BEGIN, 0.0),)

    def jump(self, at: float, offset: float) -> Told:
        self.rows = jumped(self.rows, BEGIN + at, offset)
        return self

    def start(self, at: float, passed: float) -> Told:
        self.rows = started(self.rows, BEGIN + at, passed)
        return self

    def shown(self, at: float) -> float:
        """By how much the time shown for a moment is ahead of the node's own."""
        return Offsets(self.rows).shown(BEGIN + at) - (BEGIN + at)


@pytest.mark.parametrize("length", [40.0, 2 * HOUR], ids=["for 40 s", "for hours"])
@pytest.mark.parametrize("jump", [DAY, -DAY, 8 * DAY, 5.0], ids=["a day ahead", "a day behind", "eight days ahead", "5 s ahead"])
def test_a_clock_that_was_wrong_and_is_right_again_leaves_nothing_behind(jump: float, length: float) -> None:
    told = Told().jump(HOUR, jump)
    assert told.shown(HOUR + 1) == jump
    told.jump(HOUR + length, 0.3)
    assert [told.shown(at) for at in (0, HOUR - 1, HOUR + 1, HOUR + length + 1)] == [0, 0, 0, 0]
    assert len(told.rows) == 1


def test_a_machine_that_was_paused_unseen_keeps_the_times_of_before() -> None:
    told = Told().jump(2 * HOUR, 8 * HOUR)
    assert (told.shown(HOUR), told.shown(3 * HOUR)) == (0, 8 * HOUR)


def test_a_clock_that_was_ahead_from_the_start_is_put_right_for_all() -> None:
    told = Told().jump(2 * HOUR, -DAY)
    assert (told.shown(HOUR), told.shown(3 * HOUR)) == (-DAY, -DAY)


def test_a_clock_that_is_first_set_after_the_start_counts_from_the_start() -> None:
    years = 50 * 365 * DAY
    told = Told().jump(STEADY_S / 2, years)
    assert (told.shown(1), told.shown(HOUR)) == (years, years)


def test_a_clock_that_stood_at_its_beginning_for_hours_is_put_right_for_those_hours_only() -> None:
    # a machine without a battery: it came up in 1970, had no network for hours, and had been off for five minutes
    told = Told().jump(HOUR, -50 * 365 * DAY).jump(5 * HOUR, 300.0)
    assert (told.shown(1), told.shown(2 * HOUR), told.shown(6 * HOUR)) == (0, 300.0, 300.0)


def test_a_machine_that_came_up_with_a_wrong_clock_does_not_change_what_was_before() -> None:
    told = Told().start(HOUR + 8 * DAY, 8 * DAY + 60.0).jump(HOUR + 8 * DAY + 40, -8 * DAY)
    assert (told.shown(1), told.shown(HOUR + 8 * DAY + 10)) == (0, -8 * DAY)


def test_ages_leave_out_what_a_wrong_clock_had_made_of_a_restart() -> None:
    now = BEGIN + HOUR + 8 * DAY + 60
    offsets = Offsets(Told().start(HOUR + 8 * DAY, 8 * DAY + 60.0).jump(HOUR + 8 * DAY + 40, -8 * DAY).rows)
    assert offsets.ago(now, 30.0) == now - 30.0
    assert offsets.ago(now, HOUR) == now - HOUR - 8 * DAY  # the hour before the restart was an hour
    right = Offsets(Told().start(HOUR + 8 * DAY, 8 * DAY).rows)
    assert right.ago(now, HOUR) == now - HOUR  # a machine that was off for eight days


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_times_of_day_lead_back_to_where_they_came_from(jump: float) -> None:
    offsets = Offsets(Told().jump(2 * HOUR, 8 * HOUR).jump(20 * HOUR, jump + 8 * HOUR).rows)
    for at in (BEGIN + HOUR, BEGIN + 3 * HOUR, BEGIN + 30 * HOUR):
        since = offsets.first(offsets.shown(at))
        assert since <= at
        assert offsets.shown(since) >= offsets.shown(at)
    assert offsets.first(0.0) < BEGIN


def test_a_time_of_day_that_was_never_shown_leads_to_the_next_one() -> None:
    offsets = Offsets(Told().jump(2 * HOUR, 8 * HOUR).rows)
    assert offsets.first(BEGIN + 5 * HOUR) == BEGIN + 2 * HOUR


def test_a_clock_that_never_rests_is_remembered_within_bounds() -> None:
    told = Told()
    for number in range(3 * MAX_ROWS):
        told.jump(number * 2 * STEADY_S, number * 10.0)
    assert len(told.rows) == MAX_ROWS
