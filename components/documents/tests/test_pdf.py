"""PDF, by each of its libraries."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from pypdf.errors import DependencyError

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.pdf_adapter import PDF

from .made import pdf, raw_pdf
from .reading import outline, read, refused

PAGE = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents %d 0 R /Resources <</Font <</F 5 0 R>>>>>>"
FONT = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"
BOMB = zlib.compress(b" " * 200_000_000, 1)
ROOT = b"<</Type /Catalog /Pages 2 0 R>>"


def stream(content: bytes) -> bytes:
    return b"<</Length %d>> stream\n%s\nendstream" % (len(content), content)


def one_page(content: bytes) -> bytes:
    """A PDF with a page whose content stream is this object."""
    return raw_pdf(ROOT, b"<</Type /Pages /Kids [3 0 R] /Count 1>>", PAGE % 4, content, FONT)


class TestPDF(ComponentSuite):
    component = PDF

    @pytest.mark.parametrize("engine", ["pypdf", "pdfium"])
    def test_pages_headings_and_properties(self, engine: str) -> None:
        data = pdf("Looms\nCards choose the thr-\neads of a 3-\n4 loom.", "2.1 Parts\nThe pirn.", title="On looms", outline=True)
        packet = read(PDF, data, engine=engine)
        assert outline(packet) == [
            "heading1@1: Looms",
            "paragraph@1: Cards choose the threads of a 3-\n4 loom.",
            "heading1@2: 2.1 Parts",
            "paragraph@2: The pirn.",
        ]
        assert packet["title"] == "On looms"
        assert packet["author"] == ["Ada Lovelace", "Luigi Menabrea"]
        assert packet["keywords"] == ["engine", "loom"]
        assert packet["pages"] == 2
        assert len(packet["created"]) == len("2026-11-29T08:30:00Z")

    @pytest.mark.parametrize("engine", ["pypdf", "pdfium"])
    @pytest.mark.parametrize("title", ["untitled", " Untitled ", " "])
    def test_what_programs_write_for_a_title_that_is_missing_is_none(self, title: str, engine: str) -> None:
        assert not read(PDF, pdf("Looms", title=title), engine=engine).has("title")

    @pytest.mark.parametrize("engine", ["pypdf", "pdfium"])
    def test_a_heading_may_run_over_lines(self, engine: str) -> None:
        heading = "3.1 " + " ".join(["threads of the warp and the weft"] * 5)
        packet = read(PDF, pdf(f"{heading}\nThe pirn turns.", outline=True), engine=engine)
        assert outline(packet) == [f"heading1@1: {heading}", "paragraph@1: The pirn turns."]

    @pytest.mark.parametrize("engine", ["pypdf", "pdfium"])
    @pytest.mark.parametrize(
        ("data", "code", "reason"),
        [
            (pdf(""), "document.no_text", "set ocr to auto"),
            (pdf("secret", password="p"), "document.encrypted", "password"),
            (b"%!PS", "document.malformed", "does not begin with %PDF-"),
            (b"%PDF-1.7\nnothing", "document.malformed", "the PDF is damaged"),
        ],
        ids=["empty", "encrypted", "other", "cut"],
    )
    def test_what_cannot_be_read(self, data: bytes, code: str, reason: str, engine: str) -> None:
        found = refused(PDF, data, engine=engine)
        assert found[0] == code
        assert reason in found[1]

    def test_letters_that_are_set_as_one(self) -> None:
        font = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding <</Differences [1 /fi /fl /ff /ffi]>>>>"
        kids = b"<</Type /Pages /Kids [3 0 R] /Count 1>>"
        page = stream(b"BT /F 12 Tf (pre\001x \002y o\003 su\004x) Tj ET")
        assert read(PDF, raw_pdf(ROOT, kids, PAGE % 4, page, font))["text"] == "prefix fly off suffix"

    def test_ligatures_whose_codes_only_the_font_knows(self) -> None:
        page = stream(rb"BT /F 12 Tf (de\014ne a \015y, o\013, 5 \014 x) Tj ET")
        assert read(PDF, one_page(page))["text"] == "define a fly, off, 5\n x"

    @pytest.mark.parametrize("engine", ["pypdf", "pdfium"])
    def test_a_line_end_that_is_shown_as_a_letter_is_no_ligature(self, engine: str) -> None:
        data = one_page(stream(rb"BT /F 12 Tf (warp\015weft) Tj ET"))
        assert read(PDF, data, engine=engine)["text"].split() == ["warp", "weft"]

    def test_glyphs_that_are_variants_of_others(self) -> None:
        names = b"/one.oldstyle /a.sc /f_i /f_f_l.alt /nothing.alt /a_nothing /.notdef"
        font = b"<</Type /Font /Subtype /Type1 /BaseFont /X /Encoding <</Differences [1 %s]>>>>" % names
        kids = b"<</Type /Pages /Kids [3 0 R] /Count 1>>"
        page = stream(b"BT /F 12 Tf (\001 \002 \003 \004 \005 \006) Tj ET")
        assert read(PDF, raw_pdf(ROOT, kids, PAGE % 4, page, font))["text"] == "1 a fi ffl /nothing.alt /a_nothing"

    def test_pages_that_are_lost_are_named(self) -> None:
        kids = b"<</Type /Pages /Kids [3 0 R 6 0 R] /Count 2>>"
        broken = b"<</Filter /NoSuchFilter /Length 1>> stream\nx\nendstream"
        data = raw_pdf(ROOT, kids, PAGE % 4, stream(b"BT /F 12 Tf (good text) Tj ET"), FONT, PAGE % 7, broken)
        result = run_component(PDF, [Packet({"data": data})])
        assert [packet["text"] for packet in result.packets] == ["good text"]
        assert result.packets[0].get_meta("pages_lost") == [2]
        assert result.counts == {"pages_lost": 1}
        code, reason = refused(PDF, one_page(broken))
        assert code == "document.malformed"
        assert "none of the 1 pages of the PDF can be read" in reason

    @pytest.mark.parametrize(
        "data",
        [
            one_page(b"<</Filter /FlateDecode /Length %d>> stream\n%s\nendstream" % (len(BOMB), BOMB)),
            raw_pdf(ROOT, b"<</Type /Pages /Kids [2 0 R] /Count 1>>"),
            raw_pdf(b"<</Type /Catalog /Pages 1 0 R>>"),
        ],
        ids=["bomb", "own parent", "no pages"],
    )
    def test_hostile(self, data: bytes) -> None:
        assert refused(PDF, data)[0] in ("document.malformed", "document.no_text")

    def test_what_decrypts_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: object) -> None:
            raise DependencyError("cryptography>=3.1 is required for AES algorithm")

        monkeypatch.setattr("pypdf.PdfReader.__init__", fail)
        code, reason = refused(PDF, pdf("x"))
        assert code == "document.encrypted"
        assert "pip install 'pypes-documents[aes]'" in reason

    def test_a_library_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pypes_documents.pdf_adapter.find_spec", lambda name: None)
        params: dict[str, Any] = {"engine": "pdfium"}
        with pytest.raises(Exception, match=r"pip install 'pypes-documents\[pdfium\]'"):
            PDF().configure(params)
