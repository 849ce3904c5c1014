"""Dates in other languages than English, read by dateparser (an extra)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo

from pypes.errors import ComponentError
from pypes_basic.dates import MOST_CHARS, Found, Unreadable


def reader_of(languages: Sequence[str], zone: tzinfo, order: str) -> Callable[[str], Found]:
    """A function that reads texts. Raises ``ComponentError`` for a language that dateparser does not know."""
    import dateparser.date

    settings = {
        "REQUIRE_PARTS": ["day", "month", "year"],
        "PARSERS": ["absolute-time"],  # "tomorrow" is another day each time
        "STRICT_PARSING": True,
        "RETURN_TIME_AS_PERIOD": True,
        **({"DATE_ORDER": "DMY" if order == "day" else "MDY"} if order else {}),
    }
    try:
        found = dateparser.date.DateDataParser(languages=[*languages], settings=settings)
        found.get_date_data("1")  # languages are looked up when the first text comes
    except ValueError as error:
        raise ComponentError(f"languages: {error}", code="date.language") from error

    def read(text: str) -> Found:
        if len(text) > MOST_CHARS:
            raise Unreadable(f"has {len(text)} characters")
        data = found.get_date_data(text)
        moment = data["date_obj"]
        if moment is None:
            raise Unreadable("is no date that is known")
        return Found(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone), data["period"] == "time")

    return read
