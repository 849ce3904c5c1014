"""The smallest files of some formats, for the examples of their adapters."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Final

_TYPE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_R: Final = f'xmlns:r="{_TYPE}"'
_X: Final = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def zipped(parts: Mapping[str, str]) -> bytes:
    """A zip archive, the same each time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


def pdf(text: str) -> bytes:
    """A PDF with one page, without the table of its objects, which readers make anew."""
    content = f"BT /F 12 Tf ({text}) Tj ET"
    return f"""%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /Contents 4 0 R /Resources <</Font <</F 5 0 R>>>>>> endobj
4 0 obj <</Length {len(content)}>> stream
{content}
endstream endobj
5 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>> endobj
trailer <</Root 1 0 R>>
startxref
0
%%EOF""".encode()


def relations(*targets: tuple[str, str]) -> str:
    """The part of a package with the relations of another one: kind and target of each, called ``rId1``, ``rId2`` …"""
    named = enumerate(targets, 1)
    entries = [f'<Relationship Id="rId{n}" Type="{_TYPE}/{kind}" Target="{target}"/>' for n, (kind, target) in named]
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(entries)}</Relationships>'
    )


def xlsx(*cells: str) -> bytes:
    """A book with one row of texts and numbers."""
    row = "".join(f"<c><v>{cell}</v></c>" if cell.isdecimal() else f'<c t="str"><v>{cell}</v></c>' for cell in cells)
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook {_X} {_R}><sheets><sheet name="Looms" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(("worksheet", "sheet1.xml")),
            "xl/sheet1.xml": f"<worksheet {_X}><sheetData><row>{row}</row></sheetData></worksheet>",
        }
    )
