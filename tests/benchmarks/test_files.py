"""The files that readers are measured with, and the loops that they are compared with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.files import KINDS, files, packet_of, read, sections
from benchmarks.readers import GRAPH_KINDS, Reader, Script, mixed
from pypes_documents.formats import format_of
from pypes_search.query import search
from tests import needed

WRITERS = {"DOCX": ("docx", "python-docx"), "PPTX": ("pptx", "python-pptx"), "XLSX": ("openpyxl", "openpyxl")}


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_read_whole_and_differ(kind: str) -> None:
    if kind in WRITERS:
        needed.library(*WRITERS[kind])
    texts = set()
    for number, data in enumerate(files(kind, 2)):
        packet = packet_of(kind, data)
        assert format_of(packet) == KINDS[kind].format
        text = "\n".join(found["text"] for found in read(KINDS[kind].format, packet))
        heading, paragraphs = sections(number, KINDS[kind].sections)[0]
        assert heading in text
        words = re.findall(r"\w+", " ".join(paragraphs))
        assert sum(word in text for word in words) > 0.95 * len(words)  # what is a mark in Markdown parts some
        texts.add(text)
    assert len(texts) == 2


@pytest.mark.parametrize("kind", ["PDF", "EML", "HTML"])
def test_both_sides_read_all(kind: str) -> None:
    reader = Reader(kind, 2)
    reader.scheduler.setup()
    try:
        assert reader.scheduled(2) == reader.loop(2) == (12 if kind == "EML" else 4)
    finally:
        reader.scheduler.teardown()


def test_the_script_indexes_all_files(tmp_path: Path) -> None:
    for writer in WRITERS.values():
        needed.library(*writer)
    script = Script(tmp_path / "search.db")
    try:
        assert script.run(mixed(GRAPH_KINDS, 2)) == 12
    finally:
        script.close()
    found = {hit.id.partition("/")[0] for hit in search(tmp_path / "search.db", "Section", 1000)}
    assert len(found) == 12
