"""JSON, CSV, Text."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import pytest

from pypes.packet import Body, Packet
from pypes.testing import ComponentSuite, Result, run_component
from pypes_basic.csv_adapter import CSV
from pypes_basic.json_adapter import JSON
from pypes_basic.text_adapter import Text

RUSSIAN = "Привет, это обычный русский текст. " * 20


def posted(data: Any, **meta: Any) -> Packet:
    """A packet as the server makes it of a body."""
    return Packet.from_document({"data": data}, meta)


def rows(result: Result) -> list[dict[str, Any]]:
    assert not result.dead_letters, result.dead_letters
    return [{name: packet.get(name) for name in packet.get_attribute_names()} for packet in result.packets]


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


class TestCSV(ComponentSuite):
    component = CSV

    def test_rows_become_packets(self) -> None:
        result = run_component(CSV, [posted(b"id,name\r\n1,Ada\r\n2,Grace\r\n", mimetype="text/csv", route="people")])
        assert rows(result) == [{"id": "1", "name": "Ada"}, {"id": "2", "name": "Grace"}]
        assert [packet.get_meta("row") for packet in result.packets] == [1, 2]
        assert {packet.get_meta("route") for packet in result.packets} == {"people"}

    @pytest.mark.parametrize(
        ("data", "meta", "params", "expected"),
        [
            (b"a;b\n1;2,5\n", {}, {}, [{"a": "1", "b": "2,5"}]),
            (b"a\tb\n1\t2;3\n", {"mimetype": "text/tab-separated-values"}, {}, [{"a": "1", "b": "2;3"}]),
            (b"a|b\n1|2\n", {}, {}, [{"a": "1", "b": "2"}]),
            (b"1~2\n", {}, {"delimiter": "~", "columns": ["a", "b"]}, [{"a": "1", "b": "2"}]),
            (b'a,b\n"x\ny","say ""hi"""\n', {}, {}, [{"a": "x\ny", "b": 'say "hi"'}]),
            (b"a,b\n1\n\n1,2,3,4\n", {}, {}, [{"a": "1"}, {"a": "1", "b": "2", "column_3": "3", "column_4": "4"}]),
            (b"tag,tag,tag\nx,y,z\n", {}, {}, [{"tag": ["x", "y", "z"]}]),
            (b" a ,\n1,2\n", {}, {}, [{"a": "1", "column_2": "2"}]),
            ("n\ngrün\n".encode("utf-8-sig"), {}, {}, [{"n": "grün"}]),
            ("n\ngrün\n".encode("utf-16"), {}, {}, [{"n": "grün"}]),
            ("n\ngrün\n".encode("cp1252"), {"charset": "windows-1252"}, {}, [{"n": "grün"}]),
            (b"a,b\n", {}, {}, []),
            (b"", {}, {}, []),
        ],
    )
    def test_forms(self, data: bytes, meta: dict[str, Any], params: dict[str, Any], expected: list[dict[str, Any]]) -> None:
        assert rows(run_component(CSV, [posted(data, **meta)], **params)) == expected

    def test_rows_of_a_document_with_an_id_have_ids_of_their_own(self) -> None:
        result = run_component(CSV, [posted(b"a\n1\n2\n", id="doc")])
        assert [packet.get_meta("id") for packet in result.packets] == ["doc/1", "doc/2"]

    def test_it_streams(self) -> None:
        class Long(Body):
            """Ten megabytes that are made while they are read, and know how much of them was asked for since they were opened."""

            size = 10**7
            taken = 0

            def open(self) -> BinaryIO:
                self.taken = 0
                return io.BufferedReader(_Rows(self))

            def read(self) -> bytes:
                raise AssertionError("the body was read whole")

        body = Long()
        packets = run_component(_FirstRows, [posted(body)]).packets
        assert len(packets) == 5
        assert body.taken < 10**6

    def test_an_open_quote_is_rejected_and_names_the_line(self) -> None:
        result = run_component(CSV, [posted(b'a,b\n1,2\n3,"' + b"x" * 200_000)])
        (failure,) = result.dead_letters
        assert failure.code == "csv.malformed"
        assert "line 3" in failure.error
        assert len(result.packets) == 1

    @pytest.mark.parametrize("charset", ["ascii", "no-such"])
    def test_a_character_set_that_shows_far_down_is_that_of_the_whole_table(self, charset: str) -> None:
        data = b"gr\xfcn\n" if charset == "ascii" else b"a\n"
        result = run_component(CSV, [posted(data + b"x\n" * 40_000 + b"caf\xe9\n", charset=charset)])
        assert (rows(result)[-1], result.dead_letters) == ({data.decode("cp1252").strip(): "café"}, ())
        assert {packet.get_meta("charset") for packet in result.packets} == {"windows-1252"}

    def test_a_damaged_byte_far_down_fails_the_whole_table(self) -> None:
        result = run_component(CSV, [posted(b"a\n" + b"x\n" * 40_000 + "grün".encode() + b"\xff\n", charset="utf-8")])
        (failure,) = result.dead_letters
        assert (failure.code, result.packets) == ("csv.charset", [])
        assert "byte 80007" in failure.error

    def test_a_character_set_that_shows_far_down_is_found_out(self) -> None:
        result = run_component(CSV, [posted(b"a\n" + b"x\n" * 40_000 + "café\nnaïve\n".encode("latin-1"))])
        assert [row["a"] for row in rows(result)[-2:]] == ["café", "naïve"]
        assert not result.dead_letters

    @pytest.mark.parametrize("data", [b"a\nna\xc3", "a\nb".encode("utf-16")[:-1]])
    def test_a_table_that_ends_within_a_character_fails_as_a_whole(self, data: bytes) -> None:
        result = run_component(CSV, [posted(data, charset="utf-8") if data[0] == 97 else posted(data)])
        assert ([failure.code for failure in result.dead_letters], result.packets) == (["csv.charset"], [])


class _Rows(io.RawIOBase):
    def __init__(self, body: Any) -> None:
        self.body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = (b"a,b\n" * (len(buffer) // 4 + 1))[: min(len(buffer), self.body.size - self.body.taken)]
        buffer[: len(chunk)] = chunk
        self.body.taken += len(chunk)
        return len(chunk)


class _FirstRows(CSV):
    """CSV that stops after five rows: what it has not read by then it must not have taken."""

    def process(self, packet: Packet) -> None:
        taken = 0
        forward = self.send

        class Enough(Exception):
            pass

        def send(port: str, data: Any) -> bool:
            nonlocal taken
            if taken == 5:
                raise Enough
            taken += 1
            return forward(port, data)

        self.send = send  # type: ignore[method-assign]
        try:
            super().process(packet)
        except Enough:
            return
        finally:
            self.send = forward  # type: ignore[method-assign]
