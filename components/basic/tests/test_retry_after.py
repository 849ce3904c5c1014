"""The wait that a server asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from pypes_basic.retry_after import wait_s


def test_a_number_is_seconds_within_bounds() -> None:
    assert [wait_s(text, 0.0) for text in ("", "7", "-1", "soon", "99999")] == [0.0, 7.0, 0.0, 0.0, 3600.0]


def test_a_date_is_a_time_from_now() -> None:
    assert wait_s(format_datetime(datetime(2024, 5, 1, 0, 0, 30, tzinfo=UTC)), 1714521600.0) == 30.0
