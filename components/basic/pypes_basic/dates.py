"""Dates as people and programs write them, read as one moment or day."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from dateutil import parser

#: A longer text is no date.
MOST_CHARS: Final = 200

#: Zones by name, as mails and web servers write them (RFC 5322) and as European programs do, in minutes east. Others have several
#: meanings or none.
_ZONES: Final = {
    **dict.fromkeys(("UT", "UTC", "GMT", "Z", "WET"), 0),
    **{"EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420},
    **{"CET": 60, "CEST": 120, "MEZ": 60, "MESZ": 120, "EET": 120, "EEST": 180, "WEST": 60},
}
_MAIL: Final = re.compile(r"(?:[A-Za-z]{3}, *)?\d{1,2} [A-Za-z]{3} \d{4} \d\d:\d\d(?::\d\d)? (?:[+-]\d{4}(?: \(.*\))?|GMT|UTC?)")
#: The year comes first, and then the month.
_YEAR_FIRST: Final = re.compile(r"\d{4}\D")
_DAY: Final = re.compile(r"\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d(-?\d)?")
#: Parts that a text leaves out are taken from these; where the two differ, some are missing.
_FIRST, _OTHER = datetime(2000, 1, 1), datetime(2001, 2, 2)


class Unreadable(Exception):
    """A text is no date, or says too little; the message goes on from "it"."""


class Found(NamedTuple):
    """A moment, or the beginning of a day where the text has no time."""

    moment: datetime
    has_time: bool


class Reader:
    """Reads dates. ``zone`` is that of dates without one; ``order`` is ``day`` or ``month``, or empty to refuse two readings."""

    def __init__(self, zone: tzinfo = UTC, order: str = "", epoch: str = "") -> None:
        self._zone = zone
        self._order = order
        self._per_second = {"seconds": 1, "milliseconds": 1000}.get(epoch)

    def read(self, value: Any) -> Found:
        """Read a text, a number or a date. Raises :class:`Unreadable`."""
        if isinstance(value, datetime):
            return Found(self._placed(value), True)
        if isinstance(value, date):
            return Found(self._placed(datetime(value.year, value.month, value.day)), False)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise Unreadable(f"is {type(value).__name__}, not a text")
        if isinstance(value, str):
            return self._text(value.strip())
        return self._number(value)

    def _number(self, value: float) -> Found:
        if self._per_second is None:
            raise Unreadable("is a number; say with epoch what it counts")
        try:
            return Found(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value / self._per_second), True)
        except (OverflowError, ValueError):
            raise Unreadable("is out of the range of years") from None

    def _text(self, text: str) -> Found:
        if not text:
            raise Unreadable("is empty")
        if len(text) > MOST_CHARS:
            raise Unreadable(f"has {len(text)} characters")
        try:
            return Found(self._placed(datetime.fromisoformat(text)), not _DAY.fullmatch(text))
        except ValueError:
            pass
        if _MAIL.fullmatch(text):
            try:
                found = parsedate_to_datetime(text)
                # -0000 is the time of the world, said by somebody who does not know where he is (RFC 5322)
                return Found(found.replace(tzinfo=UTC) if found.tzinfo is None and "-0000" in text else self._placed(found), True)
            except (ValueError, TypeError, OverflowError):
                pass
        return self._free(text)

    def _free(self, text: str) -> Found:
        by_month = self._parsed(text, is_day_first=False)
        by_day = self._parsed(text, is_day_first=True)
        if by_month == by_day or _YEAR_FIRST.match(text) or self._order == "month":
            return by_month
        if self._order == "day":
            return by_day
        one, other = by_day.moment.date(), by_month.moment.date()
        raise Unreadable(f"may be {one} or {other}; say with order which comes first, the day or the month")

    def _parsed(self, text: str, *, is_day_first: bool) -> Found:
        try:
            first, other = (
                parser.parse(text, default=default, dayfirst=is_day_first, tzinfos=_zone) for default in (_FIRST, _OTHER)
            )
        except Unreadable:
            raise
        except (ValueError, OverflowError, TypeError, AttributeError, RecursionError) as error:
            raise Unreadable("is no date that is known") from error
        if first != other:
            parts = [part for part in ("year", "month", "day") if getattr(first, part) != getattr(other, part)]
            raise Unreadable(f"has no {' and no '.join(parts)}")
        try:
            later = parser.parse(text, default=_FIRST + timedelta(hours=1), dayfirst=is_day_first, tzinfos=_zone)
        except (ValueError, OverflowError):
            later = first
        return Found(self._placed(first), later == first)

    def _placed(self, moment: datetime) -> datetime:
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=self._zone)


def _zone(name: str | None, offset_s: int | None) -> tzinfo | None:
    """The zone of a name or an offset, for dateutil."""
    if offset_s is not None:
        return timezone(timedelta(seconds=offset_s))
    if name is None:
        return None
    minutes = _ZONES.get(name.upper())
    if minutes is None:
        raise Unreadable(f"has a zone {name!r}, which is not known; write an offset such as +02:00")
    return timezone(timedelta(minutes=minutes))


def written(moment: datetime, zone: tzinfo) -> str:
    """A moment in the form of RFC 3339; in UTC where a zone was off by seconds then, which that form cannot say.

    Raises :class:`Unreadable` at the ends of the calendar.
    """
    try:
        found = moment.astimezone(zone)
        offset = found.utcoffset() or timedelta()
        if offset.total_seconds() % 60:
            found, offset = moment.astimezone(UTC), timedelta()
    except (OverflowError, ValueError):
        raise Unreadable("is out of the range of years") from None
    text = found.isoformat()
    return f"{text.removesuffix('+00:00')}Z" if not offset else text
