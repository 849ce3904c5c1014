"""MessagePack bodies: as JSON, with bytes, read with the compiled module and without; hostile ones, too."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest, InvalidInput, TooLarge
from pypes.ingest.codecs import Checker, Survey, Unreadable, check, documents, records
from pypes.ingest.codecs.msgpack import MSGPACK, timestamp
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import key_of, pack_keys
from pypes.packet import Packet

pytestmark = pytest.mark.usefixtures("both_ways")

LIMITS = Limits(json_depth=4, line_bytes=1000, wave_packets=3)
ADA = {"id": "ada", "born": 1815, "tags": ["a", {"b": None}], "portrait": b"\x89PNG", "score": -0.5, "is_known": True}


def header(**fields: Any) -> Header:
    return Header("g", content_type="application/msgpack", **fields)


def counted(body: bytes, limits: Limits = LIMITS, seen: Survey | None = None, **fields: Any) -> int:
    """Documents of a body, the same whole and in chunks."""
    whole, kept = check(header(**fields), body, limits, seen)
    assert kept == body
    assert _in_chunks(Checker(header(**fields), limits, None if seen is None else Survey(header(**fields), True)), body) == whole
    return whole


def _in_chunks(checker: Checker, body: bytes) -> int:
    for at in range(0, len(body), 3):
        checker.feed(body[at : at + 3])
    return checker.finish()


def refused(body: bytes, limits: Limits = LIMITS, **fields: Any) -> InvalidInput:
    """The refusal of a body, with the same code whole and in chunks."""
    with pytest.raises((BadRequest, TooLarge)) as whole:
        check(header(**fields), body, limits)
    with pytest.raises((BadRequest, TooLarge)) as chunked:
        _in_chunks(Checker(header(**fields), limits), body)
    assert chunked.value.code == whole.value.code
    return whole.value


def batches(body: bytes, limits: Limits = LIMITS, **fields: Any) -> Iterator[tuple[str, Any]]:
    return documents(header(length=len(body), **fields), body, "r", 0.0, limits=limits)


def read(body: bytes, limits: Limits = LIMITS, **fields: Any) -> list[Packet]:
    return [packet for _, batch in batches(body, limits, **fields) for packet in batch]


@pytest.mark.parametrize("body", [b"\x80", msgpack.packb(ADA), b"\x91" + msgpack.packb(ADA)])
def test_a_map_is_a_document(body: bytes) -> None:
    assert counted(body) == 1


@pytest.mark.parametrize(
    "body",
    [
        msgpack.packb([ADA] * 20),
        msgpack.packb(ADA) * 20,
        b"\xdc\x00\x14" + msgpack.packb(ADA) * 20,
        b"\xdd\x00\x00\x00\x14" + msgpack.packb(ADA) * 20,
    ],
)
def test_maps_of_an_array_and_maps_in_a_row_are_documents(body: bytes) -> None:
    assert counted(body) == 20
    found = read(body, documents=20)
    assert [packet.get_metas()[0]["mimetype"] for packet in found] == ["application/json"] * 20
    assert found[19].to_json()["fields"] == Packet(ADA).to_json()["fields"]
    assert found[19]["portrait"] == b"\x89PNG"
    assert found[19].is_multivalued("tags")
    assert [len(batch) for _, batch in batches(body, documents=20)] in ([3] * 6 + [2], [1] * 20)


@pytest.mark.parametrize("kind", ["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"])
def test_all_names_of_the_type_are_known(kind: str) -> None:
    assert check(Header("g", content_type=kind), msgpack.packb([ADA, ADA]), LIMITS)[0] == 2


def test_bytes_alone_are_no_file_that_is_json() -> None:
    found = [{"data": b"{}"}, {"data": "{}"}, {"data": b"{}", "n": 1}]
    types = ["application/vnd.pypes.packets+json", "application/json", "application/json"]
    for is_lenient in (False, True):
        packets = read(msgpack.packb(found), documents=3, is_lenient=is_lenient)
        assert [packet.get_meta("mimetype") for packet in packets] == types


def test_integers_have_64_bits() -> None:
    values = [0, 127, 128, 255, 256, 2**16, 2**32, 2**63, 2**64 - 1, -1, -32, -33, -128, -129, -(2**15), -(2**31), -(2**63)]
    (packet,) = read(msgpack.packb({"n": values}))
    assert packet["n"] == values


def test_texts_and_bytes_of_all_lengths_arrive() -> None:
    value: dict[str, Any] = {name: name * length for length in (0, 1, 31, 32, 255, 256, 65535, 65536) for name in ("é", "a")}
    value |= {f"{name}{length}": [b"x" * length] for length in (0, 255, 256, 65536) for name in ("x",)}
    assert counted(msgpack.packb(value), Limits()) == 1
    assert read(msgpack.packb(value), Limits())[0].to_json() == Packet.from_document(dict(value)).to_json() | {
        "meta": read(msgpack.packb(value), Limits())[0].to_json()["meta"]
    }


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (msgpack.Timestamp(0), "1970-01-01T00:00:00Z"),
        (msgpack.Timestamp(1_700_000_000, 5), "2023-11-14T22:13:20.000000005Z"),
        (msgpack.Timestamp(2**34, 999_999_999), "2514-05-30T01:53:04.999999999Z"),
        (msgpack.Timestamp(-1), "1969-12-31T23:59:59Z"),
        (msgpack.Timestamp(-62135596800), "0001-01-01T00:00:00Z"),
    ],
)
def test_a_timestamp_becomes_text(sent: Any, text: str) -> None:
    body = msgpack.packb({"at": sent, "all": [sent, 1]})
    assert counted(body) == 1
    assert read(body)[0]["at"] == text
    assert read(body)[0]["all"] == [text, 1]


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\xff" * 8, struct.pack(">Iq", 0, 2**62), struct.pack(">Iq", 0, -(2**62)), struct.pack(">Iq", 10**9, 0)]
)
def test_what_is_no_time_has_no_text(data: bytes) -> None:
    assert timestamp(data) is None
    assert refused(b"\x81\xa1a\xc7" + bytes([len(data)]) + b"\xff" + data).code == "ingest.malformed"


NAN = msgpack.packb(float("nan"))
REFUSED = [
    (b"\xc1", "document 1, byte 0", "0xC1 begins no value"),
    (b"\x81\xa1a", "document 1, byte 3", "in the middle of a value"),
    (b"\x81\xa1a\xc1", "document 1, byte 3 (a)", "0xC1"),
    (msgpack.packb(ADA)[:-1], "document 1, byte", "in the middle of"),
    (b"\x80" + msgpack.packb(ADA)[:-3], "document 2, byte", "in the middle of"),
    (b"\x81\x01\x02", "document 1, byte 1", "the key of a map must be text, not a number"),
    (b"\x81\x81\x80\x80\x02", "document 1, byte 2", "the key of a map must be text, not a map"),
    (b"\x81\xc4\x01a\x02", "document 1, byte 1", "the key of a map must be text, not bytes"),
    (b"\x81\xa1a\x81\xc0\x01", "document 1, byte 4 (a)", "not nil"),
    (b"\x80\x81\xa1a\x92\x01" + NAN, "document 2, byte 6 (a[1])", "the number nan"),
    (b"\x81\xa1a\xca\x7f\x80\x00\x00", "document 1, byte 3 (a)", "the number inf"),
    (b"\x81\xa1a\xcb\xff\xf0" + b"\x00" * 6, "document 1, byte 3 (a)", "the number -inf"),
    (b"\x81\xa1a\xa2\xc3(", "document 1, byte 3 (a)", "not UTF-8"),
    (b"\x81\xa1a\xa3\xed\xa0\x80", "document 1, byte 3 (a)", "not UTF-8"),
    (b"\x81\xa1\xff\x01", "document 1, byte 1", "not UTF-8"),
    (b"\x81\xa1a\xd4\x05\x00", "document 1, byte 3 (a)", "an extension of type 5 with 1 bytes"),
    (b"\x81\xa1a\xc9\x00\x00\x00\x01\x80\x00", "document 1, byte 3 (a)", "an extension of type -128"),
    (b"\x05", "document 1", "is not a map"),
    (b"\x92\x80\xa1a", "document 2", "is not a map"),
    (b"\x80\x91\x80", "document 2", "is not a map"),
    (b"\x92\x80", "document 2", "announces 2 documents, and ends after 1"),
    (b"\x91\x80\x80", "document 2", "announces 1 documents, and more bytes follow"),
    (b"\xdc\x00", "document 1, byte 2", "in the middle of a length"),
    (b"\x81\xa1a\x91\x91\x91\x91\x01", "document 1, byte 6", "deeper than 4 levels"),
    (b"\x81\xa1a" + b"\x91" * 900, "document 1, byte 6", "deeper than 4 levels"),
    (b"\xdf\xff\xff\xff\xff", "document 1, byte 5", "in the middle of a value"),
    (b"\xdd\xff\xff\xff\xff", "document 1", "announces 4294967295 documents, and ends after 0"),
    (b"\x81\xa1a\xdd\xff\xff\xff\xff\x01", "document 1, byte 9", "in the middle of a value"),
    (b"\x81\xdb\xff\xff\xff\xffa", "document 1, byte 7", "in the middle of a text of 4294967295 bytes"),
    (b"\x81\xa1a\xc6\xff\xff\xff\xffa", "document 1, byte 9", "in the middle of 4294967295 bytes"),
    (b"\x81\xa1a\xc9\xff\xff\xff\xff\x01a", "document 1, byte 10", "in the middle of an extension of 4294967295 bytes"),
]


@pytest.mark.parametrize(("body", "where", "reason"), REFUSED)
def test_a_refusal_names_the_place(body: bytes, where: str, reason: str) -> None:
    error = refused(body)
    assert error.where.startswith(where)
    assert reason in error.message


@pytest.mark.parametrize("body", [b"", b"\x90"])
def test_a_body_without_documents_is_refused(body: bytes) -> None:
    assert refused(body).code in ("ingest.empty", "ingest.not_documents")


@pytest.mark.parametrize("body", [each for each, _, _ in REFUSED])
def test_what_a_length_announces_takes_no_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        refused(body, Limits(json_depth=4))
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_a_document_has_as_many_bytes_as_a_line() -> None:
    longest = msgpack.packb({"a": b"x" * 994})
    assert len(longest) == 1000
    assert counted(longest * 5) == 5
    for body in (b"\x80" + msgpack.packb({"a": b"x" * 995}), b"\x80" + msgpack.packb({"a": b"x" * 5000})[:-1]):
        error = refused(body)
        assert (error.code, error.where) == ("ingest.line_too_long", "document 2")


def test_only_what_is_no_whole_document_is_kept() -> None:
    checker = records.Checker(MSGPACK, Limits())
    whole = msgpack.packb({"a": "x" * 1000})
    for _ in range(100):
        checker.feed(whole + whole[:100])
        assert checker.held_bytes <= 2 * 100
        checker.feed(whole[100:])
    assert checker.finish() == 200


def test_documents_of_an_ordered_graph_are_known_by_their_ids() -> None:
    seen = Survey(header(), True)
    assert counted(msgpack.packb([{"id": "a"}, {"id": 7}]), seen=seen) == 2
    assert seen.keys == pack_keys(map(key_of, ["a", "7"]))
    with pytest.raises(InvalidInput, match="document 2 has no id"):
        check(header(), msgpack.packb({"id": "a"}) + b"\x80", LIMITS, Survey(header(), True))


def test_documents_that_cannot_be_read_are_given_in_their_place() -> None:
    bad = [b"\x81\xa1a" + NAN, b"\x81\x01\x80", b"\x01", b"\xd9\x02\xff\xff", b"\x81\xa1a" + b"\x91" * 9 + b"\xd6\xff1234"]
    parts = [b"\x80", *bad[:2], b"\x80", *bad[2:], b"\x80"]
    for body in (b"".join(parts), bytes([0x90 + len(parts)]) + b"".join(parts)):
        fields: dict[str, Any] = {"is_lenient": True, "documents": 8}
        seen = Survey(header(**fields), False)
        assert check(header(**fields), body, LIMITS, seen)[0] == 8
        assert seen.rejected == 5
        found = [(kind, one) for kind, batch in batches(body, **fields) for one in batch]
        assert [isinstance(one, Unreadable) for _, one in found] == [False, True, True, False, True, True, True, False]
        assert [one.raw for _, one in found if isinstance(one, Unreadable)] == bad
        assert {kind for kind, one in found if isinstance(one, Unreadable)} == {"application/msgpack"}
        assert all("document" in one.where for _, one in found if isinstance(one, Unreadable))


def test_what_ends_nowhere_is_refused_as_a_whole() -> None:
    for body in (b"\x80\xc1", b"\x80\x81\x01", b"\x80\x81\xa1a\xc1"):
        with pytest.raises(BadRequest):
            check(header(is_lenient=True), body, LIMITS, Survey(header(is_lenient=True), False))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
    max_leaves=10,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), min_size=1, max_size=20), st.integers(1, 90))
@example([{"a": -0.0, "b": 5e-324}], 1)
def test_what_the_library_writes_arrives(found: list[dict[str, Any]], size: int) -> None:
    limits = Limits(json_depth=20)
    for body in (msgpack.packb(found), b"".join(map(msgpack.packb, found)), msgpack.packb(found, use_single_float=False)):
        assert records.check(MSGPACK, body, limits) == len(found)
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        got = [each for some in records.documents(MSGPACK, pieces, limits) for each in some]
        # repr tells -0.0 from 0, and 1.0 from 1
        assert repr(got) == repr(found)
