"""Plain values pass between an instance and a pool worker, and nothing else does."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.identity import Identity, Version
from pypes.core.limits import Limits
from pypes.core.values import One, Several
from pypes.ingest.codecs.raw import StreamBody
from pypes.packet import Packet
from pypes.placement import words
from pypes.placement.channel import Broken
from pypes.placement.speech import Unspeakable

plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False), st.text(max_size=9), st.binary(max_size=9)
)
nested = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8
)
entries = st.one_of(
    nested, st.lists(nested, max_size=3).map(One), st.lists(nested, max_size=3).map(Several), st.lists(nested, max_size=3)
)
metas = st.none() | st.dictionaries(st.text(max_size=3), nested, max_size=3)


def shape(entry: Any) -> Any:
    """An entry with the types that ``==`` does not tell apart."""
    return type(entry), entry.value if type(entry) is One else entry


def there_and_back(value: Any) -> Any:
    here, there = words.InstanceValues(), words.ChildValues()
    arrived = there.value(there.decode(here.encode(value)))
    return here.value(here.decode(there.encode(arrived)))


@given(fields=st.dictionaries(st.text(max_size=3), entries, max_size=4), meta=metas, data=st.data())
def test_a_packet_arrives_as_it_was(fields: dict[str, Any], meta: Any, data: st.DataObject) -> None:
    field_meta: dict[str, Any] | None = {name: data.draw(metas.filter(bool)) for name in list(fields)[:1]} or None
    packet = Packet.from_parts(fields, meta, field_meta)
    found = there_and_back(packet)
    assert found == packet
    got, got_meta, got_field_meta = found.parts()
    assert {name: shape(entry) for name, entry in got.items()} == {name: shape(entry) for name, entry in fields.items()}
    assert list(got) == list(fields)
    assert (got_meta, got_field_meta) == (meta, field_meta)


def test_a_part_arrives_as_the_part_that_it_was() -> None:
    part = Packet({}, {"id": "sheet", "route": "r", "receipt": "01a", "index": 3, "run": 9}).derive("row", 1, {"a": 1})
    found = there_and_back(part)
    assert (found.document, found.part, found.version) == (Identity("r", "sheet"), "row=1", Version("01a", 3, 9))


def test_what_is_no_packet_arrives_too() -> None:
    now = datetime.datetime.now(datetime.UTC)
    for value in (None, 5, "x", [1, [2]], {"a": b"\0"}, now, [Packet({"n": 1}), Packet({"l": ["a", "b"]}, {"m": 1})]):
        assert there_and_back(value) == value
    assert there_and_back((1, 2)) == [1, 2]


def test_a_body_comes_back_as_the_one_that_was_sent() -> None:
    bodies = [StreamBody(b"first", "", Limits()), StreamBody(b"second", "", Limits())]
    packet = Packet()
    packet.set("one", bodies[0])
    packet.set("all", list(bodies), multi=True)
    here, there = words.InstanceValues(), words.ChildValues()
    arrived = there.value(there.decode(here.encode(packet)))
    assert arrived.get("one") == b"first"
    arrived.delete("one")
    found = here.value(here.decode(there.encode(arrived))).parts()[0]["all"]
    assert found[0] is bodies[0]
    assert found[1] is bodies[1]


@pytest.mark.parametrize(
    "value", [object(), 2**70, "\ud800", Packet.from_document({"lock": threading.Lock()})], ids=lambda v: type(v).__name__
)
def test_what_has_no_words_is_refused(value: Any) -> None:
    with pytest.raises(Unspeakable):
        words.InstanceValues().encode(value)


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("fields", "field 'lock': "),
        ("several", "field 'lock': "),
        ("meta", "metadata 'lock': "),
        ("field_meta", "metadata of field 'title': "),
    ],
)
def test_the_error_names_the_field(part: str, place: str) -> None:
    packet = Packet({"title": "ok"})
    match part:
        case "fields":
            packet.set("lock", object())
        case "several":
            packet.set("lock", ["ok", object()], multi=True)
        case "meta":
            packet.set_meta("lock", object())
        case "field_meta":
            packet.set_meta("lock", object(), "title")
    with pytest.raises(Unspeakable, match=f"^{place}object cannot travel to another process"):
        words.InstanceValues().encode(packet)


def test_a_list_too_deep_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unspeakable):
        words.InstanceValues().encode(deep)
    while deep:  # taken apart by hand: the interpreter would need as deep a stack
        deep = deep[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xa1x",
        b"\x92\xc0\xc0",
        b"\x93\x01\xc0\xc0",
        msgspec.msgpack.encode([msgspec.msgpack.Ext(3, b"cos\nsystem\n(S'false'\ntR.")]),
        msgspec.msgpack.encode([msgspec.msgpack.Ext(4, b"\x05")]),
    ],
    ids=["empty", "unused byte", "text", "two parts", "fields that are none", "a pickled body", "a body never sent"],
)
def test_an_instance_trusts_no_child(data: bytes) -> None:
    values = words.InstanceValues()
    with pytest.raises(Broken):
        values.value(values.decode(data))
