"""Dates as documents have them, in the form of the vocabulary: ``2026-11-29T08:30:00Z``, or ``2026-11-29`` without a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_W3C: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.IGNORECASE | re.ASCII,
)
_PDF: Final = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?\s*(Z|[+-]\d\d(?:'?\d\d'?)?)?.*", re.IGNORECASE | re.DOTALL | re.ASCII
)


def date_of_w3c(text: str) -> str:
    """The date of ISO 8601 in its usual forms, ``""`` if it is none; a year alone is no date of a document."""
    found = _W3C.fullmatch(text.strip())
    return _written(*found.groups()) if found else ""


def date_of_pdf(text: str) -> str:
    """The date of PDF 32000 (7.9.4), ``D:20261129083000+01'00'``, ``""`` if it is none."""
    found = _PDF.fullmatch(text.strip())
    return _written(*found.groups()) if found else date_of_w3c(text)


def date_of_mail(text: str) -> str:
    """The date of RFC 5322, ``""`` if it is none."""
    try:
        return moment(parsedate_to_datetime(" ".join(text.split())))
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def moment(at: datetime) -> str:
    """A moment in the form of the vocabulary; one without a zone is taken as UTC."""
    try:
        at = at.astimezone(UTC) if at.tzinfo else at
    except OverflowError:
        return ""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def duration(length: timedelta) -> str:
    """A duration in hours, minutes and seconds: ``36:00:00`` for a day and a half."""
    minutes, second = divmod(abs(length) // timedelta(seconds=1), 60)
    hour, minute = divmod(minutes, 60)
    micros = abs(length).microseconds
    part = f".{micros:06}".rstrip("0") if micros else ""
    return f"{'-' if length < timedelta(0) else ''}{hour}:{minute:02}:{second:02}{part}"


def _written(year: str, month: str, day: str, hour: str, minute: str, second: str, zone: str) -> str:
    try:
        date = datetime(int(year), int(month or 0), int(day or 0))
        if not hour:
            return date.strftime("%Y-%m-%d").rjust(10, "0")
        at = date.replace(hour=int(hour), minute=int(minute or 0), second=min(int(second or 0), 59))
        zone = "" if (zone or "Z").upper() == "Z" else re.sub("[^-+0-9]", "", zone).ljust(5, "0")
        return moment(datetime.strptime(f"{at.isoformat()}{zone}", "%Y-%m-%dT%H:%M:%S%z") if zone else at)
    except ValueError:
        return ""
