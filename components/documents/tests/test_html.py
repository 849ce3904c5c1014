"""HTML."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.document_adapter import Document
from pypes_documents.html_adapter import HTML

from .reading import outline, read, refused

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
        assert packet.get("text") == "Heading\n\nOne two\n\nleft\n\nright\n\nlink again top js"
        assert packet.get("links") == ["/there"]
        assert packet.get("meta.description") == "What it is"
        assert packet.get("meta.og:type") == "article"
        assert packet.get("meta.author") == ["A", "B"]
        assert packet.get("description") == "What it is"
        assert packet.get("author") == ["A", "B"]
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

    @pytest.mark.parametrize("data", [b"plain", b"<", b"a\x00b", b"a\x02tb\x02", b"<p>&#2;x&#2;", b"a<table><tr></td></table>"])
    def test_odd_pages_pass(self, data: bytes) -> None:
        assert isinstance(html(data).get("text"), str)

    @pytest.mark.parametrize(
        "data",
        [
            *(b"", b"\x00", b"<body><script>render()</script>", b"<frameset>"),
            *(b"<title>a</title><script>render()</script>", b"<title>a</title><iframe src=b></iframe>"),
        ],
    )
    def test_pages_without_text(self, data: bytes) -> None:
        assert refused(HTML, data) == ("document.no_text", "the page has no text; if scripts make it, post what a browser shows")

    @pytest.mark.parametrize("adapter", [HTML, Document])
    def test_a_title_may_be_all_that_a_page_has(self, adapter: Any) -> None:
        packet = read(adapter, b"<!doctype html><title>Closed on Mondays</title>", {"mimetype": "text/html"})
        assert (packet["title"], packet["text"]) == ("Closed on Mondays", "")

    def test_a_page_over_the_limit_is_rejected(self) -> None:
        (failure,) = run_component(HTML, [Packet.from_document({"data": b"x" * 11})], max_bytes=10).dead_letters
        assert failure.code == "html.too_large"

    @pytest.mark.parametrize(
        ("page", "blocks"),
        [
            (
                "<h1>A</h1>text<h3>B <i>b</i></h3><p>one<p>two",
                ["heading1: A", "paragraph: text", "heading3: B b", "paragraph: one", "paragraph: two"],
            ),
            (
                "<ul><li>a<ol><li><p>b<p>more</ol>rest<li>c</ul>d",
                ["item1: a", "item2: b", "paragraph: more", "paragraph: rest", "item1: c", "paragraph: d"],
            ),
            ("<pre>\n  a  \n\n   <b>b</b>\n</pre>c", ["code:   a\n\n   b", "paragraph: c"]),
            ("<blockquote>a<p>b<h2>c</h2>d</blockquote>e", ["quote: a", "quote: b", "heading2: c", "quote: d", "paragraph: e"]),
            ("<h2><div>a</div><div>b</div></h2>", ["heading2: a", "paragraph: b"]),
            (
                "x<table><caption>c</caption><tr><th>a<th>b<tr><td><p>1<ul><li>2</ul><td><tr></table>y",
                ["paragraph: x", "paragraph: c", "table: [['a', 'b'], ['1 2', '']]", "paragraph: y"],
            ),
            ("<table><tr><td>a<td>b</table>c", ["paragraph: a", "paragraph: b", "paragraph: c"]),
            ("<table><tr><td>a<tr><td>b</table>", ["paragraph: a", "paragraph: b"]),
            (
                "<table><tr><td><h1>a</h1><td>b<tr><td>c<td><table><tr><td>1<td>2<tr><td>3<td>4</table></table>",
                ["heading1: a", "paragraph: b", "paragraph: c", "table: [['1', '2'], ['3', '4']]"],
            ),
        ],
    )
    def test_structure(self, page: str, blocks: list[str]) -> None:
        assert outline(read(HTML, page.encode())) == blocks

    def test_main_content(self) -> None:
        story = "A loom has a warp and a weft, and cards choose which threads are up. " * 5
        menu = "<nav><ul><li><a href=/>Home</a><li><a href=/about>About</a></ul></nav>"
        page = (
            f"<title>T</title>{menu}<article><h1>Looms</h1><p>{story}</p><ul><li>one</li></ul></article><footer>imprint</footer>"
        )
        packet = read(HTML, page.encode(), main=True)
        assert outline(packet) == ["heading1: Looms", f"paragraph: {story.strip()}"]
        assert packet["links"] == ["/", "/about"]

    def test_dates_and_keywords(self) -> None:
        head = "<meta property='article:published_time' content='2026-11-29T08:30+01:00'><meta name=keywords content='a, b'>"
        packet = html(f"{head}<meta name=last-modified content=yesterday>text".encode())
        assert packet.get("created") == "2026-11-29T07:30:00Z"
        assert packet.get("keywords") == ["a", "b"]
        assert not packet.has("modified")
