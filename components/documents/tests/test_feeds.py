"""RSS and SolrXML."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.rss_adapter import RSS
from pypes_documents.solr_xml_adapter import SolrXML

from .reading import outline

ITEM = """<item><title>Warp &amp;amp; weft</title><link>{0}</link><author>ada@example.org (Ada)</author><category>loom</category>
<pubDate>Sun, 29 Nov 2026 08:30:00 GMT</pubDate><description>&lt;p&gt;One&lt;ul&gt;&lt;li&gt;two</description></item>"""
FEED = "<?xml version='1.0'?><rss version='2.0'><channel><title>Looms</title><language>en</language>{}</channel></rss>"
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Looms</title><entry><id>urn:1</id><title>Warp</title><summary>Short.</summary>
<updated>2026-11-30T00:00:00Z</updated><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><h2>One</h2>two</div></content>
</entry></feed>"""
ADD = b"""<update><add><doc><field name="id">a</field><field name="tag">x</field><field name="tag">y</field>
<doc><field name="id">inner</field></doc></doc><doc><field name="t">two</field></doc></add><delete><id>z</id></delete></update>"""


def fed(data: str, **meta: str) -> list[Packet]:
    result = run_component(RSS, [Packet({"data": data.encode()}, meta)])
    assert not result.dead_letters, result.dead_letters[0].error
    return result.packets


class TestRSS(ComponentSuite):
    component = RSS

    def test_entries_of_rss(self) -> None:
        (packet,) = fed(FEED.format(ITEM.format("http://example.org/1")), id="f")
        assert packet.id == "f/entry=http:%2F%2Fexample.org%2F1"
        assert outline(packet) == ["paragraph: One", "item1: two"]
        assert packet.get_attributes() == {
            "title": ["Warp & weft"],
            "author": ["Ada"],
            "created": ["2026-11-29T08:30:00Z"],
            "keywords": ["loom"],
            "language": ["en"],
            "links": ["http://example.org/1"],
            "text": ["One\n\ntwo"],
        }
        assert packet.get_meta("feed") == "Looms"

    def test_entries_of_atom(self) -> None:
        (packet,) = fed(ATOM)
        assert outline(packet) == ["heading2: One", "paragraph: two"]
        assert (packet["title"], packet["description"], packet["modified"]) == ("Warp", "Short.", "2026-11-30T00:00:00Z")
        assert packet.part == "entry=urn:1"

    def test_entries_of_the_same_name(self) -> None:
        item = ITEM.format("http://example.org/1")
        packets = fed(FEED.format(item + item + "<item><title>x</title></item>"))
        name = "entry=http:%2F%2Fexample.org%2F1"
        assert [packet.part for packet in packets] == [name, f"{name} (2)", "entry=3"]

    def test_the_body_is_never_the_name_of_a_file(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret.xml"
        secret.write_text(ATOM)
        for name in (str(secret), secret.as_uri(), "\n".join([str(secret)] * 2)):
            result = run_component(RSS, [Packet({"data": name.encode()})])
            assert not result.packets
            assert [letter.code for letter in result.dead_letters] == ["document.malformed"]

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            ("nothing", "document.malformed"),
            ("<a/>", "document.malformed"),
            (FEED.format(""), "document.no_text"),
        ],
    )
    def test_what_cannot_be_read(self, data: str, code: str) -> None:
        result = run_component(RSS, [Packet({"data": data.encode()})])
        assert [letter.code for letter in result.dead_letters] == [code]

    def test_one_entry_that_cannot_be_read_costs_no_other(self) -> None:
        item = "<item><guid>{}</guid><description>{}</description></item>"
        deep = "&lt;div&gt;" * 20_000
        data = FEED.format(item.format("a", "one") + item.format("b", deep) + item.format("c", "three"))
        result = run_component(RSS, [Packet({"data": data.encode()})])
        assert [packet["text"] for packet in result.packets] == ["one", "three"]
        (letter,) = result.dead_letters
        assert letter.code == "html.too_nested"
        assert "1 of 3 entries in it cannot be read; what could be read was sent on: entry=b: " in letter.error

    def test_bounds(self) -> None:
        data = FEED.format(ITEM.format("http://example.org/1") * 3).encode()
        result = run_component(RSS, [Packet({"data": data})], max_parts=2)
        assert len(result.packets) == 2
        assert [letter.code for letter in result.dead_letters] == ["document.too_large"]


class TestSolrXML(ComponentSuite):
    component = SolrXML

    def test_documents_and_deletions(self) -> None:
        result = run_component(SolrXML, [Packet({"data": ADD}, {"route": "r"})])
        assert not result.dead_letters
        assert [(packet.id, packet.get_attributes()) for packet in result.packets] == [
            ("a", {"id": ["a"], "tag": ["x", "y"]}),
            (None, {"t": ["two"]}),
            ("z", {}),
        ]
        assert result.packets[2].is_deletion

    def test_parts_of_a_file_with_an_id(self) -> None:
        result = run_component(SolrXML, [Packet({"data": ADD}, {"id": "f"})])
        assert [packet.id for packet in result.packets] == ["f/row=1", "f/row=2", "z"]

    @pytest.mark.parametrize(
        ("data", "code", "reason"),
        [
            (b"<add/>", "document.no_text", "no <doc>"),
            (b"<html/>", "document.malformed", "its root is <html>"),
            (b"<delete><query>*:*</query></delete>", "document.malformed", "name their ids"),
            (b"<add><doc><field name='a'>b</field></doc><doc>", "document.malformed", "after document 1"),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, code: str, reason: str) -> None:
        (letter,) = run_component(SolrXML, [Packet({"data": data})]).dead_letters
        assert letter.code == code
        assert reason in letter.error
