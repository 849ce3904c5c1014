"""DOCX."""

from __future__ import annotations

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.docx_adapter import DOCX
from pypes_documents.packages import COMPOUND

from .made import docx, paragraph, zipped
from .reading import outline, read, refused

FACTS = (
    "<dc:title>On  looms</dc:title><dc:creator>Ada; Luigi</dc:creator>"
    "<dcterms:created>2026-11-29T08:30:00+01:00</dcterms:created>"
    "<dcterms:modified>2026-11-30</dcterms:modified><dc:language>en-GB</dc:language><dc:subject>Looms</dc:subject>"
    "<dc:description>Of cards.</dc:description><cp:keywords>card, loom</cp:keywords>"
)
BREAK = "<w:r><w:lastRenderedPageBreak/></w:r>"
CELL = "<w:tc>{}</w:tc>"


def table(*rows: tuple[str, ...]) -> str:
    cells = ("".join(CELL.format(paragraph(cell)) for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


class TestDOCX(ComponentSuite):
    component = DOCX

    def test_structure(self) -> None:
        data = docx(
            paragraph("Looms", "U2"),
            "<w:p><w:r><w:t>Cards</w:t><w:tab/><w:t>choose</w:t><w:br/><w:t>threads.</w:t></w:r></w:p>",
            paragraph("one", "L"),
            paragraph("two", "", '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="2"/></w:numPr>'),
            paragraph("none", "L2", '<w:numPr><w:numId w:val="0"/></w:numPr>'),
            paragraph("below", "", '<w:outlineLvl w:val="2"/>'),
            paragraph("said", "Z"),
            table(("name", "cm"), ("pirn", "3")),
            table(("boxed",)),
        )
        assert outline(read(DOCX, data)) == [
            "heading1: Looms",
            "paragraph: Cards\tchoose\nthreads.",
            "item1: one",
            "item2: two",
            "paragraph: none",
            "heading3: below",
            "quote: said",
            "table: [['name', 'cm'], ['pirn', '3']]",
            "paragraph: boxed",
        ]

    def test_properties_and_links(self) -> None:
        packet = read(DOCX, docx(paragraph("text"), properties=FACTS, outside=("http://example.org/", "http://example.org/")))
        assert packet.get_attributes() == {
            "title": ["On looms"],
            "author": ["Ada", "Luigi"],
            "created": ["2026-11-29T07:30:00Z"],
            "modified": ["2026-11-30"],
            "language": ["en-GB"],
            "subject": ["Looms"],
            "description": ["Of cards."],
            "keywords": ["card", "loom"],
            "links": ["http://example.org/"],
            "text": ["text"],
        }

    def test_the_title_without_a_property(self) -> None:
        assert read(DOCX, docx(paragraph("Preface"), paragraph("On looms", "T")))["title"] == "On looms"
        assert read(DOCX, docx(paragraph("Looms", "U1"), paragraph("x")))["title"] == "Looms"
        assert not read(DOCX, docx(paragraph("Looms", "U1"), paragraph("Parts", "U1"))).has("title")

    def test_pages_and_footnotes(self) -> None:
        data = docx(
            paragraph("one"),
            f"<w:p>{BREAK}<w:r><w:t>two</w:t></w:r></w:p>",
            more={"footnotes.xml": f"<w:footnote>{paragraph('a note')}</w:footnote>"},
        )
        packet = read(DOCX, data)
        assert outline(packet) == ["paragraph@1: one", "paragraph@2: two", "paragraph: a note"]
        assert packet["pages"] == 2

    def test_the_page_of_a_block_is_the_one_on_which_it_begins(self) -> None:
        words = "<w:r><w:t>{}</w:t></w:r>"
        over = f"<w:p>{words.format('one')}{BREAK}{words.format(' and two')}{BREAK}{words.format(' and three')}</w:p>"
        grid = table(("a", "b"), ("c", "d")).replace("<w:p><w:pPr></w:pPr><w:r><w:t>c", f"<w:p>{BREAK}<w:r><w:t>c")
        late = table(("e", "f"), ("g", "h")).replace("<w:p><w:pPr></w:pPr><w:r><w:t>e", f"<w:p>{BREAK}{BREAK}<w:r><w:t>e")
        packet = read(DOCX, docx(over, paragraph("four"), grid, paragraph("five"), late))
        assert [line.partition(":")[0] for line in outline(packet)] == [
            *("paragraph@1", "paragraph@3", "table@3", "paragraph@4", "table@6")
        ]
        assert packet["pages"] == 6

    def test_cells_over_several_columns(self) -> None:
        wide = f'<w:tc><w:tcPr><w:tcW w:w="5"/><w:gridSpan w:val="2"/></w:tcPr>{paragraph("a")}{paragraph("b")}</w:tc>'
        changed = '<w:tcPr><w:tcPrChange><w:tcPr><w:gridSpan w:val="3"/></w:tcPr></w:tcPrChange></w:tcPr>'
        rows = [
            wide + CELL.format(paragraph("c")),
            CELL.format(paragraph("1")) + CELL.format(changed + paragraph("2")) + CELL.format(paragraph("3")),
        ]
        assert outline(read(DOCX, docx(f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"))) == [
            "table: [['a b', '', 'c'], ['1', '2', '3']]"
        ]

    def test_a_table_of_cells_that_are_wide_without_end(self) -> None:
        cell = b'<w:tc><w:tcPr><w:gridSpan w:val="64"/></w:tcPr></w:tc>' * 1000
        data = docx("<w:tbl>", *[b"<w:tr>%s</w:tr>" % cell] * 80, "</w:tbl>")
        code, reason = refused(DOCX, data)
        assert code == "document.too_large"
        assert "a table has more than 4000000 cells" in reason

    def test_numbers_beyond_all_bounds(self) -> None:
        many = "9" * 5000
        cell = f'<w:tc><w:tcPr><w:gridSpan w:val="{many}"/></w:tcPr>{paragraph("a")}</w:tc>'
        data = docx(
            paragraph("item", "", f'<w:numPr><w:ilvl w:val="{many}"/><w:numId w:val="2"/></w:numPr>'),
            paragraph("no heading", "", f'<w:outlineLvl w:val="{many}"/>'),
            f"<w:tbl><w:tr>{cell}{cell}</w:tr></w:tbl>",
        )
        assert outline(read(DOCX, data)) == ["item1: item", "paragraph: no heading", "table: [['a', 'a']]"]

    def test_code_keeps_its_indentation(self) -> None:
        styles = '<w:style w:type="paragraph" w:styleId="C"><w:name w:val="Source Code"/></w:style>'
        line = '<w:p><w:pPr><w:pStyle w:val="C"/></w:pPr><w:r><w:tab/><w:t xml:space="preserve"> x = 1</w:t></w:r></w:p>'
        assert outline(read(DOCX, docx(line, styles=styles))) == ["code: \t x = 1"]

    def test_what_is_not_read(self) -> None:
        mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
        data = docx(
            "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t>come</w:t></w:r></w:ins>"
            "<w:r><w:instrText>PAGE</w:instrText></w:r><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom></w:p>",
            f"<w:p><w:r><mc:AlternateContent {mc}><mc:Choice><w:txbxContent>{paragraph('box')}</w:txbxContent></mc:Choice>"
            f"<mc:Fallback><w:txbxContent>{paragraph('box')}</w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>",
        )
        assert read(DOCX, data)["text"] == "come\n\nbox"

    def test_nested_tables_stay_in_their_cell(self) -> None:
        inner = "<w:tc>" + paragraph("with") + table(("a", "b"), ("c", "d")) + "</w:tc>"
        data = docx(f"<w:tbl><w:tr>{CELL.format(paragraph('left'))}{inner}</w:tr></w:tbl>")
        assert outline(read(DOCX, data)) == ["table: [['left', 'with a; b c; d']]"]

    @pytest.mark.parametrize(
        ("data", "code", "reason"),
        [
            (docx(paragraph(" ")), "document.no_text", "no text"),
            (b"no zip", "document.malformed", "DOCX is damaged, or none"),
            (docx(paragraph("x"))[:-40], "document.malformed", "DOCX is damaged"),
            (docx(b"<w:p>"), "document.malformed", "word/document.xml: "),
            (zipped({"a.txt": "a"}), "document.malformed", "word/document.xml is missing"),
            (COMPOUND + "EncryptedPackage".encode("utf-16le"), "document.encrypted", "without a password"),
            (COMPOUND + b"WordDocument", "document.malformed", "before 2007"),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, code: str, reason: str) -> None:
        found = refused(DOCX, data)
        assert found[0] == code
        assert reason in found[1]

    def test_bounds(self) -> None:
        data = docx(*[paragraph("text " * 10).encode()] * 2000)
        assert refused(DOCX, data, max_unpacked_bytes=20_000)[0] == "document.too_large"
        assert refused(DOCX, data, max_chars=5_000)[0] == "document.too_large"
        assert refused(DOCX, data, max_bytes=1000)[0] == "document.too_large"

    def test_deletions_pass(self) -> None:
        deletion = Packet(meta={"requestmethod": "DELETE", "id": "7"})
        assert run_component(DOCX, [deletion]).packets == [deletion]
