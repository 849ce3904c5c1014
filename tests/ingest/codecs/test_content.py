"""What a content is, by label, name and first bytes."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest
from backports import zstd

from pypes.ingest.codecs.content import content_of, is_plainly, needs_head
from pypes.ingest.codecs.media import parse

# without the time: it would be in the names of the tests, which must be the same in every process
GZ = gzip.compress(b"name,age\nann,3\n", mtime=0)
ZST = zstd.compress(b"name,age\nann,3\n")
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"


def zipped(*names: str, first: bytes = b"x" * 40) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, first)
    return file.getvalue()


@pytest.mark.parametrize(
    ("declared", "name", "head", "expected"),
    [
        # the name says how it is compressed, and it is
        ("", "people.csv.gz", GZ, ("text/csv", "gzip", "")),
        ("application/octet-stream", "people.csv.zst", ZST, ("text/csv", "zstd", "")),
        ("application/gzip", "people.csv.gz", GZ, ("text/csv", "gzip", "")),
        ("text/csv; charset=latin-1", "people.csv.gz", GZ, ("text/csv", "gzip", "")),
        ("application/x-ndjson", "docs.ndjson.gz", GZ, ("application/x-ndjson", "gzip", "")),
        # the name says so, and it is not: inflated on the way, perhaps
        ("text/csv", "people.csv.gz", b"name,age\n", ("text/csv", "", "")),
        # what is in it is not known, or nothing here undoes it
        ("", "blob.gz", GZ, ("application/gzip", "", "")),
        ("", "people.csv.bz2", b"BZh91AY&SY", ("application/x-bzip2", "", "")),
        ("text/csv", "people.csv.xz", b"\xfd7zXZ\0", ("application/x-xz", "", "text/csv")),
        # the label cannot be right
        ("text/plain", "", PDF, ("application/pdf", "", "text/plain")),
        ("text/plain", "report.txt", GZ, ("application/gzip", "", "text/plain")),
        ("text/html", "", b"\x89PNG\r\n\x1a\n", ("image/png", "", "text/html")),
        ("text/plain", "", b"\xff\xd8\xff\xe0", ("image/jpeg", "", "text/plain")),
        ("text/plain", "", b"GIF89a\x01\x00\x01\x00", ("image/gif", "", "text/plain")),
        ("text/plain", "", ZST, ("application/zstd", "", "text/plain")),
        ("text/plain", "", zipped("a.txt"), ("application/zip", "", "text/plain")),
        ("text/plain", "", zipped("[Content_Types].xml", "word/document.xml"), (DOCX, "", "text/plain")),
        ("text/plain", "", zipped("mimetype", "content.xml", first=ODT.encode()), (ODT, "", "text/plain")),
        ("", "", zipped("mimetype", first=b"application/epub+zip"), ("application/epub+zip", "", "")),
        ("text/plain", "old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ("application/msword", "", "text/plain")),
        ("", "", PDF, ("application/pdf", "", "")),
        ("", "notes.txt", PDF, ("application/pdf", "", "")),
        # the name, where nothing else is known
        ("", "people.csv", b"a,b\n", ("text/csv", "", "")),
        ("application/octet-stream", "x.docx", zipped("a"), (DOCX, "", "")),
        ("", "x", b"abc", ("application/octet-stream", "", "")),
        # what could be a text, and labels that may be right
        ("text/plain", "", b"GIF89a is a format of images.", ("text/plain", "", "")),
        ("text/plain", "", b"%PDF-1.7 is a version of PDF.", ("text/plain", "", "")),
        ("text/plain", "people.csv", b"a,b\n", ("text/plain", "", "")),
        ("application/x-own", "", GZ, ("application/x-own", "", "")),
        ("application/json", "people.json", GZ, ("application/json", "", "")),
        ("text/plain", "", b"", ("text/plain", "", "")),
    ],
)
def test_content(declared: str, name: str, head: bytes, expected: tuple[str, str, str]) -> None:
    content = content_of(parse(declared), name, head)
    assert (content.media.type, content.compression, content.declared) == expected
    if expected[0] != (declared.partition(";")[0] or "application/octet-stream") or expected[1]:
        assert needs_head(parse(declared), name)
        assert not is_plainly(parse(declared), head)


def test_a_declared_type_keeps_its_parameters() -> None:
    assert content_of(parse("text/csv; charset=latin-1"), "people.csv.gz", GZ).media.parameters["charset"] == "latin-1"


def test_most_types_need_no_look() -> None:
    assert not needs_head(parse("application/json"), "")
    assert not needs_head(parse("application/json"), "people.json")
    assert not needs_head(parse("application/pdf"), "")
