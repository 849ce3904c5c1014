"""Media types by the names of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.core.media_types import FileType, media_type_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("people.csv", "text/csv"),
        ("people.CSV", "text/csv"),
        ("report.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("book.epub", "application/epub+zip"),
        ("README.md", "text/markdown"),
        ("feed.xml", "text/xml"),
        ("feed.rss", "application/rss+xml"),
        ("mail.eml", "message/rfc822"),
        ("lines.jsonl", "application/x-ndjson"),
        ("docs.ndjson", "application/x-ndjson"),
        ("page.xhtml", "application/xhtml+xml"),
        ("compose.yml", "text/yaml"),
        ("all.tar", "application/x-tar"),
        ("app.log", "text/plain"),
        ("a/b.json/c.txt", "text/plain"),
        ("C:\\Users\\me\\report.txt", "text/plain"),
        ("app.log.1", ""),
        ("Makefile", ""),
        (".md", ""),
        ("folder.md/", ""),
        ("", ""),
    ],
)
def test_the_last_suffix_says_the_type(name: str, expected: str) -> None:
    assert media_type_of(name) == FileType(expected)
    assert media_type_of(name).outer == expected


@pytest.mark.parametrize(
    ("name", "expected", "outer"),
    [
        ("people.csv.gz", FileType("text/csv", "gzip"), "application/gzip"),
        ("PEOPLE.CSV.GZ", FileType("text/csv", "gzip"), "application/gzip"),
        ("docs.ndjson.zst", FileType("application/x-ndjson", "zstd"), "application/zstd"),
        ("people.csv.bz2", FileType("text/csv", "bzip2"), "application/x-bzip2"),
        ("people.csv.xz", FileType("text/csv", "xz"), "application/x-xz"),
        ("all.tgz", FileType("application/x-tar", "gzip"), "application/gzip"),
        ("all.tar.gz", FileType("application/x-tar", "gzip"), "application/gzip"),
        ("drawing.svgz", FileType("image/svg+xml", "gzip"), "application/gzip"),
        ("blob.gz", FileType("", "gzip"), "application/gzip"),
        (".gz", FileType(""), ""),
    ],
)
def test_a_compression_is_told_apart_from_the_type(name: str, expected: FileType, outer: str) -> None:
    assert media_type_of(name) == expected
    assert media_type_of(name).outer == outer


def test_the_project_asks_no_other_table() -> None:
    """What the standard library says depends on files of the operating system."""
    root = Path(__file__).parents[2]
    sources = [*root.glob("pypes/**/*.py"), *root.glob("components/*/pypes_*/*.py")]
    assert [str(path) for path in sources if "import mimetypes" in path.read_text()] == []
