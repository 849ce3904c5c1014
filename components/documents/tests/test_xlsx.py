"""XLSX, and what calamine reads."""

from __future__ import annotations

import pytest

from pypes.component import Adapter
from pypes.testing import ComponentSuite
from pypes_documents.sheets import date_of_serial, number_text
from pypes_documents.xls_adapter import XLS
from pypes_documents.xlsx_adapter import XLSX

from .made import xlsx, zipped
from .reading import outline, read, refused

TEXTS = "<si><t>pirn</t><rPh><t>reading</t></rPh></si><si><r><t xml:space='preserve'>of </t></r><r><t>two</t></r></si>"
CELLS = """<row r="1"><c r="A1" t="inlineStr"><is><t>name</t></is></c><c r="C1" t="str"><v>cm</v></c></row>
<row r="2"><c r="A2" t="s"><v>0</v></c><c r="C2"><v>0.30000000000000004</v></c><c r="D2" s="1"><v>46355</v></c></row>
<row r="3"><c t="s"><v>1</v></c><c/><c t="b"><v>1</v></c><c s="2"><v>0.5</v></c></row>
<row r="9"><c r="B9" t="e"><v>#DIV/0!</v></c></row>"""


class TestXLSX(ComponentSuite):
    component = XLSX

    def test_cells(self) -> None:
        data = xlsx(CELLS, "", texts=TEXTS, formats="[$-409]h:mm &quot;General&quot;", properties="<dc:title>Parts</dc:title>")
        packet = read(XLSX, data)
        table = [["name", "cm", ""], ["pirn", "0.3", "2026-11-29"], ["of two", "TRUE", "12:00:00"]]
        assert outline(packet) == [
            "heading1@1: Sheet1",
            f"table@1: {table}",
            "paragraph@1: #DIV/0!",
            "heading1@2: Sheet2",
        ]
        assert (packet["title"], packet["pages"]) == ("Parts", 2)

    def test_one_cell_in_the_last_column_and_row(self) -> None:
        cell = '<row r="1048576"><c r="XFD1048576"><v>7</v></c></row>'
        assert outline(read(XLSX, xlsx(cell))) == ["heading1@1: Sheet1", "paragraph@1: 7"]

    def test_numbers_beyond_all_bounds(self) -> None:
        many = "9" * 5000
        row = (
            f'<row r="{many}"><c t="s"><v>{many}</v></c><c s="1"><v>{many}</v></c><c><v>1</v></c></row><row><c><v>2</v></c></row>'
        )
        assert outline(read(XLSX, xlsx(row)))[1] == f"table@1: [['', '{many}', '1'], ['2', '', '']]"

    def test_dates_beyond_all_bounds_stay_numbers(self) -> None:
        row = '<row><c s="1"><v>2958465</v></c></row>'
        assert outline(read(XLSX, xlsx(row, book='<workbookPr date1904="1"/>')))[1] == "paragraph@1: 2958465"

    @pytest.mark.parametrize(
        ("format", "value", "text"),
        [
            ("[h]:mm", "1.5", "36:00:00"),
            ("[hh]:mm:ss", "0.25", "6:00:00"),
            ("[mm]:ss", "0.5", "12:00:00"),
            ("[s]", "-0.5", "-12:00:00"),
            ("[Red]h:mm", "0.5", "12:00:00"),
            ("[h]:mm", "x", "x"),
        ],
    )
    def test_durations(self, format: str, value: str, text: str) -> None:
        row = f'<row><c r="A1" s="2"><v>{value}</v></c></row>'
        assert outline(read(XLSX, xlsx(row, formats=format)))[1] == f"paragraph@1: {text}"

    def test_durations_of_a_built_in_format(self) -> None:
        data = xlsx('<row r="1"><c r="A1" s="3"><v>1.5</v></c><c r="B1" s="3"><v>0.25</v></c></row>')
        for adapter in (XLSX, XLS):
            assert outline(read(adapter, data))[1] == "table@1: [['36:00:00', '6:00:00']]"

    def test_a_table_of_mostly_empty_cells(self) -> None:
        letters = [a + b for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
        names = [(row, letters[row % 676]) for row in range(1, 9000)]
        rows = "".join(f'<row r="{row}"><c r="{name}{row}"><v>1</v></c><c r="XFD{row}"><v>1</v></c></row>' for row, name in names)
        assert refused(XLSX, xlsx(rows))[0] == "document.too_large"

    @pytest.mark.parametrize(
        ("data", "code", "reason"),
        [
            (xlsx("", "<row/>"), "document.no_text", "no sheet of the XLSX has a cell"),
            (zipped({"a.txt": "a"}), "document.malformed", "xl/workbook.xml is missing"),
            (xlsx("<row>"), "document.malformed", "xl/sheet1.xml: "),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, code: str, reason: str) -> None:
        found = refused(XLSX, data)
        assert found[0] == code
        assert reason in found[1]


class TestXLS(ComponentSuite):
    component = XLS

    def test_cells_are_those_of_xlsx(self) -> None:
        cells = CELLS.partition('<row r="9"')[0].replace("<c/>", "")
        for name, style in (("A3", '<c t="s"'), ("C3", '<c t="b"'), ("D3", '<c s="2"')):
            cells = cells.replace(style, f'<c r="{name}"{style[2:]}')
        data = xlsx(cells, texts=TEXTS, formats="h:mm")
        assert outline(read(XLS, data)) == outline(read(XLSX, data))

    @pytest.mark.parametrize(("data", "code"), [(b"nothing", "document.malformed"), (xlsx(""), "document.no_text")])
    def test_what_cannot_be_read(self, data: bytes, code: str) -> None:
        assert refused(XLS, data)[0] == code


@pytest.mark.parametrize(
    ("value", "is_1904", "text"),
    [
        ("46355", False, "2026-11-29"),
        ("46355.5", False, "2026-11-29 12:00:00"),
        ("44893", True, "2026-11-29"),
        ("0.25", False, "06:00:00"),
        ("1", False, "1900-01-01"),
        ("61", False, "1900-03-01"),
        ("-1", False, ""),
        ("9e9", False, ""),
        ("x", False, ""),
        ("2958465", False, "9999-12-31"),
        ("2957003", True, "9999-12-31"),
        ("2958465", True, ""),
        ("nan", False, ""),
        ("1e309", False, ""),
    ],
)
def test_days_since_the_beginning(value: str, is_1904: bool, text: str) -> None:
    assert date_of_serial(value, is_1904) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("5", "5"), ("5.0", "5"), ("0.1", "0.1"), ("1E3", "1000"), ("x", "x")],
)
def test_numbers(value: str, text: str) -> None:
    assert number_text(value) == text


def test_both_have_the_same_bounds() -> None:
    adapters: list[type[Adapter]] = [XLSX, XLS]
    for adapter in adapters:
        assert refused(adapter, xlsx(CELLS, texts=TEXTS), max_bytes=100)[0] == "document.too_large"
