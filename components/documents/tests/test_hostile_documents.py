"""Files that are made to end, fill or stop what reads them, on the way that a node takes: each costs exactly itself."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow
import pytest
from pyarrow import ipc

from pypes import Pipeline
from pypes.component import Adapter
from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.document_adapter import Document
from pypes_documents.pdf_adapter import PDF
from pypes_documents.rss_adapter import RSS
from pypes_documents.solr_xml_adapter import SolrXML
from pypes_documents.xls_adapter import XLS
from pypes_documents.xml_adapter import XML

from .made import docx, epub, paragraph, pdf, pptx, raw_pdf, shape, xlsx, zipped
from .test_bounds import ADAPTERS, SAMPLES
from .test_eml import HEAD
from .test_lost_pages import changed
from .test_parquet import file, table_file
from .test_pdf import ROOT, one_page


def bomb_pdf() -> bytes:
    bomb = zlib.compress(b" " * 80_000_000, 1)
    return one_page(b"<</Filter /FlateDecode /Length %d>> stream\n%s\nendstream" % (len(bomb), bomb))


def zeros(mib: int) -> bytes:
    """Zeros by gzip, in members of 10 MiB."""
    return gzip.compress(bytes(10 << 20), 1) * (mib // 10)


def nested_mails() -> bytes:
    return b"Subject: x\nContent-Type: message/rfc822\n\n" * 3_000 + HEAD + b"\ninnermost"


def many_parts() -> bytes:
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\nContent-Type: text/x\n\n" * 300_000 + b"--b--\n"


def bare_parts() -> bytes:
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 300_000 + b"--b--\n"


def forms_pdf(*forms: bytes) -> bytes:
    """A PDF whose page draws the first of these forms."""
    page = b"<</Type /Page /Parent 2 0 R /Contents 4 0 R /Resources <</XObject <</X 5 0 R>>>>>>"
    content = b"<</Length 5>> stream\n/X Do\nendstream"
    return raw_pdf(ROOT, b"<</Type /Pages /Kids [3 0 R] /Count 1>>", page, content, *forms)


def form(content: bytes, *, draws: int) -> bytes:
    head = b"<</Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources <</XObject <</X %d 0 R>>>> /Length %d>>"
    return head % (draws, len(content)) + b" stream\n%s\nendstream" % content


def recursive_pdf() -> bytes:
    return forms_pdf(form(b"/X Do", draws=5))


def doubling_pdf() -> bytes:
    """A page with 2 ** 25 forms."""
    return forms_pdf(*(form(b"/X Do /X Do", draws=6 + number) for number in range(25)), form(b"BT ET", draws=5))


def bomb_xlsx() -> bytes:
    """A sheet with five million cells: more than any machine may read, however quick it is."""
    row = b"<row>" + b"<c><v>1</v></c>" * 1000 + b"</row>"
    head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    return changed(xlsx(""), {"xl/sheet1.xml": head + row * 5000 + b"</sheetData></worksheet>"})


def laughs(root: bytes, content: bytes) -> bytes:
    """XML with the entity ``z``, which is ten thousand million times three letters."""
    entities = b"".join(b'<!ENTITY %c "%s">' % (97 + n, b"&%c;" % (96 + n) * 10 if n else b"lol") for n in range(10))
    return b"<?xml version='1.0'?><!DOCTYPE " + root + b" [" + entities + b'<!ENTITY z "&j;">]>' + content


def feed(title: bytes) -> bytes:
    return b"<rss version='2.0'><channel><item><title>" + title + b"</title></item></channel></rss>"


def long_docx() -> bytes:
    return docx(*[paragraph("").encode() * 1000] * 300)


def zeros_parquet() -> bytes:
    return table_file("parquet", pyarrow.table({"x": pyarrow.nulls(5_000_000, pyarrow.int8()).fill_null(0)}))


def long_arrow() -> bytes:
    """An Arrow file with a compressed column that says of itself to be a million times as long as it is."""
    made = io.BytesIO()
    table = pyarrow.table({"x": pyarrow.array(range(9000), pyarrow.int64())})
    with ipc.new_file(made, table.schema, options=ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    length = (72_000).to_bytes(8, "little")
    assert length in made.getvalue()
    return made.getvalue().replace(length, (72_000_000_000).to_bytes(8, "little"))


#: Name → the file, and the codes of the dead letter that it may be.
HOSTILE: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "bomb.pdf": (bomb_pdf, {"document.malformed", "document.no_text"}),
    "loop.pdf": (lambda: raw_pdf(ROOT, b"<</Type /Pages /Kids [2 0 R] /Count 1>>"), {"document.malformed"}),
    "long.docx": (long_docx, {"document.too_large"}),
    "laughs.docx": (
        lambda: zipped({"word/document.xml": b'<!DOCTYPE w [<!ENTITY a "' + b"x" * 9999 + b'">]><w>' + b"&a;" * 9999 + b"</w>"}),
        {"document.no_text", "document.malformed"},
    ),
    "zeros.zip": (lambda: zipped({"zeros.txt": [bytes(1 << 20)] * 100}), {"document.too_large"}),
    "zeros.gz": (lambda: zeros(100), {"document.too_large"}),
    "lines.mbox": (lambda: b"From a Sun Nov 29 08:30:00 2026\n" * 100_000, {"document.malformed"}),
    "nested.eml": (nested_mails, {"document.too_large"}),
    "parts.eml": (many_parts, {"document.too_large"}),
    "divs.html": (lambda: b"<div>" * 200_000, {"html.too_nested"}),
    "attributes.html": (lambda: b"<p " + b" ".join(b"a%d=1" % n for n in range(200_000)) + b">text", {"html.too_nested"}),
    "deep.xml": (lambda: b"<?xml version='1.0'?>" + b"<a>" * 300_000, {"document.malformed"}),
    "wide.xlsx": (lambda: xlsx('<row><c r="XFD1048576" t="s"><v>99</v></c></row>'), {"document.malformed"}),
    "divs.epub": (lambda: epub("<div>" * 200_000), {"html.too_nested"}),
    "quotes.md": (lambda: b">" * 100_000, {"document.no_text"}),
    "recursive.pdf": (recursive_pdf, {"document.no_text"}),
    "doubling.pdf": (doubling_pdf, {"document.no_text"}),
    "bomb.xlsx": (bomb_xlsx, {"document.too_large"}),
    "gigabytes.gz": (lambda: zeros(2000), {"document.too_large"}),
    "bare.eml": (bare_parts, {"document.too_large"}),
    "quote.csv": (lambda: b'a,b\n1,"' + b"x" * 20_000_000, {"csv.malformed"}),
    "laughs.xml": (lambda: laughs(b"a", b"<a>&z;</a>"), {"document.malformed"}),
    "quadratic.xml": (
        lambda: b"<!DOCTYPE a [<!ENTITY x '" + b"y" * 100_000 + b"'>]><a>" + b"&x;" * 100_000 + b"</a>",
        {"document.malformed", "document.no_text"},
    ),
    "laughs.solr.xml": (
        lambda: laughs(b"add", b"<add><doc><field name='a'>&z;</field></doc></add>"),
        {"document.malformed", "document.no_text"},
    ),
    "deep.solr.xml": (lambda: b"<add><doc>" + b"<field name='a'>" * 300_000, {"document.malformed"}),
    "deep.docx": (lambda: zipped({"word/document.xml": b"<w>" * 300_000}), {"document.malformed"}),
    "zeros.parquet": (zeros_parquet, {"document.too_large"}),
    "long.arrow": (long_arrow, {"document.malformed", "isolated.memory"}),
    "comments.xml": (lambda: b"<!---->" * 500 + b"x", {"document.malformed"}),
}
#: Files that are made to take minutes, and are read.
SLOW: dict[str, Callable[[], bytes]] = {
    "laughs.rss": lambda: laughs(b"rss", feed(b"&z; good text")),
    "deep.rss": lambda: feed(b"<a>" * 20_000 + b"good text"),
    "description.rss": lambda: feed(b"&lt;a>" * 100_000 + b"good text"),
    "words.eml": lambda: b"Subject: " + b"=?utf-8?q?a?=\n " * 200_000 + b"\n\ngood text",
    "references.eml": lambda: HEAD + b"References: " + b"<a" * 300_000 + b"\n\ngood text",
    "speakers.vtt": lambda: b"WEBVTT\n\n00:01.000 --> 00:02.000\ngood text" + b"<v a" * 200_000,
    "brackets.md": lambda: b"good text " + b"[" * 30_000,
    "links.md": lambda: b"good text " + b"[a](<b" * 30_000,
}
GOOD = {
    "good.pdf": pdf("good text"),
    "good.docx": docx(paragraph("good text")),
    "good.pptx": pptx(shape("good text")),
    "good.xlsx": xlsx('<row><c t="str"><v>good text</v></c></row>'),
    "good.eml": HEAD + b"\ngood text",
    "good.html": b"<!doctype html><p>good text",
    "good.epub": epub("good text"),
    "good.md": b"# good text",
    "good.parquet": file("parquet", [{"kind": "good text"}]),
    "good.zip": zipped({"good.txt": "good text"}),
    "good.xml": b"<?xml version='1.0'?><a>good text</a>",
}


def fates_of(component: Adapter, files: list[tuple[str, bytes]]) -> dict[str, str]:
    """The text of what became of each file, or the code of its dead letter."""
    found: dict[str, str] = {}
    with Pipeline(component) as pipeline:
        for name, data in files:
            before = len(pipeline.dead_letters)
            packets = pipeline.push([Packet({"data": data}, {"filename": name})])
            if len(pipeline.dead_letters) > before:
                found[name] = pipeline.dead_letters[-1].code
            for packet in packets:
                found[name] = f"{packet.get('title', '')} {packet['text']}"
    return found


@pytest.fixture(scope="module")
def fates() -> dict[str, str]:
    """The fates of all files, hostile ones between good ones."""
    files: list[tuple[str, bytes]] = []
    good = list(GOOD.items())
    for number, (name, (make, _)) in enumerate(HOSTILE.items()):
        files += [good[number % len(good)], (name, make())]
    document = Document()
    document.configure({"max_unpacked_bytes": 4 << 20})
    return fates_of(document, files + good)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_dead_letter(fates: dict[str, str], name: str) -> None:
    assert fates[name] in HOSTILE[name][1]


@pytest.mark.parametrize("name", SLOW)
def test_what_would_take_minutes_is_read(name: str) -> None:
    assert "good text" in fates_of(Document(), [(name, SLOW[name]())])[name]


@pytest.mark.parametrize("name", GOOD)
def test_its_neighbours_are_read(fates: dict[str, str], name: str) -> None:
    assert "good text" in fates[name]


@pytest.mark.parametrize(
    ("adapter", "params", "hostile", "good"),
    [
        (PDF, {"engine": "pdfium"}, [bomb_pdf, recursive_pdf, doubling_pdf], "good.pdf"),
        (XLS, {}, [lambda: xlsx('<row r="1048576"><c r="XFD1048576"><v>7</v></c></row>'), bomb_xlsx], "good.xlsx"),
    ],
    ids=["pdfium", "calamine"],
)
def test_what_ends_or_stops_a_library_costs_itself(
    adapter: type[Adapter], params: dict[str, str], hostile: list[Callable[[], bytes]], good: str
) -> None:
    component = adapter()
    component.configure(params)
    component.timeout_s = 5.0
    files: list[tuple[str, bytes]] = []
    for number, make in enumerate(hostile):
        files += [(f"hostile {number}", make()), (f"good {number}", GOOD[good])]
    found = fates_of(component, files)
    for number in range(len(hostile)):
        assert "good text" in found[f"good {number}"]
        fate = found[f"hostile {number}"]
        assert fate.startswith(("document.", "isolated.")) or fate.endswith("7")


@pytest.mark.parametrize("adapter", [Document, XML, RSS, SolrXML])
@pytest.mark.parametrize("outside", ["<!ENTITY x SYSTEM '{}'>", "<!ENTITY % p SYSTEM '{}'> %p;"])
@pytest.mark.parametrize("root", ["a", "rss", "add"])
def test_nothing_outside_is_read(adapter: type[Adapter], outside: str, root: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("<!ENTITY x 'a secret'>a secret")
    content = {
        "a": "<a>text &x;</a>",
        "rss": "<rss version='2.0'><channel><item><title>text &x;</title></item></channel></rss>",
        "add": "<add><doc><field name='a'>text &x;</field></doc></add>",
    }[root]
    data = f"<?xml version='1.0'?><!DOCTYPE {root} [{outside.format(secret.as_uri())}]>{content}"
    result = run_component(adapter, [Packet({"data": data.encode()})])
    assert result.packets or result.dead_letters
    assert "a secret" not in str([*(packet.get_attributes() for packet in result.packets), *result.dead_letters])


def test_a_feed_does_not_laugh() -> None:
    result = run_component(RSS, [Packet({"data": laughs(b"rss", feed(b"&z; good text"))})])
    assert [len(packet["title"]) < 100 for packet in result.packets] == [True]


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "OCR"])  # where each takes half a second
@pytest.mark.parametrize("seed", range(40))
def test_damage_of_any_kind_is_a_dead_letter_of_the_document(name: str, seed: int) -> None:
    random = Random(f"{name} {seed}")
    data = bytearray(SAMPLES[name])
    for _ in range(random.choice([1, 2, 5, 30])):
        at = random.randrange(len(data))
        match random.randrange(4):
            case 0:
                data[at] = random.randrange(256)
            case 1:
                del data[at : min(at + random.randrange(1, 20), len(data) - 1)]
            case 2:
                data[at:at] = random.randbytes(random.randrange(1, 9))
            case _:
                data[at:at] = data[max(0, at - random.randrange(1, 50)) : at]
    result = run_component(ADAPTERS[name], [Packet({"data": bytes(data)})])
    assert result.packets or result.dead_letters
    assert [letter.error for letter in result.dead_letters if not letter.code.startswith(("document.", "html."))] == []
