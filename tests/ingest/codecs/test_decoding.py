"""Packets of a delivery: whatever the form, and wherever the body lies."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.core.identity import Version
from pypes.core.limits import MIB, Limits
from pypes.core.media_types import PACKETS
from pypes.errors import BadRequest, TooLarge
from pypes.ingest.codecs import check, documents
from pypes.ingest.delivery import Header, Spooled
from pypes.packet import Packet

MULTIPART = "multipart/form-data; boundary=XX"


def read(header: Header, body: bytes | Spooled, limits: Limits | None = None, run: int = 0) -> list[tuple[str, list[Packet]]]:
    batches = []
    for route, batch in documents(header, body, "receipt", 1.5, limits=limits or Limits(), run=run):
        packets = [each for each in batch if isinstance(each, Packet)]
        assert len(packets) == len(batch), "some could not be read"
        batches.append((route, packets))
    return batches


def flat(batches: list[tuple[str, list[Packet]]]) -> list[Packet]:
    return [packet for _, batch in batches for packet in batch]


def lie(body: bytes, how: str, folder: Path) -> tuple[str, bytes | Spooled]:
    """A body where and how it may lie: encoding, source."""
    encoding = "gzip" if "gzip" in how else ""
    stored = gzip.compress(body) if encoding else body
    if "spool" not in how:
        return encoding, stored
    path = folder / "body"
    path.write_bytes(stored)
    return encoding, Spooled(str(path), len(stored))


ways = pytest.mark.parametrize("how", ["memory", "memory gzip", "spool", "spool gzip"])


@ways
@pytest.mark.parametrize("form", ["application/json", "application/x-ndjson"])
def test_json_documents_become_fields_in_waves(how: str, form: str, tmp_path: Path) -> None:
    values = [{"n": n, "tags": ["a", "b"]} for n in range(600)]
    body = orjson.dumps(values) if form.endswith("/json") else b"\n".join(map(orjson.dumps, values))
    encoding, source = lie(body, how, tmp_path)
    header = Header("g", content_type=form, encoding=encoding, route="news", length=len(source), documents=600)
    batches = read(header, source)
    assert {media for media, _ in batches} == {"application/json"}
    assert max(len(batch) for _, batch in batches) <= 256
    packets = flat(batches)
    assert [packet.get("n") for packet in packets] == list(range(600))
    assert packets[5].get("tags") == ["a", "b"]
    assert packets[5].get_metas()[0] == {
        "mimetype": "application/json",
        "contentlength": len(source),
        "requestmethod": "POST",
        "receipt": "receipt",
        "processingtime": "1970-01-01T00:00:01.500Z",
        "route": "news",
        "index": 5,
    }
    packets[5].set_meta("own", 1)
    assert not packets[6].has_meta("own")


@pytest.mark.parametrize("form", ["application/json", "application/x-ndjson", MULTIPART])
def test_what_was_accepted_is_read_though_less_depth_is_allowed_today(form: str) -> None:
    value = b'{"a": {"b": [1]}}'
    body = part(value, "a.json", "application/json") + b"--XX--\r\n" if form == MULTIPART else value
    (packet,) = flat(read(Header("g", content_type=form), body, Limits(json_depth=2)))
    assert packet.get("a") == {"b": [1]}


@pytest.mark.parametrize("wave", [1, 2, 3, 256])
def test_lines_that_are_not_simply_documents(wave: int) -> None:
    body = b'{"n": 1}\n{"n": 2}\n\n{"n": 3}\r\n \t\r\n\xef\xbb\xbf{"n": 4}\n{"n": 5}\n'
    batches = read(Header("g", content_type="application/x-ndjson", documents=5), body, Limits(wave_packets=wave))
    assert [(packet.get("n"), packet.get_meta("index")) for packet in flat(batches)] == [(n, n - 1) for n in range(1, 6)]
    assert max(len(batch) for _, batch in batches) <= wave
    for line in (b"[]", b"1", b"x"):
        with pytest.raises(BadRequest, match="line 8"):
            read(Header("g", content_type="application/x-ndjson"), body + line, Limits(wave_packets=wave))


@ways
def test_other_types_become_bytes(how: str, tmp_path: Path) -> None:
    body = b"<p>" + bytes(range(256)) * 100
    encoding, source = lie(body, how, tmp_path)
    ((media, (packet,)),) = read(Header("g", "PUT", "text/html; charset=latin-1", encoding, id="7", filename="x.html"), source)
    assert media == "text/html"
    assert packet.get("data") == body
    with packet.open("data") as stream:
        assert stream.read() == body
    metas = packet.get_metas()[0]
    assert (metas["charset"], metas["id"], metas["filename"], metas["requestmethod"]) == ("latin-1", "7", "x.html", "PUT")


def test_a_large_value_is_read_only_as_a_stream(tmp_path: Path) -> None:
    encoding, source = lie(b"x" * 1000, "spool gzip", tmp_path)
    limits = Limits(packet_bytes=999)
    ((_, (packet,)),) = read(Header("g", "POST", "text/plain", encoding), source, limits)
    with pytest.raises(TooLarge):
        packet.get("data")
    with packet.open("data") as stream:
        assert len(stream.read()) == 1000


def part(content: bytes, filename: str, content_type: str) -> bytes:
    head = f'--XX\r\nContent-Disposition: form-data; name="f"; filename="{filename}"\r\nContent-Type: {content_type}\r\n\r\n'
    return head.encode() + content + b"\r\n"


@ways
def test_files_of_a_multipart_body(how: str, tmp_path: Path) -> None:
    large = bytes(range(256)) * (5 * MIB // 256)
    body = (
        part(b"one", "1.txt", "text/plain; charset=ascii")
        + part(b"two", "2.txt", "text/plain")
        + part(large, "large.bin", "application/octet-stream")
        + part(b'[{"a": 1}, {"a": 2}]', "docs.json", "application/json")
        + part(b'{"a": 3}\n{"a": 4}\n', "docs.jsonl", "application/x-ndjson")
        + b"--XX--\r\n"
    )
    limits = Limits(decompressed_ratio=1 << 20)
    encoding, source = lie(body, how, tmp_path)
    header = Header("g", content_type=MULTIPART, encoding=encoding)
    batches = read(header, source, limits)
    assert [(media, len(batch)) for media, batch in batches] == [
        ("text/plain", 2),
        ("application/octet-stream", 1),
        ("application/json", 4),
    ]
    packets = flat(batches)
    assert [packet.get_meta("filename") for packet in packets] == [
        "1.txt",
        "2.txt",
        "large.bin",
        *["docs.json"] * 2,
        *["docs.jsonl"] * 2,
    ]
    assert packets[0].get_meta("charset") == "ascii"
    assert not packets[1].has_meta("charset")
    assert packets[2].get("data") == large
    assert packets[2].get_meta("contentlength") == len(large)
    assert [packet.get("a") for packet in packets[3:]] == [1, 2, 3, 4]
    if isinstance(source, bytes):
        assert check(header, source, limits)[0] == len(packets)


def test_a_large_file_within_a_spooled_body_is_a_handle(tmp_path: Path) -> None:
    _, source = lie(part(b"y" * (2 * MIB), "y", "text/plain") + b"--XX--", "spool", tmp_path)
    ((_, (packet,)),) = read(Header("g", content_type=MULTIPART), source)
    with packet.open("data") as stream:
        assert stream.read(3) == b"yyy"
        assert len(stream.read()) == 2 * MIB - 3


@pytest.mark.parametrize(("header", "kept"), [({}, None), ({"replays": "letter"}, None), ({"start": "source"}, "row=1")])
def test_only_packets_made_here_say_of_what_they_are_part(header: dict[str, Any], kept: str | None) -> None:
    row = Packet({}, {"id": "sheet", "run": 3}).derive("row", 1, {"a": 1}).to_json()
    body = orjson.dumps([row, row])
    for way in (Header("g", content_type=PACKETS, **header), Header("g", content_type=PACKETS, documents=2, **header)):
        packets = flat(read(way, body))
        found = [[packet.get_meta(name) for name in ("part", "document", "run", "id")] for packet in packets]
        assert found == [[kept, "sheet" if kept else None, None, "sheet/row=1"]] * 2


def test_packets_in_a_multipart_body_are_foreign() -> None:
    body = part(orjson.dumps({"fields": {}, "meta": {"part": "row=1", "run": 3}}), "a", PACKETS) + b"--XX--\r\n"
    (packet,) = flat(read(Header("g", content_type=MULTIPART), body))
    assert (packet.part, packet.has_meta("run")) == ("", False)


def test_what_an_earlier_release_took_as_given_is_no_place_in_a_document() -> None:
    header = Header("g", content_type="application/json", meta=(("part", "2"), ("run", "x"), ("acl", "staff")))
    (packet,) = flat(read(header, b"{}"))
    assert (packet.part, packet.has_meta("run"), packet.get_meta("acl")) == ("", False, "staff")


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("application/json", b'[{"id": "a"}, {}]'),
        ("application/x-ndjson", b'{"id": "a"}\n{}\n'),
        (PACKETS, b'[{"fields": {"id": "a"}}, {"fields": {}}]'),
        (MULTIPART, None),
    ],
)
def test_where_versions_are_compared_every_document_says_its_own_and_with_an_id_its_run(form: str, body: bytes | None) -> None:
    if body is None:
        named = part(b"x", "b.txt", "text/plain").replace(b"Content-Type", b"Pypes-Id: a\r\nContent-Type")
        body = part(b"x", "a.txt", "text/plain") + named + b"--XX--\r\n"
    for header, first in (
        (Header("g", content_type=form, documents=2), Version("receipt", 0)),
        (Header("g", content_type=form, documents=2, origin=("first", 5)), Version("first", 5)),
    ):
        found = flat(read(header, body, run=9))
        assert [packet.version for packet in found] == [
            Version(first.receipt, first.index + at, 9 if packet.id == "a" else 0) for at, packet in enumerate(found)
        ]
        assert sorted(packet.has_meta("run") for packet in found) == [False, True]
    assert not any(packet.has_meta("run") for packet in flat(read(header, body)))


@pytest.mark.parametrize(
    ("header", "body", "run"),
    [
        ({"method": "DELETE", "id": "a"}, b"", 9),
        ({"content_type": "text/plain", "id": "a"}, b"{}", 9),
        ({"content_type": "text/plain"}, b"{}", 0),
        ({"content_type": "application/json", "id": "a"}, b"{}", 9),
        ({"content_type": "application/json"}, b'{"id": 1}', 9),
        ({"content_type": "application/json"}, b'{"id": ""}', 0),
        ({"content_type": PACKETS}, b'{"fields": {"id": 1}}', 9),
        ({"content_type": PACKETS}, b"{}", 0),
    ],
)
def test_a_single_document_says_its_version_and_with_an_id_its_run(header: dict[str, Any], body: bytes, run: int) -> None:
    (packet,) = flat(read(Header("g", **header), body, run=9))
    assert packet.version == Version("receipt", 0, run)


def test_packets_keep_their_own_metadata() -> None:
    body = orjson.dumps(
        [
            {"fields": {"a": 1}, "meta": {"id": "own", "receipt": "forged"}, "field_meta": {"a": {"k": "v"}}},
            {"fields": {"a": [1, 2]}},
        ]
    )
    ((media, packets),) = read(Header("g", content_type=PACKETS, route="r"), body)
    assert media == PACKETS
    assert packets[0].get_meta("id") == "own"
    assert packets[0].get_meta("receipt") == "receipt"
    assert packets[0].get_meta("k", "a") == "v"
    assert packets[1].get_meta("route") == "r"
    assert packets[1].get("a") == [1, 2]


def test_a_deletion_is_a_packet_without_fields() -> None:
    ((media, (packet,)),) = read(Header("g", "DELETE", route="r", id="7"), b"")
    assert media == PACKETS
    assert packet.is_deletion
    assert (packet.get_meta("id"), packet.get_meta("route")) == ("7", "r")
    assert packet.get_attribute_names() == []


def test_a_body_that_is_not_what_was_checked_raises() -> None:
    with pytest.raises(BadRequest):
        read(Header("g", content_type="application/json"), b"{oops")


def test_reading_is_lazy(tmp_path: Path) -> None:
    _, source = lie(b'{"a": 1}\n' * 100_000 + b"oops", "spool", tmp_path)
    batches = documents(Header("g", content_type="application/x-ndjson"), source, "r", 0.0)
    assert len(next(batches)[1]) == 256
    batches.close()  # type: ignore[attr-defined]


def places(body: bytes, content_type: str, **fields: object) -> list[tuple[object, object]]:
    """Metadata ``index`` and ``origin`` of the packets."""
    counted, _ = check(Header("g", content_type=content_type), body, Limits())
    header = Header("g", content_type=content_type, **{"documents": counted, **fields})  # type: ignore[arg-type]
    return [(packet.get_meta("index"), packet.get_meta("origin")) for packet in flat(read(header, body))]


FILE = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\nContent-Type: %s\r\n\r\n%s\r\n'
FILES = (
    FILE % (b"a.txt", b"text/plain", b"one")
    + FILE % (b"b.json", b"application/json", b'[{"n": 1}, {"id": "x"}, {"id": ""}]')
    + FILE % (b"c.txt", b"text/plain", b"two")
    + b"--XX--\r\n"
)


@pytest.mark.parametrize(
    ("body", "content_type", "found"),
    [
        (b'{"n": 1}', "application/json", [None]),
        (b"text", "text/plain", [None]),
        (b'[{"n": 1}, {"id": "x"}, {"id": 0}, {"id": ""}, {"id": true}]', "application/json", [0, None, None, 3, 4]),
        (b'{"n": 1}\n\n{"id": 7}\n{"id": null}\n', "application/x-ndjson", [0, None, 2]),
        (FILES, MULTIPART, [0, 1, None, 3, 4]),
        (b'[{"fields": {}, "meta": {"index": 7, "origin": "x"}}, {"fields": {}}]', PACKETS, [None, 1]),
    ],
)
def test_documents_without_an_id_know_their_place(body: bytes, content_type: str, found: list[int | None]) -> None:
    assert places(body, content_type) == [(index, None) for index in found]


def test_a_place_is_that_of_the_first_run() -> None:
    first = ("first", 4)
    assert places(b'{"n": 1}', "application/json", origin=first) == [(4, "first")]
    assert places(b'[{"n": 1}, {"n": 2}]', "application/json", origin=first) == [(4, "first"), (5, "first")]
    assert places(b'[{"n": 1}, {"n": 2}]', "application/json", origin=("first", 0), documents=1, only=(1,)) == [
        (0, "first"),
        (1, "first"),
    ]
    assert places(b'{"fields": {}, "meta": {"receipt": "x"}}', PACKETS, origin=first) == [(4, "first")]
    assert places(b"text", "text/plain", origin=first) == [(4, "first")]


def test_what_cannot_be_read_has_a_place_too() -> None:
    header = Header("g", content_type="application/x-ndjson", documents=3, is_lenient=True)
    found = [one for _, batch in documents(header, b'{"n": 1}\n{\n{"n": 3}\n', "receipt", 1.5) for one in batch]
    assert [one.get_meta("index") for one in found if isinstance(one, Packet)] == [0, 2]
