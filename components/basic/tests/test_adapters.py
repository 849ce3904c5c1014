"""JSON, Text."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_basic.json_adapter import JSON
from pypes_basic.posted import Posted
from pypes_basic.text_adapter import Text

from .posting import posted

RUSSIAN = "Привет, это обычный русский текст. " * 20


class TestJSON(ComponentSuite):
    component = JSON

    def test_documents_and_deletions_pass(self) -> None:
        packets = [Packet.from_document({"a": [1, 2]}), Packet(meta={"requestmethod": "DELETE", "id": "7"})]
        assert run_component(JSON, packets).packets == packets

    @pytest.mark.parametrize(
        ("media_type", "data", "found"),
        [
            ("application/json", b'\xef\xbb\xbf{"a": [1, 2]}', [{"a": [1, 2]}]),
            ("application/ld+json", b"[]", []),
            ("application/x-ndjson", b'{"a": 1}\r\n\r\n{"a": 2}', [{"a": 1}, {"a": 2}]),
            ("application/json", b"\xff", "byte 0: not UTF-8"),
            ("application/json", b'[{"a": 1}, 2]', "element 2: a document is a JSON object"),
            ("application/x-ndjson", b'{"a": 1}\n{"a": }', "line 2: column 7: malformed JSON"),
            ("application/json", b'{"a": NaN}', "NaN is no JSON"),
            ("application/json", b"null", "a document is a JSON object; put the value into one"),
            ("application/json", b"[{}, 5]", "element 2: a document is a JSON object; put the value into one"),
            ("application/json", b'{"a": ' + b"9" * 20 + b"}", "more than 64 bits"),
            ("application/json", b'{"a": ' + b"9" * 9999 + b"}", "digits"),
        ],
    )
    def test_files(self, media_type: str, data: bytes, found: list[dict[str, Any]] | str) -> None:
        plain = Packet.from_document({"a": "beside it"})
        result = run_component(JSON, [Packet({"data": data}, {"mimetype": media_type}), plain])
        if isinstance(found, str):
            assert found in result.dead_letters[0].error
            assert result.packets == [plain]
        else:
            assert [packet.to_json()["fields"] for packet in result.packets] == [*found, {"a": "beside it"}]

    def test_a_field_of_bytes_is_no_file(self) -> None:
        packets = [
            Packet({"data": b"{}"}, {"mimetype": "application/vnd.pypes.packets+json"}),
            Packet({"data": b"{}", "title": "t"}, {"mimetype": "application/json"}),
            Packet({"data": "{}"}, {"mimetype": "application/json"}),
        ]
        assert run_component(JSON, packets).packets == packets


class TestPosted(ComponentSuite):
    component = Posted

    def test_everything_passes_as_it_is(self) -> None:
        packets = [
            Packet({"data": b"\x00\xff"}, {"mimetype": "application/pdf", "filename": "a.pdf"}),
            Packet.from_document({"title": "Ada", "tags": ["a", "b"]}, {"mimetype": "application/json"}),
        ]
        assert run_component(Posted, packets).packets == packets


class TestText(ComponentSuite):
    component = Text

    @pytest.mark.parametrize(
        ("data", "meta", "expected", "charset"),
        [
            (b"plain", {}, "plain", "utf-8"),
            ("grün".encode(), {}, "grün", "utf-8"),
            ("grün".encode("latin-1"), {"charset": "iso-8859-1"}, "grün", "windows-1252"),
            ("grün".encode("utf-8-sig"), {"charset": "iso-8859-1"}, "grün", "utf-8"),
            ("grün".encode("utf-16"), {}, "grün", "utf-16le"),
            (RUSSIAN.encode("cp1251"), {}, RUSSIAN, "windows-1251"),
            ("grün".encode(), {"charset": "no-such-charset"}, "grün", "utf-8"),
            (b"", {}, "", "utf-8"),
        ],
    )
    def test_character_sets(self, data: bytes, meta: dict[str, Any], expected: str, charset: str) -> None:
        (packet,) = run_component(Text, [posted(data, **meta)]).packets
        assert packet.get("text") == expected
        assert packet.get_meta("charset") == charset
        assert not packet.has("data")

    def test_a_text_over_the_limit_is_rejected(self) -> None:
        (failure,) = run_component(Text, [posted(b"x" * 11)], max_bytes=10).dead_letters
        assert failure.code == "text.too_large"

    def test_what_is_odd_about_a_character_set_is_said(self) -> None:
        (packet,) = run_component(Text, [posted(b"gr\xc3\xbcn \xff", charset="x-bogus")]).packets
        meta, _ = packet.get_metas()
        assert meta == {"charset": "utf-8", "charset_declared": "x-bogus", "charset_guessed": True, "replaced_characters": 1}
