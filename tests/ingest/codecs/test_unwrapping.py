"""Files that come compressed or wrapped: counted when they arrive, read as what is in them, whichever way they come."""

from __future__ import annotations

import base64
import gzip
import quopri
from pathlib import Path

import pytest
from backports import zstd

from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest, InvalidInput, TooLarge, UnsupportedMedia
from pypes.ingest.codecs import Checker, check, documents
from pypes.ingest.delivery import Header, Spooled
from pypes.packet import Packet

MULTIPART = "multipart/form-data; boundary=XX"
CSV = b"name,age\nann,3\nbob,4\n"
LINES = b'{"n": 1}\n{"n": 2}\n'
ROOMY = Limits(decompressed_ratio=1 << 20)

ways = pytest.mark.parametrize("how", ["memory", "memory gzip", "spool", "spool gzip"])


def part(content: bytes, filename: str, *fields: str) -> bytes:
    head = "\r\n".join((f'--XX\r\nContent-Disposition: form-data; name="f"; filename="{filename}"', *fields))
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def taken(header: Header, body: bytes, how: str, folder: Path, limits: Limits = ROOMY) -> list[tuple[str, Packet]]:
    """Packets with their types; checked whole and in blocks before, which must count as many."""
    encoding = "gzip" if "gzip" in how else ""
    body = gzip.compress(body) if encoding else body
    header = Header(header.graph, content_type=header.content_type, encoding=encoding, filename=header.filename, length=len(body))
    checker = Checker(header, limits)
    for at in range(0, len(body), 70_001):
        checker.feed(body[at : at + 70_001])
    source: bytes | Spooled = body
    if "spool" in how:
        (folder / "body").write_bytes(body)
        source = Spooled(str(folder / "body"), len(body))
    found = documents(header, source, "receipt", 0.0, limits=limits)
    packets = [(kind, packet) for kind, batch in found for packet in batch if isinstance(packet, Packet)]
    assert checker.finish() == check(header, body, limits)[0] == len(packets)
    return packets


@ways
@pytest.mark.parametrize("size", [len(CSV), 3 * MIB])
def test_a_compressed_file_is_what_is_in_it(how: str, size: int, tmp_path: Path) -> None:
    content = (CSV * (size // len(CSV) + 1))[:size]
    for filename, compressed in (("people.csv.gz", gzip.compress(content)), ("people.csv.zst", zstd.compress(content))):
        ((kind, packet),) = taken(Header("g", filename=filename), compressed, how, tmp_path)
        assert (kind, packet.get_meta("mimetype"), packet.get_meta("filename")) == ("text/csv", "text/csv", filename)
        assert packet.get("data") == content
        with packet.open("data") as stream:
            assert stream.read() == content
        ((kind, packet),) = taken(Header("g", content_type=MULTIPART), part(compressed, filename) + b"--XX--\r\n", how, tmp_path)
        assert (kind, packet.get_meta("mimetype"), packet.get_meta("filename")) == ("text/csv", "text/csv", filename)
        assert packet.get("data") == content
        with packet.open("data") as stream:
            assert stream.read() == content


@ways
def test_documents_in_a_compressed_file_are_counted(how: str, tmp_path: Path) -> None:
    packed = gzip.compress(LINES)
    for header, body in (
        (Header("g", filename="docs.ndjson.gz"), packed),
        (Header("g", content_type="application/x-ndjson", filename="docs.ndjson.gz"), packed),
        (Header("g", content_type="application/gzip", filename="docs.jsonl.gz"), packed),
        (Header("g", content_type="application/x-ndjson", filename="docs.ndjson.gz"), LINES),
        (Header("g", content_type=MULTIPART), part(packed, "docs.ndjson.gz") + b"--XX--\r\n"),
    ):
        found = taken(header, body, how, tmp_path)
        assert [(kind, packet.get("n")) for kind, packet in found] == [("application/json", 1), ("application/json", 2)]


@ways
@pytest.mark.parametrize("size", [40, 3 * MIB])
def test_parts_come_out_of_their_wrappings(how: str, size: int, tmp_path: Path) -> None:
    content = ("<p>café</p>\r\n".encode() * (size // 13))[:size]
    body = (
        part(base64.encodebytes(content), "a.html", "Content-Type: text/html", "Content-Transfer-Encoding: base64")
        + part(quopri.encodestring(content), "b.html", "Content-Type: text/html", "content-transfer-encoding: Quoted-Printable")
        + part(gzip.compress(content), "c.html", "Content-Type: text/html", "Content-Encoding: gzip")
        + part(base64.encodebytes(gzip.compress(content)), "d.html.gz", "Content-Transfer-Encoding: base64")
        + part(content, "e.html", "Content-Type: text/html", "Content-Transfer-Encoding: 8bit")
        + part(base64.b64encode(LINES), "f.ndjson", "Content-Transfer-Encoding: base64")
        + b"--XX--\r\n"
    )
    found = taken(Header("g", content_type="multipart/mixed; boundary=XX"), body, how, tmp_path)
    assert [kind for kind, _ in found] == ["text/html"] * 5 + ["application/json"] * 2
    assert [packet.get("data") == content for _, packet in found[:5]] == [True] * 5


@ways
def test_what_the_label_hides_is_said(how: str, tmp_path: Path) -> None:
    pdf = b"%PDF-1.4\n" + bytes(range(256)) * 8
    body = part(pdf, "a.txt", "Content-Type: text/plain; charset=utf-8") + b"--XX--\r\n"
    for header, content in (
        (Header("g", content_type="text/plain; charset=utf-8"), pdf),
        (Header("g", content_type=MULTIPART), body),
    ):
        ((kind, packet),) = taken(header, content, how, tmp_path)
        assert (kind, packet.get_meta("mimetype"), packet.get_meta("declared_type")) == ("application/pdf",) * 2 + ("text/plain",)
        assert not packet.has_meta("charset")
        assert packet.get("data") == pdf


def fed(header: Header, body: bytes, limits: Limits) -> None:
    checker = Checker(header, limits)
    for at in range(0, len(body), 100):
        checker.feed(body[at : at + 100])
    checker.finish()


def refusal(header: Header, body: bytes, limits: Limits = ROOMY) -> InvalidInput:
    """What a body is refused for, whole and in blocks alike."""
    with pytest.raises(InvalidInput) as whole:
        check(header, body, limits)
    with pytest.raises(InvalidInput) as in_blocks:
        fed(header, body, limits)
    assert (whole.type, whole.value.code) == (in_blocks.type, in_blocks.value.code)
    return whole.value


@pytest.mark.parametrize(
    ("fields", "content", "kind", "reason"),
    [
        (("Content-Transfer-Encoding: base64",), b"***", BadRequest, "not valid base64"),
        (("Content-Transfer-Encoding: uuencode",), b"x", BadRequest, "'uuencode' is not known"),
        (("Content-Encoding: rot13",), b"x", UnsupportedMedia, "'rot13' is not known"),
        (("Content-Encoding: gzip",), b"plain", BadRequest, "not valid gzip"),
        ((), gzip.compress(CSV, mtime=0)[:-3], BadRequest, "not valid gzip: it ends too early"),
        ((), gzip.compress(b"", mtime=0), BadRequest, "the file is empty"),
    ],
)
def test_damage_is_refused_with_the_name_of_the_file(
    fields: tuple[str, ...], content: bytes, kind: type[InvalidInput], reason: str
) -> None:
    error = refusal(Header("g", content_type=MULTIPART), part(content, "people.csv.gz", *fields) + b"--XX--\r\n")
    assert isinstance(error, kind)
    assert "file 'people.csv.gz': " in error.message
    assert reason in error.message
    if not fields:
        assert isinstance(refusal(Header("g", filename="people.csv.gz"), content), kind)


def test_a_bomb_is_refused_in_one_file_and_in_many() -> None:
    limits = Limits()
    bomb = gzip.compress(b" " * (8 * MIB))
    for header, body in (
        (Header("g", filename="a.txt.gz"), bomb),
        (Header("g", content_type=MULTIPART), part(bomb, "a.txt.gz") + b"--XX--\r\n"),
        (Header("g", content_type=MULTIPART), part(gzip.compress(b" " * MIB), "a.txt.gz") * 8 + b"--XX--\r\n"),
    ):
        error = refusal(header, body, limits)
        assert isinstance(error, TooLarge)
        assert error.code == "ingest.decompressed_ratio"
