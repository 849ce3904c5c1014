"""Fingerprints tell contents apart by value, type and place, and nothing else."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import pytest

from pypes import Packet
from pypes.packet import Body
from pypes_basic.fingerprint import fingerprint


class Large(Body):
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)

    def read(self) -> bytes:
        return self.data


def with_several() -> Packet:
    packet = Packet({"a": 1})
    packet.append("a", 2)
    return packet


def with_meta(attr: str | None, **meta: Any) -> Packet:
    packet = Packet({"a": 1})
    for name, value in meta.items():
        packet.set_meta(name, value, attr)
    return packet


DIFFERENT = [
    *(Packet({"a": value}) for value in (1, 1.0, True, "1", b"1", None, "", {}, {"1": 1}, -0.0, 0.0)),
    Packet(),
    Packet({"b": 1}),
    Packet({"a": 1, "b": None}),
    Packet({"a": "1b", "b": ""}),
    Packet({"a": "1", "b": "b"}),
    Packet.from_document({"a": [[1]]}),
    Packet({"a": [[1]]}),
    with_several(),
    Packet({"a": {"b": 1, "c": [2]}}),
    Packet({"a": {"b": [2], "c": 1}}),
    Packet({"a": Large(b"1")}),
    Packet({"a": Large(b"2" * 3_000_000)}),
    with_meta("a", language="en"),
    with_meta("a", language="de"),
]


def test_all_of_these_differ() -> None:
    assert len({fingerprint(packet) for packet in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize("packet", DIFFERENT)
def test_a_clone_is_the_same(packet: Packet) -> None:
    assert fingerprint(packet.clone()) == fingerprint(packet)
    assert len(fingerprint(packet)) == 16


def test_an_object_is_the_same_as_itself_at_most() -> None:
    one, other = object(), object()  # at the same time, or they might have the same address
    assert fingerprint(Packet({"a": one})) != fingerprint(Packet({"a": other}))


def test_the_order_of_fields_and_keys_does_not_matter() -> None:
    one = Packet({"a": {"x": 1, "y": {"u": 1, "v": 2}}, "b": 2})
    assert fingerprint(one) == fingerprint(Packet({"b": 2, "a": {"y": {"v": 2, "u": 1}, "x": 1}}))


def test_chosen_fields_and_metadata_count() -> None:
    packet, other = Packet({"a": 1, "b": 2}, {"acl": "x", "receipt": "r"}), Packet({"a": 1, "b": 3}, {"acl": "y", "receipt": "s"})
    assert fingerprint(packet, ["a"]) == fingerprint(other, ["a"])
    assert fingerprint(packet, omit=["b"]) == fingerprint(other, omit=["b"])
    assert fingerprint(packet, ["a", "b"], ["b"]) == fingerprint(other, ["a", "b"], ["b"])
    assert fingerprint(packet, ["b"]) != fingerprint(other, ["b"])
    assert fingerprint(packet, ["a"], meta=["acl"]) != fingerprint(other, ["a"], meta=["acl"])
    assert fingerprint(packet, ["a", "none"]) == fingerprint(packet, ["none", "a"])


def test_what_was_once_hashed_is_hashed_alike_in_every_process() -> None:
    """Another value here means that all that is remembered is forgotten."""
    packet = Packet({"id": "1", "text": "Ada", "n": [1, 2.5, None]}, {"acl": "x"})
    assert fingerprint(packet, meta=["acl"]).hex() == "5b80a0b6021aab7ec933210b9482dea8"


def test_the_filter_that_set_a_field_does_not_matter() -> None:
    one, other = Packet({"a": 1}), Packet({"a": 1})
    other.set_meta("set_by", "g@2 x X", "a")
    assert fingerprint(one) == fingerprint(other)
    other.set_meta("language", "en", "a")
    assert fingerprint(one) != fingerprint(other)
