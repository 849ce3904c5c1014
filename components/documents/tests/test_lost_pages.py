"""Pages that are lost: the document says so in its metadata and in a counter, whatever its format."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence

import pytest

from pypes.component import Adapter
from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.document_adapter import Document
from pypes_documents.epub_adapter import EPUB
from pypes_documents.pdf_adapter import PDF
from pypes_documents.pptx_adapter import PPTX
from pypes_documents.xlsx_adapter import XLSX

from .made import epub, pptx, raw_pdf, shape, xlsx, zipped
from .reading import refused

ROW = '<row><c t="str"><v>{}</v></c></row>'
PAGES = [f"page {number}" for number in range(1, 5)]
#: Adapter, what makes a file of the texts of its pages, and the parts with these.
PACKAGES: dict[str, tuple[type[Adapter], Callable[[Sequence[str]], bytes], list[str]]] = {
    "pptx": (PPTX, lambda pages: pptx(*map(shape, pages)), [f"ppt/slides/s{number}.xml" for number in (3, 2, 1, 0)]),
    "xlsx": (XLSX, lambda pages: xlsx(*map(ROW.format, pages)), [f"xl/sheet{number}.xml" for number in (1, 2, 3, 4)]),
    "epub": (EPUB, lambda pages: epub(*pages), [f"O/t/c{number}.xhtml" for number in (4, 3, 2, 1)]),
}


def changed(data: bytes, parts: Mapping[str, bytes | None]) -> bytes:
    """A package with other contents of these parts, without those that are ``None``."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        contents: dict[str, bytes | None] = {name: package.read(name) for name in package.namelist()}
    return zipped({name: content for name, content in {**contents, **parts}.items() if content is not None})


@pytest.mark.parametrize("kind", PACKAGES)
@pytest.mark.parametrize("single", [True, False])
def test_pages_that_are_missing_or_damaged(kind: str, single: bool) -> None:
    adapter, make, parts = PACKAGES[kind]
    damage = b"<div>" * 20_000 if kind == "epub" else b"<p"
    data = changed(make(PAGES), {parts[1]: None, parts[2]: damage})
    result = run_component(adapter if single else Document, [Packet({"data": data})])
    assert not result.dead_letters, result.dead_letters[0].error
    (packet,) = result.packets
    assert [page in packet["text"] for page in PAGES] == [True, False, False, True]
    assert packet.get_meta("pages_lost") == [2, 3]
    assert result.counts == {"pages_lost": 2}


@pytest.mark.parametrize("kind", PACKAGES)
def test_none_of_the_pages_can_be_read(kind: str) -> None:
    adapter, make, parts = PACKAGES[kind]
    code, reason = refused(adapter, changed(make(PAGES), dict.fromkeys(parts)))
    assert code == "document.malformed"
    assert "none of the 4 " in reason
    assert f"its part {parts[0]} is missing" in reason


@pytest.mark.parametrize("kind", PACKAGES)
def test_one_is_lost_and_the_others_have_no_text(kind: str) -> None:
    adapter, make, parts = PACKAGES[kind]
    code, reason = refused(adapter, changed(make([""] * 4), {parts[1]: None}))
    assert code == "document.malformed"
    assert "1 of 4 " in reason
    assert reason.endswith(f"its part {parts[1]} is missing), and the others have no text")


def test_texts_that_a_sheet_refers_to_and_that_are_not_there() -> None:
    rows = '<row><c t="s"><v>7</v></c><c t="str"><v>here</v></c></row>'
    result = run_component(XLSX, [Packet({"data": xlsx(rows, "<row><c><v>1</v></c></row>")})])
    (packet,) = result.packets
    assert "here" in packet["text"]
    assert packet.get_meta("pages_lost") == [1]
    shared = changed(xlsx(rows), {"xl/sharedStrings.xml": None})
    assert refused(XLSX, shared) == ("document.malformed", "the XLSX is damaged: its part xl/sharedStrings.xml is missing")


def test_a_pdf_without_pages() -> None:
    data = raw_pdf(b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [] /Count 0>>")
    assert refused(PDF, data) == ("document.malformed", "the PDF has no pages")
