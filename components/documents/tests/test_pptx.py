"""PPTX."""

from __future__ import annotations

import pytest

from pypes.testing import ComponentSuite
from pypes_documents.pptx_adapter import PPTX

from .made import drawn_table, pptx, relations, shape, zipped
from .reading import outline, read, refused

MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


class TestPPTX(ComponentSuite):
    component = PPTX

    def test_slides(self) -> None:
        first = shape("one", "\ttwo", holder="body") + shape("Looms", holder="ctrTitle") + shape("3", holder="sldNum")
        again = f"<mc:AlternateContent {MC}><mc:Fallback>{shape('free')}</mc:Fallback></mc:AlternateContent>"
        second = shape("Parts", holder="title") + drawn_table(("name", "cm"), ("pirn", "3")) + shape("free") + again
        notes = {1: shape("say it", holder="body") + shape("1", holder="sldNum")}
        packet = read(PPTX, pptx(first, second, notes=notes, properties="<dc:creator>Ada</dc:creator>"))
        assert outline(packet) == [
            "heading1@1: Looms",
            "item1@1: one",
            "item2@1: two",
            "paragraph@1: say it",
            "heading1@2: Parts",
            "table@2: [['name', 'cm'], ['pirn', '3']]",
            "paragraph@2: free",
        ]
        assert packet.get_attributes() == {
            "title": ["Looms"],
            "author": ["Ada"],
            "links": ["http://example.org/"],
            "pages": [2],
            "text": [packet["text"]],
        }

    def test_levels_beyond_all_bounds(self) -> None:
        body = shape("one", holder="body").replace('lvl="0"', f'lvl="{"9" * 5000}"')
        assert outline(read(PPTX, pptx(body))) == ["item1@1: one"]

    def test_charts(self) -> None:
        parts = {
            "ppt/presentation.xml": "<p xmlns:r='r'><sldId r:id='rId1'/></p>",
            "ppt/_rels/presentation.xml.rels": relations(("slide", "s.xml")),
            "ppt/s.xml": "<sld/>",
            "ppt/_rels/s.xml.rels": relations(("chart", "c.xml")),
            "ppt/c.xml": "<c xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main'><a:p><a:t>Threads</a:t></a:p>"
            "<strCache><v>warp</v><v>weft</v></strCache><numCache><v>3</v></numCache></c>",
        }
        assert outline(read(PPTX, zipped(parts))) == ["paragraph@1: Threads", "paragraph@1: warp, weft"]

    @pytest.mark.parametrize(
        ("data", "code", "reason"),
        [
            (pptx(shape("")), "document.no_text", "no text"),
            (zipped({"a.txt": "a"}), "document.malformed", "ppt/presentation.xml is missing"),
            (pptx("<p:sp>"), "document.malformed", "ppt/slides/s0.xml: "),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, code: str, reason: str) -> None:
        found = refused(PPTX, data)
        assert found[0] == code
        assert reason in found[1]
