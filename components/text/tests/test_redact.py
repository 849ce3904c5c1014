"""Redact: nothing is left of what is to be hidden, the rest is as it was, and its structure where it belongs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes import Packet, Pipeline
from pypes.structure import TextBuilder, blocks_of
from pypes.testing import ComponentSuite, run_component
from pypes_text.redact import Redact

SECRETS = {
    "email": ["ada.lovelace+loom@sub.example.org", "jürgen@exämple.de", "x@a.io"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "fr14 2004 1010 0505 0001 3m02 606"],
    "card": ["4111 1111 1111 1111", "378282246310005", "5555-5555-5555-4444"],
    "national": [
        "219-09-9999",
        "12345678Z",
        "RSSMRA85T10A562S",
        "756.9217.0769.85",
        "111.444.777-35",
        "811218-9876",
        "943 476 5919",
    ],
    "ip": ["192.0.2.17", "2001:db8::ff00:42:8329", "::ffff:192.0.2.128"],
    "phone": [
        "+49 30 901820",
        "0049 (30) 90 18 20",
        "(030) 901 820",
        "212-555-0123",
        "(212) 555-0123",
        "01 23 45 67 89",
        "030/901820",
    ],
}
HARMLESS = [
    *(
        "Version 1.2.3.4.5 of 2026-11-29 at 12:30:45.",
        "std::vector<int> x;",
        "ISBN 978-3-16-148410-0",
        "a @ b",
        "@ada",
        "ada@localhost",
    ),
    *(
        "From 0830 - 1200, pp. 1234-1250 (2010) 12.",
        "DE89370400440532013001",
        "4111 1111 1111 1112",
        "1,000,000.00 + 2.5e10",
    ),
    *("300.1.2.3", "12345678A", "order 1234567890123", "http://example.org/a", "123456789012345678901234567890"),
]


def redacted(fields: dict[str, Any], /, **params: Any) -> Packet:
    [packet] = run_component(Redact, [Packet(fields)], **params).packets
    assert isinstance(packet, Packet)
    return packet


class TestRedact(ComponentSuite):
    component = Redact


@pytest.mark.parametrize(("kind", "secret"), [(kind, secret) for kind, secrets in SECRETS.items() for secret in secrets])
@pytest.mark.parametrize("frame", ["{}", "Say {}.", "({}), then", "«{}»\nmore", "名前\uff1a{}、次"])
def test_what_is_found(kind: str, secret: str, frame: str) -> None:
    packet = redacted({"text": frame.format(secret)})
    assert packet["text"] == frame.format(f"[{kind}]")
    assert packet.get_meta("redacted") == {kind: 1}


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_left(text: str) -> None:
    packet = redacted({"text": text})
    assert packet["text"] == text
    assert not packet.has_meta("redacted")


IBAN, PHONE = "DE89 3704 0044 0532 0130 00", "(030) 901 820"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        # what another candidate begins in, that is none or that ends before it
        (f"AT61 1904 3002 3457 3201 {IBAN}", "[iban] [iban]"),
        (f"NO9386011117947 {IBAN} BE68539007547034", "[iban] [iban] [iban]"),
        (f"See AB12 to {IBAN}", "See AB12 to [iban]"),
        (f"Room GB29 NWBK, DE89 3704 and {IBAN}", "Room GB29 NWBK, DE89 3704 and [iban]"),
        ("GB29 NWB\u212a 6016 1331 9268 19", "GB29 NWB\u212a 6016 1331 9268 19"),
        ("item 2 811218-9876", "item 2 [national]"),
        ("1 111.444.777-35, 2 12345678Z", "1 [national], 2 [national]"),
        (f"+49 30 901820 {PHONE}", "[phone]"),
        ("0171 23456 0172 345678", "[phone]"),
        ("20 4111 1111 1111 1112 4111 1111 1111 1111", "20 4111 1111 1111 1112 [card]"),
        ("::1.2.3.4.5 2001:db8::1 2001:db8::2", "::1.2.3.4.5 [ip] [ip]"),
        ("a@b@ada@example.org", "a@b@[email]"),
    ],
)
def test_a_find_is_hidden_also_where_another_candidate_reaches(text: str, hidden: str) -> None:
    assert redacted({"text": text})["text"] == hidden


def test_all_fields_are_looked_at_whatever_they_hold() -> None:
    data = b"ada@example.org"
    packet = redacted(
        {"from": "Ada <ada@example.org>", "to": ["a@b.org", "x"], "n": 5, "deep": {"who": [{"mail": "a@b.org"}]}, "data": data}
    )
    assert packet.get_attributes() == {
        "from": ["Ada <[email]>"],
        "to": ["[email]", "x"],
        "n": [5],
        "deep": [{"who": [{"mail": "[email]"}]}],
        "data": [data],
    }
    assert packet.get_meta("redacted") == {"email": 3}
    assert redacted({"title": "a@b.org", "text": "a@b.org"}, fields=["text", "none"]).get_attributes() == {
        "title": ["a@b.org"],
        "text": ["[email]"],
    }


def test_hashes_are_the_same_for_the_same_value_and_key() -> None:
    texts = ["Ask A@Example.org and a@example.org.", "Ask b@example.org."]
    one, other = (redacted({"text": text}, action="hash", key="secret")["text"] for text in texts)
    first, second = (word.rstrip(".") for word in one.split() if word.startswith("["))
    assert first == second
    assert first not in other
    assert first not in redacted({"text": texts[0]}, action="hash", key="another")["text"]
    with pytest.raises(Exception, match="hashes need a key"):
        redacted({}, action="hash")


def test_marks_drops_and_kinds() -> None:
    text = "a@b.org 192.0.2.17"
    assert redacted({"text": text}, mark="<{kind}>")["text"] == "<email> <ip>"
    assert redacted({"text": text}, action="drop")["text"] == " "
    assert redacted({"text": text}, kinds=["ip"])["text"] == "a@b.org [ip]"


def test_own_patterns_take_linear_time_and_come_first() -> None:
    packet = redacted(
        {"text": "Case AB-123 of ünit ab@example.org, " + "a" * 50_000}, patterns={"case": "[A-Z]{2}-[0-9]+", "as": "(a+)+$"}
    )
    assert packet["text"] == "Case [case] of ünit [email], [as]"
    for patterns in ({"x": "("}, {"x": "(?=a)"}, {"email": "a"}, {"A b": "a"}):
        with pytest.raises(Exception, match=r"no regular expression of RE2|no name for a kind"):
            redacted({}, patterns=patterns)


def test_finds_that_overlap_leave_nothing() -> None:
    assert redacted({"text": "20 4111 1111 1111 1111 12"})["text"] == "20 [card] 12"
    packet = redacted({"text": "abcdef"}, patterns={"one": "abcd", "two": "cdef"})
    assert packet["text"] == "[one]"


def test_structure_moves_along() -> None:
    builder = TextBuilder()
    builder.add("Contact ada@example.org", "heading", level=1, page=1)
    builder.add("Ada", page=1)
    builder.add_table([["mail", "n"], ["x@example.org", "1"]], page=2)
    builder.add("y@example.org")
    builder.add("End.", page=3)
    packet = Packet()
    builder.put(packet)
    choices: list[dict[str, Any]] = [{}, {"action": "drop"}, {"mark": "a much longer text than the address was, which is short"}]
    for params in choices:
        [found] = run_component(Redact, [packet.clone()], **params).packets
        hidden = {"": "[email]", "drop": ""}.get(params.get("action", "" if not params else "x"), params.get("mark", ""))
        blocks = blocks_of(found)
        said = [found["text"][block.start : block.end] for block in blocks]
        table = f"| mail | n |\n| --- | --- |\n| {hidden} | 1 |"
        assert said == [f"Contact {hidden}", "Ada", table, *([hidden] if hidden else []), "End."]
        assert [block.kind for block in blocks[:3]] == ["heading", "paragraph", "table"]
        assert blocks[2].rows == [["mail", "n"], [hidden, "1"]]
        assert "example.org" not in json.dumps(found.to_json())
        assert found.get_meta("redacted") == {"email": 3}


def test_structure_is_hidden_in_the_cells_of_tables_alone() -> None:
    builder = TextBuilder()
    builder.add("An item of a table", "item", level=1)
    builder.add_table([["an item", "n"]])
    packet = Packet()
    builder.put(packet)
    packet.set_meta("blocks", [*packet.get_meta("blocks", "text"), {"start": "item", "end": 9}, "item"], "text")
    [found] = run_component(Redact, [packet], patterns={"word": "item|table"}, mark="it").packets
    blocks = blocks_of(found)
    assert [block.kind for block in blocks] == ["item", "table"]
    assert blocks[1].rows == [["an it", "n"]]
    assert found["text"].startswith("An it of a it")


WORDS = st.lists(
    st.sampled_from(["ada@example.org", "DE89370400440532013000", "word", "é", "👩", " ", "\n", "192.0.2.17", "."]), max_size=12
)


@pytest.mark.hypothesis
@given(st.lists(WORDS.map("".join), max_size=5), st.sampled_from(["replace", "drop"]))
def test_blocks_hold_what_they_held(texts: list[str], action: str) -> None:
    builder = TextBuilder()
    for text in texts:
        builder.add(text)
    packet = Packet()
    builder.put(packet)
    [found] = run_component(Redact, [packet], action=action).packets
    alone = [redacted({"text": builder.text[block.start : block.end]}, action=action)["text"] for block in builder.blocks]
    assert [found["text"][block.start : block.end] for block in blocks_of(found)] == [text for text in alone if text]


def test_finds_are_counted() -> None:
    with Pipeline(nodes={"redact": Redact}) as pipeline:
        pipeline.push([Packet({"text": "a@b.org c@d.org"}), Packet({"text": "192.0.2.17"})])
        assert pipeline.counts["redact"] == {"email": 2, "ip": 1}
    again = Packet({"text": "a@b.org"}, {"redacted": {"ip": 2, "email": 1}})
    [packet] = run_component(Redact, [again]).packets
    assert packet.get_meta("redacted") == {"ip": 2, "email": 2}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["a", "1", "@", "a@", "a.", "1.", "1 ", ":", "a:", "+1", "DE89 ", "(", "0-", "A1B2 ", "@a.", "4"]
)
def test_odd_texts_take_linear_time(piece: str) -> None:
    redacted({"text": piece * (60_000 // len(piece))})
