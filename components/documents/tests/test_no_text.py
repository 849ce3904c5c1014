"""Empty is not success: a file without text is a dead letter that says so, whatever its format, alone or in another one."""

from __future__ import annotations

import shutil

import pytest

from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.archive_adapter import Archive
from pypes_documents.ocr import INSTALL
from tests.needed import missing

from .made import docx, epub, paragraph, pdf, pptx, shape, tarred, xlsx, zipped
from .reading import refused
from .test_bounds import ADAPTERS
from .test_feeds import FEED
from .test_parquet import file

#: Sound files without any text, by adapter.
EMPTY: dict[str, list[bytes]] = {
    "Archive": [zipped({}), tarred({}), zipped({"a/": "", ".DS_Store": "x"}), zipped({"a.txt": ""})],
    "DOCX": [docx(), docx(paragraph(" \u00a0 "))],
    "Document": [b"", b" \n\t", b"\xef\xbb\xbf", " \n".encode("utf-16"), b"\f"],
    "EML": [b"From: a@example.org\n\n", b"From: a@example.org\nContent-Type: text/html\n\n<p> <script>x()</script>"],
    "EPUB": [epub(), epub(""), epub("<p>&nbsp;</p>", "<svg><text>drawn</text></svg>")],
    "HTML": [b"", b"<p>&nbsp;&#8203;", b"<script>render()</script>"],
    "Markdown": [b"", b"---\ntitle: x\n---\n", b"[a]: b\n", b"<!-- c -->"],
    "PDF": [pdf(""), pdf("", "")],
    "PPTX": [pptx(), pptx(shape("")), pptx(shape("7", holder="sldNum"))],
    "Parquet": [file("parquet", []), file("stream", [])],
    "RSS": [FEED.format("").encode(), FEED.format("<item/>").encode(), FEED.format("<item><title> </title></item>").encode()],
    "SolrXML": [b"<add/>", b"<add><doc/></add>", b"<add><doc><field name='a'/></doc></add>"],
    "Subtitles": [b"WEBVTT\n\n00:01.000 --> 00:02.000\n<i> </i>\n"],
    "XLS": [xlsx(""), xlsx('<row r="1"><c r="A1" t="str"><v> </v></c></row>')],
    "XLSX": [xlsx(), xlsx(""), xlsx('<row><c t="str"><v> </v></c></row>')],
    "XML": [b"<a/>", b"<a> <!-- c --><?p i?></a>"],
}


def test_none_is_missing() -> None:
    assert {*EMPTY} == {*ADAPTERS} - {"OCR"}


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, files in EMPTY.items() for data in files])
def test_a_file_without_text_says_so(name: str, data: bytes) -> None:
    code, reason = refused(ADAPTERS[name], data)
    assert code == "document.no_text", reason


def test_a_picture_without_text_says_so() -> None:
    if shutil.which("tesseract") is None:
        missing(f"no tesseract; {INSTALL}")
    white = b"P5 300 100 255\n" + b"\xff" * 30_000
    assert refused(ADAPTERS["OCR"], white)[0] == "document.no_text"


@pytest.mark.parametrize("name", ["DOCX", "EPUB", "HTML", "Markdown", "PDF", "PPTX", "XLSX", "XML"])
def test_so_does_one_in_an_archive(name: str) -> None:
    data = zipped({f"a.{name.lower()}": EMPTY[name][-1], "b.txt": "text"})
    result = run_component(Archive, [Packet({"data": data})])
    assert [packet["text"] for packet in result.packets] == ["text"]
    assert [letter.code for letter in result.dead_letters] == ["document.no_text"]
