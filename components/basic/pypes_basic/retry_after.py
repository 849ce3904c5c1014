"""The wait that a server asks for with ``Retry-After`` (RFC 9110, 10.2.3)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final

#: Longest wait that a server may ask for.
MOST_WAIT_S: Final = 3600.0


def wait_s(text: str, now_s: float) -> float:
    """The time that ``Retry-After`` asks for, in seconds; 0 if it asks for none."""
    try:
        asked_s = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, asked_s), MOST_WAIT_S)
