"""NormalizeDate: dates in one form."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pypes import Example, Help, Packet, Parameters, Reject, Transformer
from pypes.errors import InvalidInput, Problem
from pypes_basic.dates import Found, Reader, Unreadable, written

NEEDS_DATEPARSER: Final = 'languages needs dateparser, not installed here; run pip install "pypes-basic[dates]"'


class NormalizeDate(Transformer):
    """Write dates in the form of RFC 3339, ``2024-05-01T10:30:00Z``, whatever form they came in.

    It reads ISO 8601 and RFC 3339, dates of mails and web servers, and what people write in English (``1 May 2024 at 10:30``,
    ``May 1st, 2024``, ``5/1/2024``); with ``languages``, also what they write in others (an extra, about 30 times slower). In
    each of ``fields`` every value is replaced, and so are those of the metadata ``meta``; what is absent stays absent.

    A date without a zone is one of ``from_zone``; ``zone`` is that of the results. Where the clock was set back, the first of two
    times is meant. A date without a time becomes midnight of its zone, or with ``date_only: date`` stays a day,
    ``2024-05-01``. A date that has no year, month or day, a number (unless ``epoch`` says what it counts), a zone by a name with
    several meanings, and with ``order: refuse`` a date such as ``1/2/2024`` cannot be read: the packet becomes a dead letter
    (``date.unreadable``) that names field and value, or as ``unreadable`` says the value is kept, or deleted, and ``unreadable``
    counted. Reading a result again changes nothing. Deletions pass.
    """

    icon = "calendar"
    tags = ("fields", "dates")
    example = Example(
        takes=Packet({"date": "Wed, 01 May 2024 12:30:00 +0200", "read": ["2024-05-02 08:00", "May 3, 2024"]}),
        gives=Packet({"date": "2024-05-01T10:30:00Z", "read": ["2024-05-02T08:00:00Z", "2024-05-03T00:00:00Z"]}),
        params={"fields": ["date", "read"]},
    )

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields with dates.")] = ["date"]
        meta: Annotated[list[str], Help("Metadata with dates, such as modified.")] = []
        zone: Annotated[str, Help("Zone of the results: UTC, or a name such as Europe/Vienna.")] = "UTC"
        from_zone: Annotated[str, Help("Zone of dates that name none.")] = "UTC"
        order: Annotated[
            Literal["refuse", "day", "month"], Help("The first number of a date such as 1/2/2024; refuse: it cannot be read.")
        ] = "refuse"
        date_only: Annotated[Literal["midnight", "date"], Help("The result for a date without a time.")] = "midnight"
        unreadable: Annotated[
            Literal["error", "keep", "delete"], Help("A value that cannot be read is an error, is kept, or is deleted.")
        ] = "error"
        epoch: Annotated[
            Literal["", "seconds", "milliseconds"], Help("What numbers count, since 1970; empty: numbers cannot be read.")
        ] = ""
        languages: Annotated[
            list[str], Help("Languages of dates that are not English, such as de and fr (needs dateparser).", max_length=20)
        ] = []

        def __post_init__(self) -> None:
            for name, zone in (("zone", self.zone), ("from_zone", self.from_zone)):
                try:
                    ZoneInfo(zone)
                except (ValueError, OSError, KeyError):
                    fault = f"there is no zone {zone!r}; write UTC, or a name such as Europe/Vienna"
                    raise InvalidInput("no such zone", problems=[Problem(name, fault, "param.invalid")]) from None
            if self.languages and importlib.util.find_spec("dateparser") is None:
                raise ValueError(NEEDS_DATEPARSER)

    def setup(self) -> None:
        params = self.params
        self._zone = UTC if params.zone == "UTC" else ZoneInfo(params.zone)
        from_zone = ZoneInfo(params.from_zone)
        order = "" if params.order == "refuse" else params.order
        self._reader = Reader(from_zone, order, params.epoch)
        self._others: Callable[[str], Found] | None = None
        if params.languages:
            from pypes_basic.dates_of_languages import reader_of

            self._others = reader_of(params.languages, from_zone, order)

    def process(self, packet: Packet) -> Packet:
        if packet.is_deletion:
            return packet
        for name in self.params.fields:
            if packet.has(name):
                is_several = packet.is_multivalued(name)
                values = packet.get(name) if is_several else [packet.get(name)]
                changed = [self._changed(f"field {name!r}", value) for value in values]
                kept = [value for value in changed if value is not None]
                if not kept:
                    packet.delete(name)
                elif kept != values:
                    packet.set(name, kept if is_several else kept[0], multi=is_several)
        for name in self.params.meta:
            if packet.has_meta(name):
                value = self._changed(f"metadata {name!r}", packet.get_meta(name))
                if value is None:
                    packet.delete_meta(name)
                else:
                    packet.set_meta(name, value)
        return packet

    def _changed(self, place: str, value: Any) -> Any:
        """The value to keep in place of one; ``None`` to delete it."""
        try:
            return self._written(self._read(value))
        except Unreadable as error:
            match self.params.unreadable:
                case "error":
                    raise Reject(f"the date in {place}, {str(value)[:200]!r}, {error}", "date.unreadable") from None
                case kept_or_deleted:
                    self.count("unreadable")
                    return value if kept_or_deleted == "keep" else None

    def _read(self, value: Any) -> Found:
        try:
            return self._reader.read(value)
        except Unreadable:
            if self._others is None or not isinstance(value, str):
                raise
            return self._others(value)

    def _written(self, found: Found) -> str:
        if not found.has_time and self.params.date_only == "date":
            return found.moment.date().isoformat()
        return written(found.moment, self._zone)
