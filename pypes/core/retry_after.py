"""The wait that a server asks for with ``Retry-After`` (RFC 9110, 10.2.3)."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

#: Longest wait that a server may ask for.
MOST_WAIT_S: Final = 3600.0

#: Seconds; the fractions that some servers send are not in the RFC.
_SECONDS: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


def retry_after_s(given: str | None, now_s: float) -> float | None:
    """The time that ``Retry-After`` asks for, in seconds from 0 to ``MOST_WAIT_S``; ``None`` if it asks for none.

    It has seconds or a date; ``now_s`` are the seconds since 1970, to which that is compared. Whatever else it holds asks for
    nothing: no number less than zero, no word.
    """
    text = (given or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MOST_WAIT_S)
    try:
        date = parsedate_to_datetime(text)
        until_s = (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return min(max(0.0, until_s - now_s), MOST_WAIT_S)
