"""Emails, URLs, Phones, Dates, Addresses: values once, in their order, with the places where they stand."""

from __future__ import annotations

from typing import Any

import pytest

from pypes import Packet
from pypes.component import Component
from pypes.testing import run_component
from pypes_text.addresses import Addresses
from pypes_text.dates import Dates
from pypes_text.emails import Emails
from pypes_text.keywords import Keywords
from pypes_text.phones import Phones
from pypes_text.urls import URLs
from tests.needed import library


def found(component: type[Component], text: Any, target: str, **params: Any) -> list[str]:
    [packet] = run_component(component, [Packet({"text": text})], **params).packets
    values = packet.get(target, [])
    places = packet.get_meta("places", target, [])
    if isinstance(text, str) and "places" in (packet.get_meta_names()[1].get(target) or ()):
        assert len(places) == len(values)
        assert all(text[start:end] for each in places for start, end in each)
    assert isinstance(values, list)
    return values


def test_values_come_once_with_all_their_places() -> None:
    text = "b@x.org, a@x.org, B@x.org, a@X.org"
    [packet] = run_component(Emails, [Packet({"text": text})]).packets
    assert packet["emails"] == ["b@x.org", "a@x.org", "B@x.org"]
    places = packet.get_meta("places", "emails")
    assert [[text[start:end] for start, end in each] for each in places] == [["b@x.org"], ["a@x.org", "a@X.org"], ["B@x.org"]]


def test_what_the_field_has_stays_and_nothing_is_written_for_nothing() -> None:
    packets = [Packet({"text": "a@x.org", "emails": "z@x.org"}), Packet({"text": "none"}), Packet({"text": 5}), Packet()]
    packets.append(Packet({"text": ["a@x.org", "b@x.org"]}))
    results = run_component(Emails, packets).packets
    assert [packet.get("emails") for packet in results] == [["z@x.org", "a@x.org"], None, None, None, ["a@x.org", "b@x.org"]]
    assert results[0].get_meta("places", "emails") == [[], [[0, 7]]]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("<ada@example.org>; mailto:b@example.org.", ["ada@example.org", "b@example.org"]),
        ("o'neil@x.org a..b@x.org .c@x.org d.@x.org", ["o'neil@x.org", "c@x.org"]),
        ("a@b a@b.c a@-b.org a@b-.org a@192.0.2.1 @x.org a@@x.org", []),
        ("名前\uff1aユーザー@例え.jp", ["ユーザー@例え.jp"]),
        ("a@x.org@y.org", ["a@x.org"]),
        ("x" * 70 + "@x.org", ["x" * 64 + "@x.org"]),
    ],
)
def test_emails(text: str, values: list[str]) -> None:
    assert found(Emails, text, "emails") == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("See https://example.org/a?b=c#d. Or", ["https://example.org/a?b=c#d"]),
        ("(https://en.example.org/wiki/Loom_(machine))", ["https://en.example.org/wiki/Loom_(machine)"]),
        ('<a href="http://example.org/x">', ["http://example.org/x"]),
        ("www.example.org, HTTP://EXAMPLE.ORG!", ["http://www.example.org", "HTTP://EXAMPLE.ORG"]),
        ("https:// http://. ada@www.example.org xhttp://a.org", []),
        ("詳細は https://example.org/東京。次", ["https://example.org/東京"]),
        ("http://[2001:db8::1]:80/x", ["http://[2001:db8::1]:80/x"]),
        ("https://a.org/x,https://b.org;HTTP://c.org/,d", ["https://a.org/x", "https://b.org", "HTTP://c.org/,d"]),
        ("http://.https://example.org", ["https://example.org"]),
    ],
)
def test_urls(text: str, values: list[str]) -> None:
    assert found(URLs, text, "links") == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("on 29 November 2026, the 1st of May 1801 and Nov. 3, 1999", ["2026-11-29", "1801-05-01", "1999-11-03"]),
        ("am 29. November 2026 und 1. Mär. 1801", ["2026-11-29", "1801-03-01"]),
        ("le 1er août 2026; 3 de mayo de 1999; 7 dicembre 1801", ["2026-08-01", "1999-05-03", "1801-12-07"]),
        ("2026-11-29, 2026/1/2, 2026-11-29T08:30:00Z", ["2026-11-29", "2026-01-02"]),
        ("29.11.2026 and 11/29/2026 and 03/04/2026", ["2026-11-29", "2026-04-03"]),
        ("2026年11月29日", ["2026-11-29"]),
        ("31.02.2026 1.2.3.2026 version 10.12.2026.1 2026-13-01 29/11/26", []),
    ],
)
def test_dates(text: str, values: list[str]) -> None:
    assert found(Dates, text, "dates") == values


def test_the_order_of_numbers() -> None:
    assert found(Dates, "03/04/2026 03.04.2026 13/04/2026", "dates", order="mdy") == ["2026-03-04", "2026-04-03", "2026-04-13"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("at 350 Fifth Avenue, Suite 300, New York, NY 10118.", ["350 Fifth Avenue, Suite 300, New York, NY 10118"]),
        ("1600 Pennsylvania Avenue\nWashington, DC 20500-0003", ["1600 Pennsylvania Avenue, Washington, DC 20500-0003"]),
        ("P.O. Box 12, Springfield, IL 62701", ["P.O. Box 12, Springfield, IL 62701"]),
        ("Bahnhofstrasse 1\n8001 Zürich", ["Bahnhofstrasse 1, 8001 Zürich"]),
        ("Sitz: Hauptstr. 12a, 60311 Frankfurt am Main.", ["Hauptstr. 12a, 60311 Frankfurt am Main"]),
        ("Hauptstr. 12a, 60311 Bonn Am Markt 7, 50667 Köln", ["Hauptstr. 12a, 60311 Bonn", "Am Markt 7, 50667 Köln"]),
        ("Keizersgracht 126, 1015 CW Amsterdam", ["Keizersgracht 126, 1015 CW Amsterdam"]),
        ("55 Rue du Faubourg Saint-Honoré, 75008 Paris", ["55 Rue du Faubourg Saint-Honoré, 75008 Paris"]),
        ("10 Downing Street, London SW1A 2AA", ["10 Downing Street, London SW1A 2AA"]),
        ("On page 12, 10117 threads and 3 cards. See Fig. 3, 2026.", []),
    ],
)
def test_addresses(text: str, values: list[str]) -> None:
    assert [value.rstrip(".") for value in found(Addresses, text, "addresses")] == values


def test_phones_by_the_plans_of_countries() -> None:
    library("phonenumbers", "pypes-text[phones]")
    text = "030 901820, +44 20 7946 0958, +49 30 901820, 12345, +999 123456789"
    assert found(Phones, text, "phones", region="DE") == ["+4930901820", "+442079460958"]
    assert found(Phones, text, "phones") == ["+442079460958", "+4930901820"]
    with pytest.raises(Exception, match="region"):
        found(Phones, "", "phones", region="QQ")


def test_keywords_are_what_a_text_says_often() -> None:
    text = (
        "The jacquard loom weaves. A jacquard loom is a loom with punched cards; punched cards choose threads of the warp.\n" * 3
    )
    words = found(Keywords, text, "keywords", most=4)
    assert {"jacquard loom", "punched cards"} <= {*words}
    assert not {"the", "a", "of", "jacquard", "cards"} & {*words}
    assert found(Keywords, "", "keywords") == []
    [packet] = run_component(Keywords, [Packet({"text": text, "keywords": ["mine"]})]).packets
    assert packet["keywords"] == "mine" or packet["keywords"] == ["mine"]
    [packet] = run_component(Keywords, [Packet({"text": text, "keywords": "Jacquard Loom"})], add=True).packets
    assert packet["keywords"][0] == "Jacquard Loom"
    assert "jacquard loom" not in packet["keywords"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("component", [Emails, URLs, Dates, Addresses, Keywords])
@pytest.mark.parametrize("piece", ["a", "1", "a ", "a@", "http://", "1 a ", "a, 1 ", "12.", "May 1 ", "a.", "1\n", "St "])
def test_odd_texts_take_linear_time(component: type[Component], piece: str) -> None:
    run_component(component, [Packet({"text": piece * (50_000 // len(piece))})])
