"""HTML."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.html_adapter import HTML

PAGE = b"""<!doctype html><html lang="en"><head><title> A  page </title>
<meta name="Description" content="What it is"><meta property="og:type" content="article"><meta name="author" content="A">
<meta name="author" content="B"><script>var hidden = 1</script><style>p {}</style></head>
<body><h1>Heading</h1><p>One&nbsp;two</p><table><tr><td>left</td><td>right</td></tr></table>
<a href="/there">link</a> <a href="/there">again</a> <a href="#top">top</a> <a href="javascript:x()">js</a>
<noscript>hidden</noscript></body></html>"""


def html(data: bytes, **meta: Any) -> Packet:
    (packet,) = run_component(HTML, [Packet.from_document({"data": data}, meta)]).packets
    assert isinstance(packet, Packet)
    return packet


class TestHTML(ComponentSuite):
    component = HTML

    def test_a_page(self) -> None:
        packet = html(PAGE)
        assert packet.get("title") == "A page"
        assert packet.get("text") == "Heading One two left right link again top js"
        assert packet.get("links") == ["/there"]
        assert packet.get("meta.description") == "What it is"
        assert packet.get("meta.og:type") == "article"
        assert packet.get("meta.author") == ["A", "B"]
        assert packet.get("language") == "en"
        assert not packet.has("data")

    def test_links_are_absolute_where_the_base_is_known(self) -> None:
        assert html(PAGE, url="http://example.org/a/b").get("links") == ["http://example.org/there"]
        based = b'<base href="http://example.org/x/"><a href="y">z</a><a href="http://[bad">bad</a>'
        assert html(based).get("links") == ["http://example.org/x/y", "http://[bad"]

    @pytest.mark.parametrize(
        ("data", "meta", "charset"),
        [
            ("<p>grün</p>".encode(), {}, "utf-8"),
            ("<p>grün</p>".encode("cp1252"), {"charset": "windows-1252"}, "windows-1252"),
            ('<meta charset="iso-8859-1"><p>grün</p>'.encode("latin-1"), {}, "windows-1252"),
            ("<meta http-equiv=content-type content='text/html; charset=latin1'><p>grün".encode("latin-1"), {}, "windows-1252"),
            ("<p>grün</p>".encode("utf-8-sig"), {}, "utf-8"),
            ("<p>grün</p>".encode("utf-16"), {}, "utf-16le"),
            (b"<meta charset=utf-16><p>gr&uuml;n</p>", {}, "utf-8"),
            ("<meta name=description content='charset=koi8-r'><p>grün</p>".encode(), {}, "utf-8"),
            ("<meta charset=koi8-r><p>grün</p>".encode(), {"charset": "utf-8"}, "utf-8"),
            ("<meta charset=latin1><p>grün</p>".encode("latin-1"), {"charset": "x-bogus"}, "windows-1252"),
        ],
    )
    def test_character_sets(self, data: bytes, meta: dict[str, Any], charset: str) -> None:
        packet = html(data, **meta)
        assert packet.get("text") == "grün"
        assert packet.get_meta("charset") == charset

    @pytest.mark.parametrize("data", [b"", b"\x00", b"plain", b"<", b"<title>only"])
    def test_odd_pages_pass(self, data: bytes) -> None:
        assert isinstance(html(data).get("text"), str)

    def test_a_page_over_the_limit_is_rejected(self) -> None:
        (failure,) = run_component(HTML, [Packet.from_document({"data": b"x" * 11})], max_bytes=10).dead_letters
        assert failure.code == "html.too_large"
