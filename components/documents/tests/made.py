"""Files of many formats, made of their parts."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_X = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_KIND = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PROPERTIES = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">{}</cp:coreProperties>'
)


def zipped(parts: Mapping[str, str | bytes | Iterable[bytes]]) -> bytes:
    """A zip archive; a part may be given in pieces."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            with archive.open(name, "w") as part:
                for piece in [content] if isinstance(content, (str, bytes)) else content:
                    part.write(piece.encode() if isinstance(piece, str) else piece)
    return made.getvalue()


def packed(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """A zip archive whose members are not compressed, and may have one name twice."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(zipfile.ZipInfo(name), data)
    return made.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    """A tar archive; a folder and a link come behind the files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        folder, link = tarfile.TarInfo("folder"), tarfile.TarInfo("link")
        folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(folder)
        archive.addfile(link)
    return made.getvalue()


def relations(*targets: tuple[str, str], outside: tuple[str, ...] = ()) -> str:
    """The part with the relations to others: kind and target of each, called rId1, rId2 …"""
    entries = [
        f'<Relationship Id="rId{n}" Type="{_KIND}/{kind}" Target="{target}"' for n, (kind, target) in enumerate(targets, 1)
    ]
    entries = [f"{entry}/>" for entry in entries]
    entries += [
        f'<Relationship Id="out{n}" Type="{_KIND}/hyperlink" Target="{target}" TargetMode="External"/>'
        for n, target in enumerate(outside)
    ]
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(entries)}</Relationships>'
    )


STYLES = f"""<w:styles {_W}>
<w:style w:type="paragraph" w:styleId="T"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="U1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="U2"><w:name w:val="Mine"/><w:basedOn w:val="U1"/></w:style>
<w:style w:type="paragraph" w:styleId="Z"><w:name w:val="Quote"/><w:basedOn w:val="Z"/></w:style>
<w:style w:type="paragraph" w:styleId="L"><w:name w:val="List"/><w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr></w:style>
</w:styles>"""


def paragraph(text: str, style: str = "", properties: str = "") -> str:
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(
    *body: str | bytes,
    properties: str = "",
    styles: str = "",
    more: Mapping[str, str] | None = None,
    outside: tuple[str, ...] = (),
) -> bytes:
    """A document of Word with these elements in its body."""
    pieces = [f"<w:document {_W} {_R}><w:body>".encode()]
    pieces += [piece.encode() if isinstance(piece, str) else piece for piece in body]
    related = [("styles", "styles.xml"), *((name.removesuffix(".xml"), name) for name in more or ())]
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "word/document.xml")),
            "word/document.xml": [*pieces, b"</w:body></w:document>"],
            "word/_rels/document.xml.rels": relations(*related, outside=outside),
            "word/styles.xml": STYLES.replace("</w:styles>", f"{styles}</w:styles>"),
            "docProps/core.xml": _PROPERTIES.format(properties),
            **{f"word/{name}": f"<w:x {_W}>{content}</w:x>" for name, content in (more or {}).items()},
        }
    )


def pptx(*slides: str, notes: Mapping[int, str] | None = None, properties: str = "") -> bytes:
    """A presentation with these shapes on each slide, and notes on some, numbered from 1."""
    parts = {
        "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {_P} {_R}><p:sldIdLst>"
        + "".join(f'<p:sldId r:id="rId{n}"/>' for n in range(len(slides), 0, -1))
        + "</p:sldIdLst></p:presentation>",
        # the last part is the first slide: their order is that of the list
        "ppt/_rels/presentation.xml.rels": relations(*(("slide", f"slides/s{n}.xml") for n in range(len(slides)))),
        "docProps/core.xml": _PROPERTIES.format(properties),
    }
    for number, shapes in enumerate(reversed(slides)):
        parts[f"ppt/slides/s{number}.xml"] = f"<p:sld {_P} {_A} {_R}>{shapes}</p:sld>"
    for number, shapes in (notes or {}).items():
        name = f"s{len(slides) - number}"
        parts[f"ppt/slides/_rels/{name}.xml.rels"] = relations(
            ("notesSlide", f"../notes/{name}.xml"), outside=("http://example.org/",)
        )
        parts[f"ppt/notes/{name}.xml"] = f"<p:notes {_P} {_A}>{shapes}</p:notes>"
    return zipped(parts)


def shape(*lines: str, holder: str = "") -> str:
    """A shape with these paragraphs; ``holder`` is the type of its placeholder."""
    placed = f'<p:nvSpPr><p:nvPr><p:ph type="{holder}"/></p:nvPr></p:nvSpPr>' if holder else ""
    return f"<p:sp>{placed}<p:txBody>{''.join(map(_drawn, lines))}</p:txBody></p:sp>"


def drawn_table(*rows: tuple[str, ...]) -> str:
    cells = ("".join(f"<a:tc><a:txBody>{_drawn(cell)}</a:txBody></a:tc>" for cell in row) for row in rows)
    return f"<p:graphicFrame><a:tbl>{''.join(f'<a:tr>{row}</a:tr>' for row in cells)}</a:tbl></p:graphicFrame>"


def _drawn(line: str) -> str:
    text = line.lstrip("\t")
    return f'<a:p><a:pPr lvl="{len(line) - len(text)}"/><a:r><a:t>{text}</a:t></a:r></a:p>'


def xlsx(*sheets: str, texts: str = "", formats: str = "", book: str = "", properties: str = "") -> bytes:
    """A book with these rows in each sheet; styles are a number, a day, of the format 170 in ``formats``, a duration."""
    named = (f'<sheet name="Sheet{n}" r:id="rId{n}"/>' for n in range(1, len(sheets) + 1))
    listed = [("worksheet", f"sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    numbered = enumerate(sheets, 1)
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f"<workbook {_X} {_R}>{book}<sheets>{''.join(named)}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": relations(*listed, ("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")),
            "xl/sharedStrings.xml": f"<sst {_X}>{texts}</sst>",
            "xl/styles.xml": f'<styleSheet {_X}><numFmts><numFmt numFmtId="170" formatCode="{formats}"/></numFmts>'
            '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="46"/></cellXfs></styleSheet>',
            "docProps/core.xml": _PROPERTIES.format(properties),
            **{f"xl/sheet{n}.xml": f"<worksheet {_X}><sheetData>{rows}</sheetData></worksheet>" for n, rows in numbered},
        }
    )


def pdf(*pages: str, title: str = "", outline: bool = False, password: str = "", picture: bytes = b"") -> bytes:
    """A PDF with these lines on its pages, and ``picture`` before them; with ``outline`` their first lines are headings."""
    from reportlab.lib.pagesizes import A6
    from reportlab.lib.utils import ImageReader, simpleSplit
    from reportlab.pdfgen.canvas import Canvas

    made = io.BytesIO()
    canvas = Canvas(made, pagesize=A6, encrypt=password or None)
    if title:
        canvas.setTitle(title)
        canvas.setAuthor("Ada Lovelace, Luigi Menabrea")
        canvas.setKeywords("engine; loom")
    if picture:
        canvas.drawImage(ImageReader(io.BytesIO(picture)), 0, 200, width=A6[0], preserveAspectRatio=True)
        canvas.showPage()
    for number, page in enumerate(pages):
        if outline:
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry(page.partition("\n")[0], str(number))
        lines = canvas.beginText(40, 350)
        for line in page.split("\n"):
            lines.textLines("\n".join(simpleSplit(line, "Helvetica", 12, A6[0] - 60)))
        canvas.drawText(lines)
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def raw_pdf(*objects: bytes, root: int = 1) -> bytes:
    """A PDF of these objects, numbered from 1."""
    made = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    at = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(made + b"trailer <</Size %d /Root %d 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, root, at))


def epub(*chapters: str, facts: str = "", more: Mapping[str, str] | None = None) -> bytes:
    """A book with these chapters, whose files are in another order than its spine."""
    listed = [(number, f"c{len(chapters) - number}.xhtml") for number in range(len(chapters))]
    items = "".join(
        f'<item id="i{number}" href="t/{name}" media-type="application/xhtml+xml"/>' for number, name in reversed(listed)
    )
    spine = "".join(f'<itemref idref="i{number}"/>' for number, _ in listed)
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="O/b.opf"/></rootfiles></container>',
            "O/b.opf": f'<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>{facts}</metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{
                f"O/t/{name}": f"<html><body>{chapter}</body></html>" for (_, name), chapter in zip(listed, chapters, strict=True)
            },
            **(more or {}),
        }
    )
