"""Dates: the dates in a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pypes import Example, Help, Packet, Parameters
from pypes_text.date_forms import dates
from pypes_text.extracting import Finder, Source
from pypes_text.finding import Found


class Dates(Finder):
    """Find dates with day, month and year in a text, and write them as ``2026-11-29``, with their places (metadata ``places``).

    Months have numbers, or names or their short forms in Dutch, English, French, German, Italian, Portuguese or Spanish. Of three
    numbers the day comes first unless ``order`` says otherwise; a year has four digits, from 1500 on. Days that are not in the
    calendar are none.
    """

    icon = "calendar"
    tags = ("text", "entities")
    example = Example(
        takes=Packet({"text": "From 3 March 1801 to 29.11.1834."}),
        gives=Packet({"text": "From 3 March 1801 to 29.11.1834.", "dates": ["1801-03-03", "1834-11-29"]}),
    )

    class Params(Parameters):
        field: Source = "text"
        target: Annotated[str, Help("Field for the dates.", min_length=1)] = "dates"
        order: Annotated[Literal["dmy", "mdy"], Help("Order of day and month in numbers with / or -.")] = "dmy"

    def find(self, text: str) -> Iterable[Found]:
        return dates(text, self.params.order)
