"""JSON, Text."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_basic.json_adapter import JSON
from pypes_basic.text_adapter import Text
from tests.components.posting import posted

RUSSIAN = "Привет, это обычный русский текст. " * 20


class TestJSON(ComponentSuite):
    component = JSON

    def test_documents_and_deletions_pass(self) -> None:
        packets = [Packet.from_document({"a": [1, 2]}), Packet(meta={"requestmethod": "DELETE", "id": "7"})]
        assert run_component(JSON, packets).packets == packets


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
