"""Bounds: each parameter that an adapter has for one holds, and the dead letter names it."""

from __future__ import annotations

import shutil
from importlib import metadata
from typing import Any, cast

import pytest

from pypes.component import Adapter
from pypes.errors import Reject
from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.job import MOST_BLOCKS, Text
from pypes_documents.names import Names
from pypes_documents.ocr import INSTALL
from pypes_documents.ocr_adapter import OCR
from tests.needed import missing

from .made import docx, epub, paragraph, pdf, pptx, shape, xlsx, zipped
from .test_eml import mail
from .test_feeds import ADD, FEED, ITEM
from .test_parquet import ROWS, file
from .test_subtitles import SRT

ADAPTERS: dict[str, type[Adapter]] = {
    entry.name: component
    for entry in metadata.distribution("pypes-documents").entry_points.select(group="pypes.components")
    if issubclass(component := entry.load(), Adapter)
}


def nested(content: bytes) -> bytes:
    """A mail with a file in an archive in an archive."""
    made = mail("Two words.")
    data = zipped({"b.zip": zipped({"c.docx": content}), "d.txt": "text"})
    made.add_attachment(data, maintype="application", subtype="zip", filename="a.zip")
    return made.as_bytes()


CELL = '<row><c t="str"><v>two words</v></c></row>'
PICTURE = OCR.example.taken()["in"][0]["data"] if OCR.example else b""
WORDS = docx(paragraph("two words"))
#: A document for each adapter, with several parts where it may have such, which exceeds any of its bounds that is 1.
SAMPLES: dict[str, bytes] = {
    "Archive": zipped({"a.zip": zipped({"b.docx": WORDS}), "c.txt": "two words"}),
    "DOCX": WORDS,
    "Document": nested(WORDS),
    "EML": nested(WORDS),
    "EPUB": epub("two words"),
    "HTML": b"<p>two words",
    "Markdown": b"two words",
    "OCR": PICTURE,
    "PDF": pdf("two words"),
    "PPTX": pptx(shape("two words")),
    "Parquet": file("parquet", ROWS),
    "RSS": FEED.format(ITEM.format("1") + ITEM.format("2")).encode(),
    "SolrXML": ADD,
    "Subtitles": SRT.encode(),
    "XLS": xlsx('<row r="1"><c r="A1" t="str"><v>two words</v></c></row>'),
    "XLSX": xlsx(CELL),
    "XML": b"<a><b>two words</b><b>more</b></a>",
}
#: Bounds of XML that count its rows.
OF_ROWS = {"max_parts", "max_unpacked_bytes"}
#: Packed to a thousandth: bounds of the ratio do not hold for small files.
ZEROS = zipped({"zeros.docx": [bytes(1 << 20)] * 20})


BOUNDS = [
    (name, parameter)
    for name, adapter in ADAPTERS.items()
    for parameter in adapter().schema()["properties"]
    if parameter.startswith("max_")
]


@pytest.mark.parametrize(("name", "parameter"), BOUNDS)
def test_each_bound_holds_and_is_named(name: str, parameter: str) -> None:
    if name == "OCR" and shutil.which("tesseract") is None:
        missing(f"no tesseract; {INSTALL}")
    data = SAMPLES[name]
    if parameter == "max_ratio":
        data = ZEROS if name == "Archive" else nested(ZEROS)
    params: dict[str, Any] = {"rows": "//b", "fields": {"x": "."}} if name == "XML" and parameter in OF_ROWS else {}
    result = run_component(ADAPTERS[name], [Packet({"data": data})], **params, **cast(dict[str, Any], {parameter: 1}))
    (letter,) = result.dead_letters
    assert letter.code in ("document.too_large", "html.too_large")
    assert f"{parameter} (1)" in letter.error


@pytest.mark.parametrize("name", SAMPLES)
def test_without_bounds_of_its_own_each_is_read(name: str) -> None:
    if name == "OCR" and shutil.which("tesseract") is None:
        missing(f"no tesseract; {INSTALL}")
    result = run_component(ADAPTERS[name], [Packet({"data": SAMPLES[name]})])
    assert not result.dead_letters
    assert result.packets


def test_a_table_of_empty_cells_counts_as_the_text_that_it_becomes() -> None:
    rows = [["x"] * 100, *[["x"]] * 99]
    text = Text(40_000)
    text.add_table(rows)
    assert 30_000 < len(text.text) < 40_000
    with pytest.raises(Reject, match="longer than max_chars"):
        Text(20_000).add_table(rows)


def test_paragraphs_without_end_are_no_matter_of_characters() -> None:
    text = Text(10)
    for _ in range(MOST_BLOCKS):
        text.add("")
    with pytest.raises(Reject, match=f"has more than {MOST_BLOCKS} paragraphs; split it$"):
        text.add("")


def test_names_that_come_again_and_again_take_no_time() -> None:
    names = Names()
    for number in range(2, 30_000):
        names.add(f"a ({number})")
    assert [names.add("a") for _ in range(30_000)][-2:] == ["a (59997)", "a (59998)"]
