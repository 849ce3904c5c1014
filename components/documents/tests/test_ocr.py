"""Recognition of text in pictures, with tesseract."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from pypes.errors import InvalidInput
from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.document_adapter import Document
from pypes_documents.ocr import INSTALL
from pypes_documents.ocr_adapter import OCR
from pypes_documents.pdf_adapter import PDF
from tests.needed import missing

from .made import pdf, zipped
from .reading import outline, read, refused

FOUND = ["paragraph@1: A loom has a warp."]


@pytest.fixture(autouse=True)
def tesseract() -> None:
    if shutil.which("tesseract") is None:
        missing(f"no tesseract; {INSTALL}")


@pytest.fixture(scope="module")
def picture() -> bytes:
    """A line of text as a PNG."""
    document = pypdfium2.PdfDocument(pdf("A loom has a warp."))
    made = io.BytesIO()
    page = document[0].render(scale=3, grayscale=True).to_pil()
    page.crop((0, 0, page.width, 300)).save(made, "png")
    document.close()
    return made.getvalue()


@pytest.fixture(scope="module")
def scan(picture: bytes) -> bytes:
    """A PDF with that picture on its first page, text on its second, and nothing on its third."""
    return pdf("Plain text.", "", picture=picture)


def tiff(*pages: bytes) -> bytes:
    """A TIFF with these pictures."""
    first, *others = (Image.open(io.BytesIO(page)) for page in pages)
    made = io.BytesIO()
    first.save(made, "tiff", save_all=True, append_images=others)
    return made.getvalue()


class TestOCR(ComponentSuite):
    component = OCR

    def test_a_picture(self, picture: bytes) -> None:
        packet = read(OCR, picture)
        assert outline(packet) == FOUND
        assert packet.get_meta("pages_ocr") == [1]

    def test_what_cannot_be_read(self) -> None:
        code, reason = refused(OCR, b"\x89PNG\r\n\x1a\n")
        assert code == "document.malformed"
        assert "tesseract cannot read the picture" in reason
        assert refused(OCR, b"P5 9 9 255\n" + b"\xff" * 81)[0] in ("document.no_text", "document.malformed")

    def test_pages_of_a_tiff(self, picture: bytes) -> None:
        packet = read(OCR, tiff(picture, picture))
        assert outline(packet) == [*FOUND, FOUND[0].replace("@1", "@2")]
        assert (packet["pages"], packet.get_meta("pages_ocr"), packet.get_meta("pages_lost")) == (2, [1, 2], None)

    @pytest.mark.parametrize(
        "harm",
        [
            lambda data, at: data[:at] + b"\xff" * 40 + data[at + 40 :],
            lambda data, at: data[: at + 2],
            lambda data, at: data[:at],
        ],
    )
    def test_a_page_of_a_tiff_that_is_lost(self, picture: bytes, harm: Callable[[bytes, int], bytes]) -> None:
        data = tiff(picture, picture)
        first = int.from_bytes(data[4:8], "little")
        second = int.from_bytes(data[(end := first + 2 + 12 * data[first]) : end + 4], "little")
        result = run_component(OCR, [Packet({"data": harm(data, second)})])
        (packet,) = result.packets
        assert outline(packet) == FOUND
        assert (packet["pages"], packet.get_meta("pages_ocr"), packet.get_meta("pages_lost")) == (2, [1], [2])
        assert result.counts == {"pages_ocr": 1, "pages_lost": 1}

    @pytest.mark.parametrize("before", [b"", b"GIF8", b"\x89PNG\r\n"])
    def test_the_body_is_never_a_list_of_files(self, picture: bytes, tmp_path: Path, before: bytes) -> None:
        secret = tmp_path / "secret.png"
        secret.write_bytes(picture)
        code, reason = refused(OCR, before + str(secret).encode())
        assert code == "document.malformed"
        assert "no PNG, JPEG, TIFF, BMP, WebP or GIF" in reason

    def test_the_time_of_a_picture_is_bounded(self, picture: bytes) -> None:
        code, reason = refused(OCR, picture, ocr_page_s=0.001)
        assert code == "document.too_large"
        assert "ocr_page_s (0.001 s)" in reason


class TestPDF:
    def test_pages_that_are_pictures(self, scan: bytes) -> None:
        result = run_component(PDF, [Packet({"data": scan})], ocr="auto")
        (packet,) = result.packets
        assert outline(packet) == [*FOUND, "paragraph@2: Plain text."]
        assert packet.get_meta("pages_ocr") == [1]
        assert result.counts == {"pages_ocr": 1}
        assert outline(read(PDF, scan)) == ["paragraph@2: Plain text."]

    def test_empty_pages(self) -> None:
        assert refused(PDF, pdf(""))[1].endswith("set ocr to auto")
        assert refused(PDF, pdf(""), ocr="auto")[1].endswith("none was recognized in pictures, either")


class TestDocument:
    def test_pictures_in_an_archive(self, picture: bytes, scan: bytes) -> None:
        data = zipped({"a.png": picture, "b.pdf": scan})
        result = run_component(Document, [Packet({"data": data})], ocr="auto")
        assert [outline(packet)[0] for packet in result.packets] == FOUND * 2
        assert result.counts == {"pages_ocr": 2}
        assert run_component(Document, [Packet({"data": data})]).counts == {"parts_skipped": 1, "parts_skipped_picture": 1}

    @pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp", "webp", "gif"])
    def test_pictures_of_all_formats(self, picture: bytes, kind: str) -> None:
        made = io.BytesIO()
        Image.open(io.BytesIO(picture)).save(made, kind)
        assert outline(read(Document, made.getvalue(), ocr="auto")) == FOUND

    def test_a_picture_without_it(self, picture: bytes) -> None:
        code, reason = refused(Document, picture, {"mimetype": "image/png"})
        assert code == "document.unknown"
        assert "set ocr to auto" in reason


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypes_documents.ocr.shutil.which", lambda name: None)
    for adapter in (PDF, Document):
        with pytest.raises(InvalidInput, match="apt-get install tesseract-ocr"):
            adapter().configure({"ocr": "auto"})


def test_languages_are_no_options() -> None:
    with pytest.raises(InvalidInput, match="ocr_languages"):
        OCR().configure({"ocr_languages": "eng --psm 6"})
