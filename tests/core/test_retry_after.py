"""The wait that a server asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.retry_after import MOST_WAIT_S, retry_after_s

NOW_S = 1714521600.0
LATER = datetime(2024, 5, 1, 0, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("0.5", 0.5), ("99999", MOST_WAIT_S), ("9" * 20, MOST_WAIT_S)],
)
def test_a_number_is_seconds_within_bounds(text: str, wait_s: float) -> None:
    assert retry_after_s(text, NOW_S) == wait_s


@pytest.mark.parametrize(
    "text", [None, "", "soon", "-1", "+1", "nan", "inf", "1e3", "1_0", "9" * 5000, "\u0663", "Wed, 99 May 2024", "0 0 0"]
)
def test_anything_else_asks_for_nothing(text: str | None) -> None:
    assert retry_after_s(text, NOW_S) is None


def test_a_date_is_a_time_from_now() -> None:
    for date in (format_datetime(LATER, usegmt=True), format_datetime(LATER.astimezone(timezone(timedelta(hours=2))))):
        assert retry_after_s(date, NOW_S) == 30.0
    assert retry_after_s("Wed, 01 May 2024 00:00:30 -0000", NOW_S) == 30.0
    assert retry_after_s(format_datetime(LATER, usegmt=True), NOW_S + 60) == 0.0
    assert retry_after_s("Wed, 01 May 2999 00:00:30 GMT", NOW_S) == MOST_WAIT_S


@given(st.one_of(st.text(), st.from_regex(r"\\w{3}, [0-9]{1,3} \\w{3} [0-9]{1,6} [0-9:]{1,9} \\S{1,5}", fullmatch=True)))
def test_no_text_is_an_error_or_a_wait_without_bounds(text: str) -> None:
    wait_s = retry_after_s(text, NOW_S)
    assert wait_s is None or 0 <= wait_s <= MOST_WAIT_S
