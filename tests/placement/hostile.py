"""Documents that end, fill or stop the process of a naive reader, and such readers; all of them are made here.

Without isolation (6 GiB of memory, 25 s): the HTML takes over 25 s, the DOCX 5.8 GB, the cell in the last column of a sheet
aborts the process, the other sheet takes 1.7 GB, and pdfium aborts after 14 s on three of the PDFs. With it (1 GiB, 3 s): the
HTML and the second sheet take too long; the first sheet and those PDFs are killed by SIGABRT within 2 s; lxml says that it has
an unknown error when there is no memory left for the DOCX; the pages that are their own parents are refused by pdfium.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import ClassVar

from pypes.component import Adapter
from pypes.packet import Packet


class NaiveHTML(Adapter):
    """A page with selectolax (lexbor)."""

    isolated = True
    accepts: ClassVar[tuple[str, ...]] = ("text/html",)

    def process(self, packet: Packet) -> Packet:
        from selectolax.lexbor import LexborHTMLParser

        tree = LexborHTMLParser(packet.get("data"))
        return _read(packet, tree.body.text(separator=" ") if tree.body else "")


class NaiveDOCX(Adapter):
    """A text with python-docx."""

    isolated = True
    accepts: ClassVar[tuple[str, ...]] = ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",)

    def process(self, packet: Packet) -> Packet:
        import docx

        document = docx.Document(io.BytesIO(packet.get("data")))
        return _read(packet, "\n".join(paragraph.text for paragraph in document.paragraphs))


class NaiveXLSX(Adapter):
    """A sheet with python-calamine."""

    isolated = True
    accepts: ClassVar[tuple[str, ...]] = ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",)

    def process(self, packet: Packet) -> Packet:
        import python_calamine

        book = python_calamine.load_workbook(io.BytesIO(packet.get("data")))
        rows = book.get_sheet_by_index(0).to_python()
        return _read(packet, "\n".join(" ".join(map(str, row)) for row in rows))


class NaivePDF(Adapter):
    """A text with pypdfium2; pages are drawn too, because a preview is a usual thing to want."""

    isolated = True
    accepts: ClassVar[tuple[str, ...]] = ("application/pdf",)

    def process(self, packet: Packet) -> Packet:
        import pypdfium2

        document = pypdfium2.PdfDocument(packet.get("data"))
        texts = []
        for page in document:
            texts.append(page.get_textpage().get_text_bounded())
            page.render(scale=0.1)
        return _read(packet, "\n".join(texts))


def _read(packet: Packet, text: str) -> Packet:
    packet.delete("data")
    packet.set("size", len(text))
    packet.set("text", text[:1000])
    return packet


# -- HTML ---------------------------------------------------------------------------------------------------


def nested_html(size: int = 1_000_000) -> bytes:
    """One megabyte of opening tags."""
    return b"<div>" * (size // 5)


def attributes_html(count: int = 200_000) -> bytes:
    """One tag with very many attributes."""
    return b"<p " + b" ".join(b"a%d=1" % n for n in range(count)) + b">text"


GOOD_HTML = b"<p>good text"

# -- office ---------------------------------------------------------------------------------------------------

_TYPES = '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{}</Types>'
_RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
)
_KIND = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DEFAULT = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'


def _zip(parts: dict[str, list[bytes | str]]) -> bytes:
    """An archive; the pieces of a part are written one by one, a repeated piece costs no memory."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, pieces in parts.items():
            with archive.open(name, "w") as part:
                for piece in pieces:
                    part.write(piece.encode() if isinstance(piece, str) else piece)
    return made.getvalue()


def docx(paragraphs: int) -> bytes:
    """A document of so many equal paragraphs."""
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    head = '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    paragraph = b"<w:p><w:r><w:t>good text</w:t></w:r></w:p>"
    thousands = [paragraph * 1000] * (paragraphs // 1000)
    return _zip(
        {
            "[Content_Types].xml": [_TYPES.format(f'{_DEFAULT}<Override PartName="/word/document.xml" ContentType="{main}"/>')],
            "_rels/.rels": [
                _RELATIONS.format(f'<Relationship Id="r1" Type="{_KIND}/officeDocument" Target="word/document.xml"/>')
            ],
            "word/document.xml": [head, *thousands, paragraph * (paragraphs % 1000), "</w:body></w:document>"],
        }
    )


def xlsx(rows: list[bytes | str]) -> bytes:
    """A workbook with one sheet of these rows."""
    prefix = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    types = (
        f'{_DEFAULT}<Override PartName="/xl/workbook.xml" ContentType="{prefix}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{prefix}.worksheet+xml"/>'
    )
    return _zip(
        {
            "[Content_Types].xml": [_TYPES.format(types)],
            "_rels/.rels": [_RELATIONS.format(f'<Relationship Id="r1" Type="{_KIND}/officeDocument" Target="xl/workbook.xml"/>')],
            "xl/workbook.xml": [
                f'<?xml version="1.0"?><workbook xmlns="{namespace}" xmlns:r="{_KIND}">'
                '<sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>'
            ],
            "xl/_rels/workbook.xml.rels": [
                _RELATIONS.format(f'<Relationship Id="r1" Type="{_KIND}/worksheet" Target="worksheets/sheet1.xml"/>')
            ],
            "xl/worksheets/sheet1.xml": [
                f'<?xml version="1.0"?><worksheet xmlns="{namespace}"><sheetData>',
                *rows,
                "</sheetData></worksheet>",
            ],
        }
    )


def sparse_xlsx() -> bytes:
    """Two cells, in opposite corners of the largest sheet there is: 2^34 cells between them."""
    return xlsx(['<row r="1"><c r="A1"><v>1</v></c></row>', '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'])


def bomb_xlsx(rows: int = 1_000_000) -> bytes:
    """About one megabyte that becomes hundreds, all of it cells."""
    return xlsx([b"<row>" + b"<c><v>1</v></c>" * 20 + b"</row>"] * rows)


GOOD_DOCX = docx(1)
GOOD_XLSX = xlsx(['<row r="1"><c r="A1" t="inlineStr"><is><t>good text</t></is></c></row>'])

# -- PDF ------------------------------------------------------------------------------------------------------


def pdf(objects: list[bytes]) -> bytes:
    """A file of these objects, numbered from 1; the first is the catalogue."""
    made = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(made)


def _stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(content), content)


def _page(resources: bytes) -> list[bytes]:
    """Catalogue, pages, and the one page, whose content is object 4."""
    return [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << %s >> >>" % resources,
    ]


_FONT = b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"


def bomb_pdf(size: int = 1 << 29) -> bytes:
    """A few kilobytes, deflated twice, that inflate to half a gigabyte of operators that draw text."""
    inner = zlib.compressobj(1)
    piece = b"BT /F1 12 Tf (good text) Tj ET " * 32_768
    content = b"".join(inner.compress(piece) for _ in range(size // len(piece))) + inner.flush()
    return pdf([*_page(_FONT), _stream(zlib.compress(content, 9), b"/Filter [/FlateDecode /FlateDecode]")])


def loop_pdf() -> bytes:
    """Pages that are their own parents and children."""
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 1000000 /Parent 3 0 R >>",
            b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 1000000 /Parent 2 0 R >>",
        ]
    )


def recursion_pdf() -> bytes:
    """A form that draws itself, many times over."""
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >>"
    return pdf([*_page(b"/XObject << /X 5 0 R >>"), _stream(b"/X Do"), _stream(b"/X Do " * 20, form)])


def doubling_pdf(levels: int = 25) -> bytes:
    """Forms of which each draws the next one twice: 2^25 drawings of a text."""
    objects = [*_page(b"/XObject << /X 5 0 R >>"), _stream(b"/X Do")]
    head = b"/Type /XObject /Subtype /Form /BBox [0 0 600 800] /Resources << %s >>"
    for level in range(levels):
        objects.append(_stream(b"/X Do /X Do", head % b"/XObject << /X %d 0 R >>" % (6 + level)))
    objects.append(_stream(b"BT /F1 12 Tf (good text) Tj ET", head % _FONT))
    return pdf(objects)


GOOD_PDF = pdf([*_page(_FONT), _stream(b"BT /F1 12 Tf 10 10 Td (good text) Tj ET")])
