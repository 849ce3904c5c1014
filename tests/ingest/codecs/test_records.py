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
from pypes.ingest.codecs import documents, records, scan
from pypes.ingest.codecs.msgpack import MSGPACK
from pypes.ingest.delivery import Header
from pypes.packet import Packet
from tests.ingest.codecs.conftest import uncompiled
from tests.ingest.codecs.test_msgpack import values

LIMITS = Limits(json_depth=4, line_bytes=1000)

if not scan.IS_COMPILED and not os.environ.get("CI"):
    pytest.skip("the compiled scan is missing: apt-get install gcc python3-dev, then make clean install", allow_module_level=True)


def careful(body: bytes) -> int | None:
    with uncompiled():
        try:
            return records.check(MSGPACK, body, LIMITS)
        except InvalidInput:
            return None


def agrees(body: bytes) -> None:
    found = careful(body)
    try:
        assert records.check(MSGPACK, body, LIMITS) == found, body
    except InvalidInput:
        assert found is None, body
    if found:
        assert decoded(body, found) == carefully_decoded(body, found)


def decoded(body: bytes, count: int) -> list[Any]:
    header = Header("g", content_type="application/msgpack", documents=count, length=len(body))
    found = [each for _, batch in documents(header, body, "r", 0.0, limits=LIMITS) for each in batch]
    return [each.to_json() for each in found if isinstance(each, Packet)]


def carefully_decoded(body: bytes, count: int) -> list[Any]:
    with uncompiled():
        return decoded(body, count)


def test_short_bodies_are_taken_alike_by_both_ways() -> None:
    alphabet = [0x00, 0x80, 0x81, 0x91, 0xA0, 0xA1, 0xC0, 0xC1, 0xC4, 0xCA, 0xD4, 0xD9, 0xDC, 0xDF, 0xE0, 0xFF]
    for length in range(1, 4):
        for body in itertools.product(alphabet, repeat=length):
            agrees(bytes(body))


def test_values_of_every_first_byte_are_taken_alike_by_both_ways() -> None:
    for first in range(256):
        for rest in (b"", b"\x00", b"\x00" * 20, b"\x01a" * 20, b"\xff" * 20, b"\x7f" * 20):
            agrees(b"\x81\xa1a" + bytes([first]) + rest)
            agrees(bytes([first]) + rest)


@given(st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), min_size=1, max_size=3), st.data())
def test_a_changed_body_is_taken_alike_by_both_ways(found: list[dict[str, Any]], data: st.DataObject) -> None:
    body = bytearray(b"".join(map(msgpack.packb, found)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    agrees(bytes(body))


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


def test_wrong_arguments_are_errors() -> None:
    for arguments in (("", 0, 1, 4, 9), (b"\x80", 0, 1, 4), (b"\x80", -1, 1, 4, 9), (b"\x80", 2, 1, 4, 9)):
        with pytest.raises((TypeError, ValueError)):
            scan.in_maps(*arguments)
    assert scan.in_maps(b"\x80", 0, -1, -1, -1) == (0, 0, False)
