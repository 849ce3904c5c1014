"""The compiled module takes of binary bodies what the careful way takes, and nothing else."""

from __future__ import annotations

import itertools
import os
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.limits import MIB, Limits
from pypes.errors import InvalidInput
from pypes.ingest.codecs import records, scan
from pypes.ingest.codecs.msgpack import MSGPACK
from pypes.ingest.codecs.protobuf import PROTOBUF
from pypes.ingest.codecs.records import Form
from pypes.packet import Packet
from pypes.protobuf import body_of
from tests.ingest.codecs.conftest import uncompiled
from tests.ingest.codecs.test_msgpack import values

LIMITS = Limits(json_depth=4, line_bytes=1000)

if not scan.IS_COMPILED and not os.environ.get("CI"):
    pytest.skip("the compiled scan is missing: apt-get install gcc python3-dev, then make clean install", allow_module_level=True)


def careful(form: Form, body: bytes, limits: Limits = LIMITS) -> int | None:
    with uncompiled():
        try:
            return records.check(form, body, limits)
        except InvalidInput:
            return None


def agrees(form: Form, body: bytes) -> None:
    """Both ways take a body alike, and read the same."""
    found = careful(form, body)
    try:
        assert records.check(form, body, LIMITS) == found, body
    except InvalidInput:
        assert found is None, body
    if found:
        with uncompiled():
            carefully = decoded(form, body)
        assert decoded(form, body) == carefully


def decoded(form: Form, body: bytes) -> list[Any]:
    """Repr tells -0.0 from 0."""
    found = [each for some in records.documents(form, [body], LIMITS) for each in some]
    return [repr(each.to_json() if isinstance(each, Packet) else each) for each in found]


@pytest.mark.parametrize(
    ("form", "alphabet"),
    [
        (MSGPACK, [0x00, 0x80, 0x81, 0x91, 0xA0, 0xA1, 0xC0, 0xC1, 0xC4, 0xCA, 0xD4, 0xD9, 0xDC, 0xDF, 0xE0, 0xFF]),
        (PROTOBUF, [0x00, 0x01, 0x02, 0x03, 0x05, 0x08, 0x0A, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x80, 0xFF]),
    ],
)
def test_short_bodies_are_taken_alike_by_both_ways(form: Form, alphabet: list[int]) -> None:
    for length in range(1, 4):
        for body in itertools.product(alphabet, repeat=length):
            agrees(form, bytes(body))
            if form is PROTOBUF:
                inner = bytes(body)
                agrees(form, b"\x0a" + bytes([length]) + inner)
                agrees(
                    form,
                    b"\x0a" + bytes([7 + length]) + b"\x0a" + bytes([5 + length]) + b"\x0a\x01a\x12" + bytes([length]) + inner,
                )


def test_values_of_every_first_byte_are_taken_alike_by_both_ways() -> None:
    for first in range(256):
        for rest in (b"", b"\x00", b"\x00" * 20, b"\x01a" * 20, b"\xff" * 20, b"\x7f" * 20):
            agrees(MSGPACK, b"\x81\xa1a" + bytes([first]) + rest)
            agrees(MSGPACK, bytes([first]) + rest)
            agrees(PROTOBUF, bytes([first]) + rest)
            value = bytes([first]) + rest
            entry = b"\x0a\x01a\x12" + bytes([len(value)]) + value
            agrees(PROTOBUF, b"\x0a" + bytes([len(entry) + 2]) + b"\x0a" + bytes([len(entry)]) + entry)


@given(st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), min_size=1, max_size=3), st.data())
def test_a_changed_body_is_taken_alike_by_both_ways(found: list[dict[str, Any]], data: st.DataObject) -> None:
    written = b"".join(map(msgpack.packb, found)), body_of(map(_described, found))
    for form, whole in zip((MSGPACK, PROTOBUF), written, strict=True):
        body = bytearray(whole)
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(body)))
            body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        agrees(form, bytes(body))


def test_fields_of_a_message_count_as_they_stand() -> None:
    field, meta, id, deletion = b"\x0a\x05\x0a\x01a\x12\x00", b"\x12\x03\x0a\x01b", b"\x22\x01c", b"\x28\x01"
    about = b"\x1a\x05\x0a\x01a\x12\x00"
    for parts in itertools.permutations([field, meta, id, deletion, about]):
        for count in range(6):
            body = b"".join(parts[:count])
            agrees(PROTOBUF, b"\x0a" + bytes([len(body)]) + body)


def test_other_threads_run_beside_a_large_body_and_nothing_is_kept_of_it() -> None:
    body = bytearray(msgpack.packb({"a": "x" * MIB}))
    assert scan.in_maps(body, 0, len(body), 4, 2 * MIB) == (1, len(body), False)
    body.clear()  # raises while somebody looks at it


def test_documents_are_counted_as_far_as_is_wanted() -> None:
    body = b"\x80" * 10 + b"\x81"
    assert scan.in_maps(body, 0, 4, 4, 100) == (4, 4, False)
    assert scan.in_maps(body, 4, 100, 4, 100) == (6, 10, True)
    assert scan.in_maps(body, 0, 100, 0, 100) == (0, 0, False)
    assert scan.in_maps(body, 0, 100, 4, 0) == (0, 0, False)
    assert scan.in_maps(body, 11, 100, 4, 100) == (0, 11, False)


def _described(fields: dict[str, Any]) -> Packet:
    packet = Packet.from_document(fields, {"a": 1})
    for name in [*fields][:2]:
        packet.set_meta("language", ["en", {"b": None}], name)
    return packet


@pytest.mark.parametrize(
    ("names", "is_plain"),
    [(["a"], True), (["b", "a", "b"], True), (["c"], False), (["a", ""], False), (["a", "pypes"], True)],
)
def test_metadata_of_fields_is_plain_if_the_fields_are_there(names: list[str], is_plain: bool) -> None:
    def entry(tag: int, key: str, value: bytes) -> bytes:
        inner = b"\x0a" + bytes([len(key)]) + key.encode() + b"\x12" + bytes([len(value)]) + value
        return bytes([tag, len(inner)]) + inner

    fields = b"".join(entry(0x0A, name, b"") for name in ("a", "b", "pypes"))
    for key, is_usual in (("language", True), ("pypes", False), ("", True)):
        about = b"".join(entry(0x1A, name, entry(0x0A, key, b"\x08\x01")) for name in names)
        body = b"\x0a" + bytes([len(fields + about)]) + fields + about
        assert len(body) < 130
        agrees(PROTOBUF, body)
        assert scan.in_messages(body, 0, len(body), 4, 1000)[0] == int(is_plain and is_usual)
    empty = b"\x0a" + bytes([len(fields) + 7]) + fields + entry(0x1A, "a", b"")
    agrees(PROTOBUF, empty)
    deep = fields + entry(0x1A, "a", entry(0x0A, "l", b"\x3a\x06\x0a\x04\x3a\x02\x0a\x00"))
    for levels in range(1, 7):
        limits = Limits(json_depth=levels)
        whole = b"\x0a" + bytes([len(deep)]) + deep
        assert scan.in_messages(whole, 0, len(whole), levels, 1000)[0] == int(careful(PROTOBUF, whole, limits) is not None)


def test_more_names_than_are_looked_through_are_left_to_the_careful_way() -> None:
    packet = Packet({f"f{n}": n for n in range(200)})
    for n in range(200):
        packet.set_meta("n", n, f"f{n}")
    body = body_of([packet])
    assert scan.in_messages(body, 0, len(body), 4, MIB)[0] == 0
    limits = Limits()
    (found,) = [each for some in records.documents(PROTOBUF, [body], limits) for each in some]
    assert found == packet


def test_messages_become_as_many_as_are_announced() -> None:
    body = b"\x0a\x00" * 3
    assert scan.in_messages(body, 0, 6, 4, 100) == (3, 6, False)
    assert scan.in_messages(body + b"\x0a", 0, 7, 4, 100) == (3, 6, True)
    assert scan.as_msgpack(body, 2, 6, 2) == scan.as_msgpack(body, 0, 4, 2)
    for arguments in (
        (body, 0, 5, 3),
        (body, 0, 7, 3),
        (body, 3, 2, 1),
        (body, -1, 2, 1),
        (body, 0, 6, -1),
        (b"\x0b\x00", 0, 2, 1),
    ):
        with pytest.raises(ValueError):
            scan.as_msgpack(*arguments)
    # more of them than were announced need more room than there is
    with pytest.raises(ValueError):
        scan.as_msgpack(b"\x0a\x02\x28\x01" * 50, 0, 200, 0)


def test_wrong_arguments_are_errors() -> None:
    for arguments in (("", 0, 1, 4, 9), (b"\x80", 0, 1, 4), (b"\x80", -1, 1, 4, 9), (b"\x80", 2, 1, 4, 9)):
        with pytest.raises((TypeError, ValueError)):
            scan.in_maps(*arguments)
    assert scan.in_maps(b"\x80", 0, -1, -1, -1) == (0, 0, False)
