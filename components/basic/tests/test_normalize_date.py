"""NormalizeDate: forms of dates, zones, and what cannot be read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes_basic.normalize_date import NormalizeDate
from tests.needed import library


def read(value: Any, **params: Any) -> Any:
    """The result for one value, or the reason why there is none."""
    result = run_component(NormalizeDate, [Packet.from_document({"date": value})], fields=["date"], **params)
    if result.dead_letters:
        [letter] = result.dead_letters
        assert letter.code == "date.unreadable"
        return letter.error.partition(", ")[2].partition("', ")[2] or letter.error
    return result.packets[0].get("date")


class TestNormalizeDate(ComponentSuite):
    component = NormalizeDate

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            # RFC 3339 and ISO 8601
            ("2024-05-01T10:30:00Z", "2024-05-01T10:30:00Z"),
            ("2024-05-01T10:30:00+02:00", "2024-05-01T08:30:00Z"),
            ("2024-05-01 10:30", "2024-05-01T10:30:00Z"),
            ("20240501T103000", "2024-05-01T10:30:00Z"),
            ("2024-05-01", "2024-05-01T00:00:00Z"),
            ("2024-W18-3", "2024-05-01T00:00:00Z"),
            ("2024-05-01T10:30:00.250Z", "2024-05-01T10:30:00.250000Z"),
            # RFC 5322, RFC 9110 and what mail programs write
            ("Wed, 01 May 2024 12:30:00 +0200", "2024-05-01T10:30:00Z"),
            ("Wed, 1 May 2024 12:30:00 -0000", "2024-05-01T12:30:00Z"),
            ("Wed, 01 May 2024 10:30:00 GMT", "2024-05-01T10:30:00Z"),
            ("1 May 2024 05:30 EST", "2024-05-01T10:30:00Z"),
            ("Wed, 01 May 2024 12:30:00 +0200 (CEST)", "2024-05-01T10:30:00Z"),
            ("Wednesday, 01-May-24 10:30:00 GMT", "2024-05-01T10:30:00Z"),
            ("Wed May  1 10:30:00 2024", "2024-05-01T10:30:00Z"),
            # people
            ("May 1st, 2024 10:30 am", "2024-05-01T10:30:00Z"),
            ("1 May 2024", "2024-05-01T00:00:00Z"),
            ("31/12/2024", "2024-12-31T00:00:00Z"),
            ("12/31/2024 11pm", "2024-12-31T23:00:00Z"),
            ("31.12.2024 23:00 CET", "2024-12-31T22:00:00Z"),
            (" 2024/05/01 ", "2024-05-01T00:00:00Z"),
            # objects
            (datetime(2024, 5, 1, 12, 30, tzinfo=timezone(timedelta(hours=2))), "2024-05-01T10:30:00Z"),
            (datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00Z"),
            (date(2024, 5, 1), "2024-05-01T00:00:00Z"),
        ],
    )
    def test_forms(self, value: Any, expected: str) -> None:
        assert read(value) == expected
        assert read(expected) == expected

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("soon", "is no date that is known"),
            ("", "is empty"),
            ("May 2024", "has no day"),
            ("10:30", "has no year and no month and no day"),
            ("2024", "has no month and no day"),
            ("1/2/2024", "may be 2024-02-01 or 2024-01-02; say with order which comes first, the day or the month"),
            ("2024-02-30", "is no date that is known"),
            ("1 May 2024 10:30 IST", "has a zone 'IST', which is not known; write an offset such as +02:00"),
            ("0001-01-01T00:00:00+14:00", "is out of the range of years"),
            ("9" * 300, "has 300 characters"),
        ],
    )
    def test_what_cannot_be_read(self, value: Any, reason: str) -> None:
        assert read(value) == reason

    def test_every_kind_of_value_and_field(self) -> None:
        packet = Packet({"a": "1 May 2024", "b": 5}, {"modified": "Wed, 01 May 2024 12:30:00 +0200", "x": "y"})
        packet.set("c", ["2024-05-01", "2024-05-02T01:00Z"], multi=True)
        [found] = run_component(NormalizeDate, [packet], fields=["a", "c", "absent"], meta=["modified", "none"]).packets
        assert (found.get("a"), found.get("b")) == ("2024-05-01T00:00:00Z", 5)
        assert found.get("c") == ["2024-05-01T00:00:00Z", "2024-05-02T01:00:00Z"]
        assert found.get_metas()[0] == {"modified": "2024-05-01T10:30:00Z", "x": "y"}

    def test_the_order_of_day_and_month(self) -> None:
        assert read("1/2/2024", order="day") == "2024-02-01T00:00:00Z"
        assert read("1/2/2024", order="month") == "2024-01-02T00:00:00Z"
        assert read("31/12/2024", order="month") == "2024-12-31T00:00:00Z"
        assert read("2/2/2024") == "2024-02-02T00:00:00Z"

    def test_zones(self) -> None:
        assert read("2024-07-01 12:00", from_zone="Europe/Vienna") == "2024-07-01T10:00:00Z"
        assert read("2024-07-01T10:00Z", zone="Europe/Vienna") == "2024-07-01T12:00:00+02:00"
        assert read("2024-01-01", zone="America/New_York", from_zone="America/New_York") == "2024-01-01T00:00:00-05:00"
        assert read("2024-10-27 02:30", from_zone="Europe/Vienna") == "2024-10-27T00:30:00Z"  # the first of two
        assert read("1850-01-01T00:00Z", zone="Europe/Vienna") == "1850-01-01T00:00:00Z"  # an offset of 65 min 21 s
        assert read("2024-05-01", date_only="date", zone="America/New_York") == "2024-05-01"
        assert read("2024-05-01 00:00", date_only="date") == "2024-05-01T00:00:00Z"
        assert read("1 May 2024 midnight", date_only="date") != "2024-05-01"

    def test_numbers_count_what_is_said(self) -> None:
        assert read(1714559400, epoch="seconds") == "2024-05-01T10:30:00Z"
        assert read(1714559400250, epoch="milliseconds") == "2024-05-01T10:30:00.250000Z"
        assert read(1e300, epoch="seconds").endswith("is out of the range of years")
        assert read(1714559400).endswith("is a number; say with epoch what it counts")
        assert read(True, epoch="seconds").endswith("is bool, not a text")

    def test_what_is_not_read_is_kept_or_deleted_as_said(self) -> None:
        packet = Packet({"d": "soon"}, {"modified": "never"})
        packet.set("e", ["2024-05-01", "soon"], multi=True)
        kept = run_component(NormalizeDate, [packet.clone()], fields=["d", "e"], meta=["modified"], unreadable="keep")
        assert (kept.packets[0].get("d"), kept.packets[0].get("e")) == ("soon", ["2024-05-01T00:00:00Z", "soon"])
        assert kept.counts == {"unreadable": 3}
        gone = run_component(NormalizeDate, [packet.clone()], fields=["d", "e"], meta=["modified"], unreadable="delete")
        assert gone.packets[0].get_attributes() == {"e": ["2024-05-01T00:00:00Z"]}
        assert gone.packets[0].get_metas()[0] == {}
        [letter] = run_component(NormalizeDate, [packet], fields=["d"]).dead_letters
        assert letter.error == "the date in field 'd', 'soon', is no date that is known"

    def test_other_languages(self) -> None:
        library("dateparser", "pypes-basic[dates]")
        languages = ["de", "fr"]
        assert read("1. Mai 2024 um 10:30 Uhr", languages=languages) == "2024-05-01T10:30:00Z"
        assert read("le 14 juillet 2024", languages=languages) == "2024-07-14T00:00:00Z"
        assert read("14 juillet 2024", languages=languages, date_only="date") == "2024-07-14"
        assert read("Mai 2024", languages=languages) == "is no date that is known"
        assert read("gestern", languages=languages) == "is no date that is known"
        with pytest.raises(ComponentError, match="languages"):
            read("x", languages=["xx"])

    def test_headers_that_the_library_of_mail_writes(self) -> None:
        for days in range(0, 20_000, 97):
            moment = datetime(1980, 1, 1, 3, 4, 5, tzinfo=UTC) + timedelta(days=days, minutes=days)
            zone = timezone(timedelta(minutes=days % 1440 - 720))
            assert read(format_datetime(moment.astimezone(zone))) == moment.isoformat().replace("+00:00", "Z")

    def test_bad_zones_are_refused(self) -> None:
        for params in ({"zone": "Mars"}, {"from_zone": "../etc/passwd"}):
            with pytest.raises(InvalidInput) as caught:
                NormalizeDate().configure(params)
            assert "there is no zone" in caught.value.problems[0].message
