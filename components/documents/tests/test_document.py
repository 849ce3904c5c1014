"""Document: which reader takes a file."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.document_adapter import Document
from pypes_documents.formats import FORMATS
from pypes_documents.packages import COMPOUND

from .made import docx, epub, packed, paragraph, pdf, pptx, shape, tarred, xlsx, zipped
from .reading import outline, read, refused
from .test_bounds import ADAPTERS
from .test_eml import HEAD
from .test_parquet import ROWS, file

ROW = '<row><c t="str"><v>pirn</v></c></row>'


class TestDocument(ComponentSuite):
    component = Document

    @pytest.mark.parametrize(
        ("data", "meta", "format"),
        [
            (pdf("x"), {"mimetype": "text/html", "filename": "a.html"}, "pdf"),
            (b"junk before it\n" + pdf("x"), {}, "pdf"),
            (b"\xef\xbb\xbf\r\n" + pdf("x"), {"mimetype": "text/plain"}, "pdf"),
            (b"HTTP/1.1 200 OK\r\nDate: today\r\n\r\n" + pdf("x"), {"mimetype": "application/pdf"}, "pdf"),
            (packed({"a.txt": pdf("x")}), {}, "archive"),
            (tarred({"a.txt": pdf("x")}), {"filename": "a.pdf"}, "archive"),
            (HEAD + b"To: x@example.org\nContent-Transfer-Encoding: binary\n\n" + pdf("x"), {}, "eml"),
            (b"<!doctype html><pre>\n%PDF-1.4\n1 0 obj\n</pre>", {}, "html"),
            (b"A PDF begins with %PDF-1.4 and a line feed", {}, "text"),
            (b"It begins so:\n\n%PDF-1.4\n1 0 obj\n", {"filename": "x.md"}, "markdown"),
            (docx(paragraph("x")), {"filename": "a.zip"}, "docx"),
            (pptx(shape("x")), {}, "pptx"),
            (xlsx(ROW), {"mimetype": "application/zip"}, "xlsx"),
            (epub("x"), {}, "epub"),
            (zipped({"a.txt": "x", "word/b.txt": "y"}), {}, "archive"),
            (HEAD + b"To: x@example.org\n\nx", {}, "eml"),
            (b"From x@example.org Sun Nov 29\n" + HEAD + b"To: x@example.org\n\nx", {"mimetype": "text/plain"}, "eml"),
            (HEAD + b"\nx", {}, "text"),
            (HEAD + b"\nx", {"filename": "a.eml"}, "eml"),
            (b"\n<!-- c --><!DOCTYPE  html><p>x", {"mimetype": "application/pdf"}, "html"),
            (b"<p>x", {"filename": "page.html"}, "html"),
            (b"<p>x", {"filename": "page.txt"}, "text"),
            (b"<?xml version='1.0'?><html><p>x</p></html>", {}, "html"),
            (b"<?xml version='1.0'?><a>x</a>", {}, "xml"),
            (
                b"<?xml version='1.0'?><!-- c --><rss version='2.0'><channel><item><title>x</title></item></channel></rss>",
                {},
                "feed",
            ),
            (b"<!--\nc\n--><rss><channel><item><title>&brvbar;</title></item></channel></rss>", {}, "feed"),
            (b"<feed xmlns='http://www.w3.org/2005/Atom'><entry><title>x</title></entry></feed>", {"filename": "x.xml"}, "feed"),
            (b"<add>\n<doc><field name='a'>b</field></doc></add>", {"mimetype": "text/xml"}, "solr"),
            (b"WEBVTT\n\n00:01.000 --> 00:02.000\nx", {}, "subtitles"),
            (b"1\n00:00:01,000 --> 00:00:02,000\nx", {"filename": "x.srt"}, "subtitles"),
            (b"<feed><x>y</x></feed>", {"mimetype": "text/xml"}, "xml"),
            (b"<svg>x</svg>", {"mimetype": "image/svg+xml"}, "xml"),
            (b"# x", {"mimetype": "text/plain", "filename": "README.md"}, "markdown"),
            (b"# x", {"mimetype": "text/x-c"}, "text"),
            (b"a;b\n1;2\n", {"filename": "t.csv"}, "table"),
            (file("parquet", ROWS), {"mimetype": "application/octet-stream"}, "parquet"),
            (file("file", ROWS), {"filename": "t.feather", "mimetype": "application/vnd.apache.arrow.file"}, "arrow"),
            (file("stream", ROWS), {"mimetype": "text/plain"}, "arrow_stream"),
            ("# x".encode("utf-16"), {"filename": "x.md"}, "markdown"),
            ("grün".encode("latin-1"), {"filename": "x"}, "text"),
        ],
    )
    def test_content_tells_the_format(self, data: bytes, meta: dict[str, Any], format: str) -> None:
        result = run_component(Document, [Packet({"data": data}, meta)])
        assert not result.dead_letters
        packet = result.packets[0]
        if format in ("feed", "solr"):  # parts of another kind
            assert packet.part.startswith(("entry=", "row=")) or packet.get_meta("row") == 1
            return
        if format == "archive":
            assert packet.part == "member=a.txt"
            return
        declared = meta.get("mimetype")
        is_right = declared in FORMATS[format].types or (format == "text" and (declared or "").startswith("text/"))
        assert packet.get_meta("mimetype") == (declared if is_right else FORMATS[format].types[0])
        assert packet.get_meta("declared_type") == (None if is_right else declared)

    def test_a_table_is_one_document(self) -> None:
        packet = read(Document, b"name;cm\r\npirn;3\r\n", {"filename": "t.csv"})
        assert outline(packet) == ["table: [['name', 'cm'], ['pirn', '3']]"]
        assert outline(read(Document, b"a,b\tc\n1\t2", {"filename": "t.tsv"})) == ["table: [['a,b', 'c'], ['1', '2']]"]

    @pytest.mark.parametrize(
        ("data", "code", "reason"),
        [
            (b"", "document.no_text", "no text"),
            (b" \n", "document.no_text", "no text"),
            (b"\x89PNG\r\n\x1a\n\0", "document.unknown", "no reader is for this file (of an unknown type)"),
            (COMPOUND + bytes(512) + "EncryptedPackage".encode("utf-16le"), "document.encrypted", "password"),
            (COMPOUND + bytes(512) + "WordDocument".encode("utf-16le"), "document.unknown", "convert it"),
            (COMPOUND + bytes(512) + "Workbook".encode("utf-16le"), "document.malformed", "damaged"),
            (b"PK\x03\x04nothing", "document.malformed", "damaged"),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, code: str, reason: str) -> None:
        found = refused(Document, data)
        assert found[0] == code
        assert reason in found[1]

    @pytest.mark.parametrize(
        ("data", "meta", "reason"),
        [
            (b"{\\rtf1\\ansi A loom.}", {"filename": "loom.txt", "mimetype": "text/plain"}, "it is RTF"),
            (b"{\\rtf1\\ansi A loom.}", {"mimetype": "application/rtf"}, "convert it, to DOCX or PDF for example"),
            (b"Rar!\x1a\x07\x01\x00", {"filename": "a.rar"}, "it is RAR, which no reader is for; pack it as zip or 7z"),
            (
                b"FEA1" + bytes(20),
                {"filename": "t.feather"},
                "it is Feather of version 1, which no reader is for; write it as version 2",
            ),
            (b"A loom.\0", {"mimetype": "text/plain"}, "has bytes that no text has: byte 7 (from 0) is 0x00"),
            (b"A loom.\0", {"filename": "loom.md", "mimetype": "application/octet-stream"}, "byte 7 (from 0) is 0x00"),
            (b"A \x01\x02 loom.", {"mimetype": "text/csv"}, "byte 2 (from 0) is 0x01"),
            ("A loom.".encode("utf-16le"), {"mimetype": "text/plain"}, "UTF-16 with a byte order mark"),
            (b"\x7fELF\0", {"mimetype": "application/x-elf"}, "no reader is for this file (application/x-elf); convert it"),
        ],
    )
    def test_what_no_reader_is_for_is_told_with_its_reason(self, data: bytes, meta: dict[str, Any], reason: str) -> None:
        code, told = refused(Document, data, meta)
        assert code == "document.unknown"
        assert reason in told
        result = run_component(Document, [Packet({"data": packed({"loom.txt": data})})], unknown="fail")
        if "x-elf" not in reason:
            assert reason in result.dead_letters[0].error

    @pytest.mark.parametrize(
        ("data", "extra"),
        [
            (COMPOUND + bytes(512) + "Workbook".encode("utf-16le"), "sheets"),
            *((file(kind, ROWS), "parquet") for kind in ("parquet", "file", "stream")),
        ],
        ids=["xls", "parquet", "arrow", "arrow stream"],
    )
    def test_a_reader_that_is_not_installed(self, data: bytes, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pypes_documents.nested_adapter.find_spec", lambda name: None)
        reason = f"what reads this file is not installed; run pip install 'pypes-documents[{extra}]'"
        assert refused(Document, data) == ("document.unknown", reason)
        result = run_component(Document, [Packet({"data": packed({"a.txt": b"text", "t": data})})])
        assert [packet["text"] for packet in result.packets] == ["text"]
        assert f"member=t: {reason}" in result.dead_letters[0].error

    def test_deletions_pass(self) -> None:
        deletion = Packet(meta={"requestmethod": "DELETE", "id": "7"})
        assert run_component(Document, [deletion]).packets == [deletion]

    def test_it_accepts_what_the_single_adapters_do(self) -> None:
        assert {media_type for adapter in ADAPTERS.values() for media_type in adapter.accepts} <= {*Document.accepts}
