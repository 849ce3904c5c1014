"""Packet: the JSON form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from pypes.errors import InvalidInput
from pypes.packet import Packet
from tests.packets import Bytes, looks, packets


class TestJson:
    @given(packets())
    def test_what_was_written_is_read_again(self, packet: Packet) -> None:
        again = Packet.from_json(json.loads(json.dumps(packet.to_json())))
        assert looks(again) == looks(packet)
        assert again.to_json() == packet.to_json()

    def test_form(self) -> None:
        packet = Packet.from_document({"title": "x", "tags": ["a"], "nested": {"k": [1]}, "none": None}, {"route": "r"})
        packet.set("list", [1, 2])
        packet.set("data", b"\x00\xff")
        packet.set_meta("lang", "en", "title")
        assert packet.to_json() == {
            "fields": {"title": "x", "tags": ["a"], "nested": {"k": [1]}, "none": None, "list": [[1, 2]], "data": "AP8="},
            "meta": {"route": "r"},
            "field_meta": {"title": {"lang": "en"}, "list": {"pypes": {"multi": False}}, "data": {"pypes": {"base64": True}}},
        }

    def test_binary_values_are_found_wherever_they_are(self) -> None:
        packet = Packet()
        packet.set("all", [b"a", b"b"], multi=True)
        packet.set("some", ["a", b"b"], multi=True)
        packet.set("deep", {"k": [1, b"c"]})
        packet.set("body", Bytes(b"from a file"))
        again = Packet.from_json(json.loads(json.dumps(packet.to_json())))
        assert again.get("all") == [b"a", b"b"]
        assert again.get("some") == ["a", b"b"]
        assert again.get("deep") == {"k": [1, b"c"]}
        assert again.get("body") == b"from a file"
        assert again.get_metas() == ({}, {})

    def test_base64_of_all_values_may_be_said_in_short(self) -> None:
        packet = Packet.from_json({"fields": {"a": ["eA==", "eQ=="]}, "field_meta": {"a": {"pypes": {"base64": True}}}})
        assert packet.get("a") == [b"x", b"y"]

    def test_parts_may_be_left_out(self) -> None:
        assert Packet.from_json({}) == Packet()

    @pytest.mark.parametrize(
        ("obj", "where"),
        [
            ([], ""),
            ({"field": {}}, "field"),
            ({"fields": [1]}, "fields"),
            ({"fields": {}, "meta": [1]}, "meta"),
            ({"fields": {"a": 1}, "field_meta": {"a": 1}}, "field_meta.a"),
            ({"fields": {}, "field_meta": {"a": {}}}, "field_meta.a"),
            ({"fields": {"a": 1}, "field_meta": {"a": {"pypes": 1}}}, "field_meta.a.pypes"),
            ({"fields": {"a": 1}, "field_meta": {"a": {"pypes": {"base64": True}}}}, "field_meta.a.pypes.base64"),
            ({"fields": {"a": "*"}, "field_meta": {"a": {"pypes": {"base64": True}}}}, "field_meta.a.pypes.base64"),
            ({"fields": {"a": "x"}, "field_meta": {"a": {"pypes": {"base64": [[3]]}}}}, "field_meta.a.pypes.base64"),
            ({"fields": {"a": "x"}, "field_meta": {"a": {"pypes": {"base64": 7}}}}, "field_meta.a.pypes.base64"),
        ],
    )
    def test_what_is_malformed_is_refused_with_its_place(self, obj: Any, where: str) -> None:
        with pytest.raises(InvalidInput) as raised:
            Packet.from_json(obj)
        assert (raised.value.code, raised.value.where) == ("packet.malformed", where)

    @pytest.mark.parametrize("obj", [None, True, 5, "x", []])
    def test_a_refusal_speaks_of_json_and_not_of_python(self, obj: Any) -> None:
        with pytest.raises(InvalidInput, match=r"^a packet is a JSON object with fields, meta and field_meta$"):
            Packet.from_json(obj)
