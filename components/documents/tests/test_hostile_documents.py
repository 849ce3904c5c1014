"""Files that are made to end, fill or stop what reads them, on the way that a node takes: each costs exactly itself."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from pypes import Pipeline
from pypes.packet import Packet
from pypes_documents.document_adapter import Document

from .made import docx, epub, paragraph, pdf, pptx, raw_pdf, shape, xlsx, zipped
from .test_eml import HEAD
from .test_pdf import ROOT, one_page


def bomb_pdf() -> bytes:
    bomb = zlib.compress(b" " * 80_000_000, 1)
    return one_page(b"<</Filter /FlateDecode /Length %d>> stream\n%s\nendstream" % (len(bomb), bomb))


def nested_mails() -> bytes:
    return b"Subject: x\nContent-Type: message/rfc822\n\n" * 3_000 + HEAD + b"\ninnermost"


def many_parts() -> bytes:
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\nContent-Type: text/x\n\n" * 300_000 + b"--b--\n"


def long_docx() -> bytes:
    return docx(*[paragraph("").encode() * 1000] * 300)


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
    "zeros.gz": (lambda: gzip.compress(bytes(100 << 20), 1), {"document.too_large"}),
    "nested.eml": (nested_mails, {"document.too_large"}),
    "parts.eml": (many_parts, {"document.too_large"}),
    "divs.html": (lambda: b"<div>" * 200_000, {"html.too_nested"}),
    "attributes.html": (lambda: b"<p " + b" ".join(b"a%d=1" % n for n in range(200_000)) + b">text", {"html.too_nested"}),
    "deep.xml": (lambda: b"<?xml version='1.0'?>" + b"<a>" * 300_000, {"document.malformed"}),
    "wide.xlsx": (lambda: xlsx('<row><c r="XFD1048576" t="s"><v>99</v></c></row>'), {"document.malformed"}),
    "divs.epub": (lambda: epub("<div>" * 200_000), {"html.too_nested"}),
    "quotes.md": (lambda: b">" * 100_000, {"document.no_text"}),
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
    "good.zip": zipped({"good.txt": "good text"}),
    "good.xml": b"<?xml version='1.0'?><a>good text</a>",
}


@pytest.fixture(scope="module")
def fates() -> dict[str, str]:
    """What became of each file: its text, or the code of its dead letter; hostile ones are between good ones."""
    files: list[tuple[str, bytes]] = []
    good = list(GOOD.items())
    for number, (name, (make, _)) in enumerate(HOSTILE.items()):
        files += [good[number % len(good)], (name, make())]
    files += good
    found: dict[str, str] = {}
    document = Document()
    document.configure({"max_unpacked_bytes": 4 << 20})
    with Pipeline(document) as pipeline:
        for name, data in files:
            before = len(pipeline.dead_letters)
            packets = pipeline.push([Packet({"data": data}, {"filename": name})])
            if len(pipeline.dead_letters) > before:
                found[name] = pipeline.dead_letters[-1].code
            for packet in packets:
                found[name] = packet["text"]
                assert packet.get_meta("blocks", "text") or name.endswith((".zip", ".txt")), name
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_dead_letter(fates: dict[str, str], name: str) -> None:
    assert fates[name] in HOSTILE[name][1]


@pytest.mark.parametrize("name", GOOD)
def test_its_neighbours_are_read(fates: dict[str, str], name: str) -> None:
    assert "good text" in fates[name]
