"""Forms of dates in texts, in seven languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from pypes_text.finding import Found

#: The names of the months; the first three letters and more of those are understood as well, where they are no other month.
_NAMES: Final = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
}
_SHORT: Final = {
    **{
        "jan": 1,
        "jän": 1,
        "jänner": 1,
        "ene": 1,
        "gen": 1,
        "janv": 1,
        "feb": 2,
        "fev": 2,
        "fév": 2,
        "févr": 2,
        "mar": 3,
        "mär": 3,
    },
    **{"mrz": 3, "mrt": 3, "apr": 4, "abr": 4, "avr": 4, "mag": 5, "jun": 6, "giu": 6, "jul": 7, "juil": 7, "lug": 7, "aug": 8},
    **{"ago": 8, "sep": 9, "sept": 9, "set": 9, "oct": 10, "okt": 10, "ott": 10, "out": 10, "nov": 11, "dec": 12, "dez": 12},
    **{"dic": 12, "déc": 12},
}
MONTHS: Final = {name: n for names in _NAMES.values() for n, name in enumerate(names.split(), 1)} | _SHORT

#: Everything that is looked for begins or ends with a year, so that only what stands around one is looked at.
_YEARS: Final = re.compile(r"(?<![0-9])(?:1[5-9][0-9]{2}|20[0-9]{2})(?![0-9])")
#: A date that ends with the year is no longer.
_LONGEST: Final = 48
_YEAR: Final = "(?P<year>[0-9]{4})"
_MONTH: Final = rf"(?P<month>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\.?"
_DAY: Final = "(?P<day>3[01]|[12][0-9]|0?[1-9])"
_GAP: Final = "[ \u00a0-]{1,2}"
#: Forms that end with the year.
_ENDING: Final = (
    # 29 November 2026, 29. November 2026, 29th of November, 2026, 1er août 2026, 29 de noviembre de 2026
    re.compile(rf"(?<![\w.-]){_DAY}(?:\.|st|nd|rd|th|er|º|°)?(?: of| de)?{_GAP}{_MONTH}(?:,| de| del)?{_GAP}{_YEAR}\Z", re.I),
    # November 29, 2026; Nov. 29th 2026
    re.compile(rf"(?<!\w){_MONTH}{_GAP}{_DAY}(?:st|nd|rd|th)?,?{_GAP}{_YEAR}\Z", re.I),
)
_NUMBERS: Final = re.compile(rf"(?<![\w.,/-])(?P<one>[0-3]?[0-9])(?P<mark>[./-])(?P<other>[0-3]?[0-9])(?P=mark){_YEAR}\Z")
#: Behind numbers that are a date there are no more of them.
_MORE: Final = re.compile(r"[\w/-]|\.[0-9]")
#: Forms that begin with the year: 2026-11-29, also before a time, and 2026年11月29日.
_BEGINNING: Final = (
    re.compile(
        rf"(?<![\w.-]){_YEAR}(?P<mark>[-/.])(?P<month>1[0-2]|0?[1-9])(?P=mark){_DAY}(?:(?=T[0-9]{{2}}:[0-9]{{2}})|(?![\w-]|\.[0-9]))"
    ),
    re.compile(rf"{_YEAR} ?年 ?(?P<month>1[0-2]|0?[1-9]) ?月 ?{_DAY} ?日"),
)


def dates(text: str, order: str) -> Iterator[Found]:
    """Dates with day, month and year; the value is that of ISO 8601. ``order`` (``dmy``, ``mdy``) is that of numbers alone.

    With a dot between them the day comes first, and a number above 12 is the day, whatever the order.
    """
    for year in _YEARS.finditer(text):
        start, end = year.span()
        for pattern in _BEGINNING:
            if found := pattern.match(text, start):
                yield from _date(found, int(found["month"]), int(found["day"]))
        if text[end : end + 1].isalnum():
            continue
        before = max(0, start - _LONGEST)
        for pattern in _ENDING:
            if found := pattern.search(text, before, end):
                yield from _date(found, MONTHS[found["month"].lower()], int(found["day"]))
        found = _NUMBERS.search(text, before, end)
        if found and not _MORE.match(text, end):
            day, month = int(found["one"]), int(found["other"])
            if month > 12 or (order == "mdy" and found["mark"] != "." and day <= 12):
                day, month = month, day
            yield from _date(found, month, day)


def _date(found: re.Match[str], month: int, day: int) -> Iterator[Found]:
    try:
        yield Found(*found.span(), date(int(found["year"]), month, day).isoformat())
    except ValueError:  # 31 February
        return
