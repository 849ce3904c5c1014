"""Bodies of Protocol Buffers: packets, written by the makers' library, read with the compiled module and without."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.limits import MIB, Limits
from pypes.core.media_types import PACKETS
from pypes.core.values import Body
from pypes.errors import BadRequest, InvalidInput, TooLarge
from pypes.ingest.codecs import Checker, Survey, Unreadable, check, documents, records
from pypes.ingest.codecs.protobuf import PROTOBUF
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import key_of, pack_keys
from pypes.packet import Packet
from pypes.protobuf import body_of
from tests.ingest.codecs.test_msgpack import values

pytestmark = pytest.mark.usefixtures("both_ways")

LIMITS = Limits(json_depth=4, line_bytes=1000, wave_packets=3)


def header(**fields: Any) -> Header:
    return Header("g", content_type="application/x-protobuf", **fields)


def in_chunks(body: bytes, size: int = 3, limits: Limits = LIMITS, seen: Survey | None = None, **fields: Any) -> int:
    checker = Checker(header(**fields), limits, seen)
    for at in range(0, len(body), size):
        checker.feed(body[at : at + size])
    return checker.finish()


def refused(body: bytes, limits: Limits = LIMITS) -> InvalidInput:
    """The refusal of a body, with the same code whole and in chunks."""
    with pytest.raises((BadRequest, TooLarge)) as whole:
        check(header(), body, limits)
    with pytest.raises((BadRequest, TooLarge)) as chunked:
        in_chunks(body, limits=limits)
    assert chunked.value.code == whole.value.code
    return whole.value


def read(body: bytes, count: int = 1, limits: Limits = LIMITS, **fields: Any) -> list[Any]:
    found = documents(header(documents=count, length=len(body), **fields), body, "r", 0.0, limits=limits)
    return [each for kind, batch in found for each in batch if kind == PACKETS or isinstance(each, Unreadable)]


def field(number: int, wire_type: int, data: bytes) -> bytes:
    return bytes([number << 3 | wire_type]) + data


def message(number: int, *parts: bytes) -> bytes:
    """A field that is a message, of less than 128 bytes."""
    inner = b"".join(parts)
    return field(number, 2, bytes([len(inner)]) + inner)


def document(*parts: bytes) -> bytes:
    return message(1, *parts)


def with_value(*parts: bytes) -> bytes:
    """A document with one field, ``a``, whose value is of these bytes."""
    return document(message(1, message(1, b"a"), message(2, *parts)))


class Held(Body):
    size = 3

    def open(self) -> io.BytesIO:
        return io.BytesIO(b"abc")

    def read(self) -> bytes:
        return b"abc"


def test_a_packet_arrives_with_its_metadata() -> None:
    packet = Packet({"title": "Ada", "born": 1815, "known": True, "nothing": None, "score": -0.5, "picture": b"\x89"})
    packet.set("tags", ["a", "b"], multi=True)
    packet.set("pair", ["a", "b"])
    packet.set("one", ["a"], multi=True)
    packet.set("nested", {"a": [{"b": None}], "c": {}})
    packet.append("appended", "a")
    packet.append("appended", ["b"])
    packet.set_meta("source", "archive")
    packet.set_meta("language", "en", "title")
    (found,) = read(body_of([packet]))
    own = {"mimetype", "contentlength", "requestmethod", "receipt", "processingtime"}
    form = found.to_json()
    assert {**form, "meta": {name: value for name, value in form["meta"].items() if name not in own}} == packet.to_json()
    assert form["meta"]["mimetype"] == PACKETS
    for name in ("tags", "pair", "one", "appended", "title"):
        assert found.is_multivalued(name) == packet.is_multivalued(name)
    assert read(body_of([Packet({"body": Held()})]))[0]["body"] == b"abc"


def test_documents_of_a_row_are_counted() -> None:
    body = body_of([Packet({"n": n, "text": "é" * n}) for n in range(20)])
    assert check(header(), body, LIMITS)[0] == in_chunks(body) == 20
    found = read(body, 20)
    assert [packet["n"] for packet in found] == [*range(20)]
    assert [packet.get_meta("index") for packet in found] == [None, *range(1, 20)]


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"])
def test_all_names_of_the_type_are_known(kind: str) -> None:
    assert check(Header("g", content_type=kind), document() * 2, LIMITS)[0] == 2


def test_id_and_deletion_are_metadata() -> None:
    other_id = message(2, message(1, b"id"), message(2, message(5, b"no")))
    deletion = document(message(4, b"ada"), field(5, 0, b"\x01"))
    one, other = read(deletion + document(other_id, message(4, b"grace"), field(5, 0, b"\x00")), 2)
    assert (one.id, one.is_deletion) == ("ada", True)
    assert (other.id, other.is_deletion) == ("grace", False)
    assert read(document(message(4)))[0].id is None
    # in another order than that of their numbers
    (found,) = read(document(field(5, 0, b"\x01"), message(4, b"ada"), message(1, message(1, b"a"))))
    assert (found.id, found.is_deletion, found.get_attribute_names(), found["a"]) == ("ada", True, ["a"], None)


def test_what_is_not_there_is_as_the_schema_says() -> None:
    assert read(document(message(1)))[0].to_json()["fields"] == {"": None}
    assert read(document(message(1, message(2, message(5, b"x")))))[0].to_json()["fields"] == {"": "x"}
    assert read(with_value())[0]["a"] is None
    assert read(with_value(field(1, 0, b"\x00")))[0]["a"] is False
    assert read(with_value(message(7)))[0]["a"] == []
    assert read(with_value(message(8)))[0]["a"] == {}
    # the last of two entries counts
    twice = document(message(1, message(1, b"a"), message(2, message(5, b"x"))), message(1, message(1, b"a")))
    assert read(twice)[0]["a"] is None


@pytest.mark.parametrize("number", [0, 1, 127, 128, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -1, -(2**63)])
def test_integers_have_64_bits(number: int) -> None:
    assert read(body_of([Packet({"n": number})]))[0]["n"] == number


NAN = struct.pack("<d", float("nan"))
REFUSED = [
    (b"\x0a", "document 1, byte 1", "in the middle of the length of a document"),
    (document(message(4, b"a"))[:-1], "document 1, byte 4", "in the middle of a document of 3 bytes"),
    (document() + message(2), "document 2, byte 2", "Documents has no field 2"),
    (field(1, 0, b"\x01"), "document 1, byte 0", "documents of Documents must be a length (wire type 2, not 0)"),
    (document(message(6)), "document 1, byte 2", "Document has no field 6"),
    (document(field(1, 3, b"")), "document 1, byte 2", "wire type 2, not 3"),
    (document(field(5, 0, b"\xff" * 9 + b"\x02")), "document 1, byte 3", "more than 64 bits"),
    (document(field(5, 0, b"\xff" * 11)), "document 1, byte 3", "more than 64 bits"),
    (document(field(5, 0, b"\xff")), "document 1, byte 2", "ends in the middle of a number"),
    (document(field(4, 2, b"\x09a")), "document 1, byte 2", "id of Document announces 9 bytes, and 1 are there"),
    (
        document(field(4, 2, b"\xff\xff\xff\xff\xff\xff\xff\xff\x7fa")),
        "document 1, byte 2",
        "announces 9223372036854775807 bytes",
    ),
    (document(message(4, b"\xff")), "document 1, byte 4", "not UTF-8"),
    (document(message(1, message(1, b"\xff"))), "document 1, byte 6 (fields)", "not UTF-8"),
    (document(message(1, message(1, b"a"), message(1, b"b"))), "document 1, byte 9 (fields)", "an entry has one key"),
    (document(message(1, message(3, b"a"))), "document 1, byte 4 (fields)", "the entry has no field 3"),
    (with_value(field(4, 1, NAN)), "document 1, byte 10 (fields.a)", "the number nan"),
    (with_value(field(4, 1, struct.pack("<d", float("-inf")))), "document 1, byte 10 (fields.a)", "the number -inf"),
    (with_value(field(4, 1, NAN[:4])), "document 1, byte 9 (fields.a)", "number of Value announces 8 bytes, and 4 are there"),
    (with_value(field(9, 0, b"\x00")), "document 1, byte 9 (fields.a)", "Value has no field 9"),
    (with_value(message(5, b"x"), message(6, b"x")), "document 1, byte 14 (fields.a)", "one kind, and this has text and binary"),
    (with_value(message(5, b"x"), message(5, b"x")), "document 1, byte 14 (fields.a)", "one kind, and this has text and text"),
    (with_value(message(5, b"\xed\xa0\x80")), "document 1, byte 11 (fields.a)", "not UTF-8"),
    (with_value(message(7, message(1), message(1, message(5, b"\xff")))), "document 1, byte 17 (fields.a[1])", "not UTF-8"),
    (with_value(message(7, message(2))), "document 1, byte 11 (fields.a)", "List has no field 2"),
    (
        with_value(*[message(7, message(1, message(7, message(1, message(7, message(1, message(7)))))))]),
        "document 1, byte",
        "deeper than 4",
    ),
    (document(message(3, message(1, b"a"), message(2))), "document 1, byte 0", "there is no such field"),
    (document(message(2, message(1, b"a"), message(2, message(2, b"")))), "document 1, byte 9 (meta.a)", "must be a number"),
]


@pytest.mark.parametrize(("body", "where", "reason"), REFUSED)
def test_a_refusal_names_the_place(body: bytes, where: str, reason: str) -> None:
    error = refused(body)
    assert error.where.startswith(where)
    assert reason in error.message


@pytest.mark.parametrize("body", [each for each, _, _ in REFUSED])
def test_what_a_length_announces_takes_no_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        refused(body)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_a_document_has_as_many_bytes_as_a_line() -> None:
    longest = body_of([Packet({"a": b"x" * 985})])
    assert len(longest) == 1000
    assert check(header(), longest * 3, LIMITS)[0] == in_chunks(longest * 3) == 3
    for body in (document() + body_of([Packet({"a": b"x" * 986})]), document() + body_of([Packet({"a": b"x" * 9000})])[:-1]):
        error = refused(body)
        assert (error.code, error.where) == ("ingest.line_too_long", "document 2")
    # which is known before it is there
    assert refused(document() + b"\x0a\xff\xff\xff\xff\x0f").code == "ingest.line_too_long"


def test_a_value_that_is_nested_beyond_all_frames_is_too_deep() -> None:
    value: Any = None
    body = b""
    for _ in range(2000):
        body = b"\x3a" + _varint(len(body)) + body
        body = b"\x0a" + _varint(len(body)) + body
    value = b"\x12" + _varint(len(body)) + body
    entry = b"\x0a\x01a" + value
    fields = b"\x0a" + _varint(len(entry)) + entry
    whole = b"\x0a" + _varint(len(fields)) + fields
    assert refused(whole, Limits(json_depth=100_000)).code in ("ingest.too_deep", "ingest.malformed")


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def test_documents_of_an_ordered_graph_are_known_by_their_ids() -> None:
    body = document(message(4, b"a")) + body_of([Packet({"id": 7})])
    seen = Survey(header(), True)
    assert check(header(), body, LIMITS, seen)[0] == 2
    assert seen.keys == pack_keys(map(key_of, ["a", "7"]))
    seen = Survey(header(), True)
    assert in_chunks(body, seen=seen) == 2
    assert seen.keys == pack_keys(map(key_of, ["a", "7"]))
    with pytest.raises(InvalidInput, match="document 2 has no id"):
        check(header(), document(message(4, b"a")) + document(), LIMITS, Survey(header(), True))


def test_documents_that_cannot_be_read_are_given_in_their_place() -> None:
    bad = [with_value(field(4, 1, NAN)), document(message(9)), document(b"\xff")]
    body = b"".join([document(), *bad, document()])
    seen = Survey(header(is_lenient=True), False)
    assert check(header(is_lenient=True), body, LIMITS, seen)[0] == 5
    assert seen.rejected == 3
    found = read(body, 5, is_lenient=True)
    assert [one.raw if isinstance(one, Unreadable) else one.get_attribute_names() for one in found] == [[], *bad, []]
    for broken in (document() + b"\x0a\x09a", document() + message(2)):
        with pytest.raises(BadRequest):
            check(header(is_lenient=True), broken, LIMITS, Survey(header(is_lenient=True), False))


@given(
    st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), min_size=1, max_size=9),
    st.dictionaries(st.text(max_size=5), values, max_size=3),
    st.integers(1, 90),
)
def test_what_the_library_writes_arrives(found: list[dict[str, Any]], meta: dict[str, Any], size: int) -> None:
    limits = Limits(json_depth=30)
    body = body_of([Packet.from_document(dict(fields), dict(meta)) for fields in found])
    assert records.check(PROTOBUF, body, limits) == len(found)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    got = [each for some in records.documents(PROTOBUF, pieces, limits) for each in some]
    for packet, fields in zip(got, found, strict=True):
        entries, metas, _ = packet.parts()
        assert (normal(entries), normal(metas or {})) == (normal(fields), normal(meta))


def normal(value: Any) -> str:
    """A value with its type; the library keeps entries of maps in an order of its own."""
    if isinstance(value, dict):
        return repr({key: normal(value[key]) for key in sorted(value)})
    return repr([*map(normal, value)]) if isinstance(value, list) else repr(value)
