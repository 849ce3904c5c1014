"""What people see of packets: hidden by name, without secrets, and bounded whatever a component put there."""

from __future__ import annotations

from base64 import b64decode
from collections import UserDict
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.secrets import Secrets
from pypes.core.values import Body
from pypes.errors import InvalidInput
from pypes.observe.hiding import CHARS, DEPTH, ENTRIES, HIDDEN, TEXT_CHARS, Hiding
from pypes.packet import Packet


class Unread(Body):
    size = 1 << 40

    def open(self) -> BinaryIO:
        raise AssertionError("it is not to be read")

    def read(self) -> bytes:
        raise AssertionError("it is not to be read")


@pytest.mark.parametrize(
    ("patterns", "name", "is_hidden"),
    [
        (["password"], "password", True),
        (["password"], "Password", True),
        (["password"], "passwords", False),
        (["*_token"], "api_token", True),
        (["*_token"], "token", False),
        (["a.c"], "abc", False),
        ([], "password", False),
        (["card", "*_token"], "card", True),
    ],
)
def test_names_are_hidden_by_patterns_that_match_them_whole(patterns: list[str], name: str, is_hidden: bool) -> None:
    assert Hiding(patterns).hides(name) is is_hidden


def test_hidden_are_fields_metadata_and_keys_within_values() -> None:
    fields = {"password": "p", "user": {"password": "p", "name": "ada"}, "n": 1}
    packet = Packet(fields, {"x_token": "t"}, {"n": {"x_token": "t"}})
    packet.set_meta("by", "x", "password")
    assert Hiding(["password", "*_token"]).excerpt(packet) == {
        "fields": {"password": HIDDEN, "user": {"password": HIDDEN, "name": "ada"}, "n": 1},
        "meta": {"x_token": HIDDEN},
        "field_meta": {"n": {"x_token": HIDDEN}},
    }


def test_secrets_are_taken_out_of_texts_before_they_are_cut() -> None:
    secrets = Secrets({"correct-horse": "${KEY}"})
    text = "x" * (TEXT_CHARS // 2 - 5) + "correct-horse" + "y" * TEXT_CHARS
    found = Hiding(secrets=secrets).excerpt(Packet({"text": text, "correct-horse": 1}))["fields"]
    assert "corre" not in found["text"]
    assert list(found) == ["text", "${KEY}"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("correct-horse"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "password"]), inner),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from(["a", "b", "password", "correct-horse"]), VALUES)


@given(st.lists(st.tuples(FIELDS, FIELDS), max_size=6), st.booleans())
def test_packets_of_one_delivery_are_shown_as_each_by_itself(found: list[tuple[Any, Any]], grows: bool) -> None:
    hiding = Hiding(["password"], Secrets({"correct-horse": "${KEY}"}))
    excerpt = hiding.excerpts()
    fields: dict[str, Any] = {}
    for changed, meta in found:
        fields = {**fields, **changed} if grows else changed
        packet = Packet.from_document(dict(fields), meta)
        assert excerpt(packet) == hiding.excerpt(packet)


def test_what_was_seen_of_a_delivery_counts_towards_the_bound_of_each_packet() -> None:
    packet = Packet({f"f{n}": "a" * 390 for n in range(ENTRIES)})
    excerpt = Hiding().excerpts()
    assert excerpt(packet) == excerpt(packet)
    assert len(orjson.dumps(excerpt(packet))) < CHARS + 2_000


def test_a_value_that_was_changed_within_is_shown_anew() -> None:
    excerpt, tags = Hiding().excerpts(), ["a"]
    packet = Packet.from_document({"tags": {"of": tags}}, None)
    excerpt(packet)
    tags.append("b")
    assert excerpt(packet)["fields"] == {"tags": {"of": ["a", "b"]}}


def test_values_that_are_long_or_no_json_are_told_of() -> None:
    packet = Packet({"text": "a" * 10_000, "raw": b"\0" * 9, "big": 1 << 70, "half": "\ud800"})
    packet.set("file", Unread())
    packet.set("list", list(range(1000)))
    found = Hiding().excerpt(packet)["fields"]
    assert len(found["text"]) < TEXT_CHARS + 40
    assert (found["raw"], found["file"]) == ("<9 bytes>", f"<body of {1 << 40} bytes>")
    assert found["list"][0][-1] == f"… {1000 - ENTRIES} more"
    orjson.dumps(found)


@dataclass
class User:
    name: str
    password: str


class Login(NamedTuple):
    name: str
    password: str


class Account(msgspec.Struct):
    name: str
    password: str


@pytest.mark.parametrize(
    "value",
    [
        UserDict({"name": "ada", "password": "s3cret"}),
        {"name": "ada", b"password": "s3cret"},
        User("ada", "s3cret"),
        Login("ada", "s3cret"),
        Account("ada", "s3cret"),
    ],
)
def test_hidden_is_what_has_a_name_in_values_of_any_kind(value: Any) -> None:
    excerpt = Hiding(["password"]).excerpt
    assert excerpt(Packet({"user": value}))["fields"]["user"] == {"name": "ada", "password": HIDDEN}
    assert excerpt(Packet({"in": {"list": [value]}}))["fields"]["in"] == {"list": [{"name": "ada", "password": HIDDEN}]}


def test_names_are_hidden_that_are_too_long_to_be_shown() -> None:
    found = Hiding(["*_token*"]).excerpt(Packet({"x" * TEXT_CHARS + "_token" + "x" * TEXT_CHARS: "s3cret"}))["fields"]
    assert list(found.values()) == [HIDDEN]


class Float(float):
    pass


class Int(int):
    pass


class Text(str):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Float(1.5), 1.5),
        (Int(3), 3),
        (Text("a"), "a"),
        (Int(1 << 70), hex(1 << 70)),
        (Float("nan"), None),
        ({Text("a"): 1}, {"a": 1}),
    ],
)
def test_values_of_derived_classes_are_those_of_their_bases(value: Any, shown: Any) -> None:
    assert orjson.loads(orjson.dumps(Hiding().excerpt(Packet({"v": value}))))["fields"]["v"] == shown


def test_the_whole_is_bounded() -> None:
    nested: Any = "deep"
    for _ in range(DEPTH + 100):
        nested = {"in": nested}
    packet = Packet({f"field{n}": {f"key{k}": "v" * 300 for k in range(60)} for n in range(200)})
    packet.set("nested", nested)
    assert len(orjson.dumps(Hiding().excerpt(packet))) < 2 * CHARS
    assert b"values>" in orjson.dumps(Hiding().excerpt(Packet({"nested": nested})))


def test_the_packet_stays_as_it_is() -> None:
    packet = Packet({"tags": {"a": ["b"]}})
    shown = Hiding().excerpt(packet)
    shown["fields"]["tags"]["a"].append("c")
    assert packet.get("tags") == {"a": ["b"]}


def test_anything_can_be_shown() -> None:
    class Odd(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("no")

    assert "RuntimeError" in Hiding().excerpt(Odd(a=1))["value"]
    assert Hiding().excerpt("text") == {"value": "text"}
    assert Hiding().excerpt(BytesIO)["value"].startswith("<class")


def test_names_that_come_with_documents_do_not_fill_the_memory() -> None:
    hiding = Hiding(["secret*"])
    for n in range(10_000):
        assert not hiding.hides(f"n{n}")
    assert hiding.hides("secret_of_a_late_document")
    assert len(hiding._known) < 5000


FORM: dict[str, Any] = {
    "fields": {"password": "geheim", "user": {"password": {"old": "geheim"}, "name": "Ada"}, "all": [{"password": 1}, 2]},
    "meta": {"x_token": "geheim", "id": "a"},
    "field_meta": {"password": {"set_by": "x@1"}, "user": {"by": "y"}},
}


def test_a_whole_packet_is_shown_without_what_is_hidden() -> None:
    hiding = Hiding(["password", "*_token", "meta", "fields"], Secrets({"correct-horse": "${KEY}"}))
    assert hiding.packet(FORM) == {
        "fields": {"password": HIDDEN, "user": {"password": HIDDEN, "name": "Ada"}, "all": [{"password": HIDDEN}, 2]},
        "meta": {"x_token": HIDDEN, "id": "a"},
        "field_meta": {"password": {"set_by": HIDDEN}, "user": {"by": "y"}},
    }
    assert hiding.packet({"value": ["a correct-horse"]}) == {"value": ["a ${KEY}"]}
    assert hiding.packet(["correct-horse", {"password": 1}]) == ["${KEY}", {"password": HIDDEN}]
    assert FORM["meta"]["x_token"] == "geheim"
    endless: list[Any] = []
    endless.append(endless)
    assert hiding.value(endless) == ["<1 values>"]


@pytest.mark.parametrize("change", ["nothing", "another", "hidden"])
def test_what_was_shown_is_put_together_again_as_it_was(change: str) -> None:
    secrets = Secrets({"correct-horse": "${KEY}"})
    hiding = Hiding(["password", "*_token"], secrets)
    former = orjson.loads(
        orjson.dumps({**FORM, "fields": {**FORM["fields"], "text": "a correct-horse", "correct-horse": [1, True]}})
    )
    shown = orjson.loads(orjson.dumps(hiding.packet(former)))
    if change == "another":
        former["fields"]["user"]["name"] = shown["fields"]["user"]["name"] = "Grace"
        former["fields"]["new"] = shown["fields"]["new"] = [HIDDEN]
        former["fields"]["all"].append(shown["fields"]["all"].append(3) or 3)
        del former["meta"]["id"], shown["meta"]["id"]
    if change == "hidden":
        former["fields"]["password"] = shown["fields"]["password"] = "another"
        former["fields"]["user"] = shown["fields"]["user"] = "none"
    unchanged = orjson.loads(
        orjson.dumps({**FORM, "fields": {**FORM["fields"], "text": "a correct-horse", "correct-horse": [1, True]}})
    )
    assert hiding.restored(shown, unchanged) == former


def test_what_is_hidden_cannot_be_put_where_nothing_was() -> None:
    hiding = Hiding(["password"])
    with pytest.raises(InvalidInput, match="give the value") as raised:
        hiding.restored({"fields": {"all": [{"password": HIDDEN}]}}, {"fields": {"all": []}})
    assert (raised.value.code, raised.value.where) == ("packet.hidden", "fields.all.0.password")
    assert hiding.restored({"fields": {"text": HIDDEN}}, {}) == {"fields": {"text": HIDDEN}}
    # what somebody has written in a place of the same value stays of its kind
    assert hiding.restored({"a": 1, "b": True}, {"a": True, "b": 1}) == {"a": 1, "b": True}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a" : 1}', '{"a" : 1}'),
        ('{"a": 1, "password": "geheim"}', '{"a": 1, "password": "(hidden)"}'),
        ('{"pass\\u0077ord": ["geheim"]}', '{"password": "(hidden)"}'),
        ('[{"user": {"password": {"x": "geheim"}}}]', '[{"user": {"password": "(hidden)"}}]'),
        ('{"a":1}\n\n{"password":"geheim"}\n', '{"a":1}\n\n{"password": "(hidden)"}\n'),
        ('{"password":"ge\u2028heim"}\n{"a":"\x85"}\r\n', '{"password": "(hidden)"}\n{"a":"\x85"}\r\n'),
        ('{"password": "ge\x85heim", "b": ', '{"password": "(hidden)", "b": '),
        ('{"password": "geheim", "b": ', '{"password": "(hidden)", "b": '),
        ('{"a": "open, "password": "ge\\"heim", "n": 1', '{"a": "open, "password": "(hidden)", "n": 1'),
        ('{"password": geheim, "n": tru}', '{"password": "(hidden)", "n": tru}'),
        ('{"password" : {"x": "geheim"}, "n": tru}', '{"password" : "(hidden)"'),
        ('{"password": "geheim', '{"password": "(hidden)"'),
        ("a,password\n1,2\n", "a,password\n1,2\n"),
        ("text with correct-horse", "text with ${KEY}"),
        ('"correct-horse"', '"${KEY}"'),
        ("", ""),
    ],
)
def test_the_text_of_a_body_has_names_as_far_as_it_is_json(text: str, shown: str) -> None:
    assert Hiding(["password"], Secrets({"correct-horse": "${KEY}"})).body(text) == shown


@pytest.mark.parametrize("piece", ['"', '"a', '"a":', '\\"', '"password":', '"password":"', "[", '{"a":', '"a"     '])
def test_bodies_take_time_in_proportion(piece: str) -> None:
    # quadratic, it would take hours
    Hiding(["password"]).body(piece * 200_000)


def test_a_body_that_was_not_read_yet_is_hidden_as_far_as_it_has_names() -> None:
    hiding = Hiding(["password"])
    broken = '{"password": "geheim", "n": '
    assert hiding.packet({"fields": {"data": broken}}) == {"fields": {"data": '{"password": "(hidden)", "n": '}}
    assert hiding.excerpt(Packet({"data": broken}))["fields"] == {"data": '{"password": "(hidden)", "n": '}
    assert "geheim" not in hiding.excerpt(Packet({"data": broken + "x" * CHARS}))["fields"]["data"]
    former = {"fields": {"data": broken}}
    assert hiding.restored(hiding.packet(former), former) == former
    with pytest.raises(InvalidInput) as raised:
        hiding.restored({"fields": {"data": '{"password": "(hidden)", "n": 1}'}}, former)
    assert (raised.value.code, raised.value.where) == ("packet.hidden", "fields.data")
    assert hiding.restored({"fields": {"data": '{"password": "new"}'}}, former)["fields"]["data"] == '{"password": "new"}'
    coded = Packet({"data": broken.encode()}).to_json()
    assert b64decode(hiding.packet(coded)["fields"]["data"]) == b'{"password": "(hidden)", "n": '
    assert hiding.restored(hiding.packet(coded), coded) == coded
    for other in ({"data": b"\xff"}, {"password": b"x"}):
        form = Packet(other).to_json()
        assert hiding.packet(form)["field_meta"] == form["field_meta"]
        assert hiding.restored(hiding.packet(form), form) == form
    assert Hiding(["data"]).packet(former) == {"fields": {"data": HIDDEN}}
