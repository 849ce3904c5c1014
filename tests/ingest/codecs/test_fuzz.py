"""Bodies that nobody thought of: refused by checking with an error that is the client's, or decoded into what was counted."""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from backports import zstd
from hypothesis import example, given
from hypothesis import strategies as st

from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.errors import InvalidInput
from pypes.graph.codec import dumps, loads
from pypes.graph.model import Graph
from pypes.ingest.codecs import Checker, Survey, Unreadable, check, documents, ndjson, normalize, parse
from pypes.ingest.codecs.media import MediaType, parameters_of
from pypes.ingest.delivery import Header, Spooled
from pypes.packet import Packet
from pypes.protobuf import body_of

LIMITS = Limits(json_bytes=4000, line_bytes=400, decompressed_bytes=20_000, documents_per_post=30, json_depth=8, wave_packets=4)

MSGPACK = "application/msgpack"
PROTOBUF = "application/x-protobuf"
TYPES = [
    "application/json",
    "application/ld+json",
    "application/x-ndjson",
    PACKETS,
    MSGPACK,
    PROTOBUF,
    "text/plain",
    "",
    "multipart/form-data; boundary=XX",
]

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(["id", "title", "a"]) | st.text(max_size=4), values, max_size=4)
packet_forms = st.fixed_dictionaries(
    {"fields": objects},
    optional={"meta": objects, "field_meta": st.dictionaries(st.sampled_from(["id", "a"]), objects, max_size=2)},
)


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


json_bodies = st.one_of(values, objects, st.lists(objects, max_size=5), packet_forms, st.lists(packet_forms, max_size=3)).map(
    _dump
)
lines = st.lists(objects.map(_dump), max_size=6).flatmap(
    lambda each: st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"]).map(lambda between: between.join(each))
)


def _messages(found: list[dict[str, Any]]) -> bytes:
    try:
        return body_of(map(Packet.from_document, found))
    except InvalidInput:  # a number of more than 64 bits
        return b"\x0a\x00"


# any bytes are MessagePack of something, so most of these are made of maps
binary_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.integers(0, 300), inner, max_size=4),
    max_leaves=12,
)
maps = st.dictionaries(st.sampled_from(["id", "title", "a"]) | st.text(max_size=4), binary_values, max_size=4)
rows = (
    st.lists(maps | binary_values, max_size=5).map(msgspec.msgpack.encode)
    | st.lists(maps, max_size=5).map(lambda each: b"".join(map(msgspec.msgpack.encode, each)))
    | st.lists(objects, max_size=5).map(_messages)
)  # fmt: skip
heads = st.sampled_from(
    [
        b'Content-Disposition: form-data; name="f"; filename="a.json"\r\nContent-Type: application/json',
        b'Content-Disposition: form-data; name="f"; filename="a.txt"',
        b"content-disposition: form-data; name=\"f\"; filename*=UTF-8''%e2%82%ac.html",
        b'Content-Disposition: form-data; name="plain"',
        b"Content-Type: application/x-ndjson",
        b"",
    ]
)


@st.composite
def multiparts(draw: st.DrawFn) -> bytes:
    parts = draw(st.lists(st.tuples(heads, st.one_of(json_bodies, lines, st.binary(max_size=60))), max_size=4))
    body = b"".join(b"--XX\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts) + b"--XX--\r\n"
    return draw(st.sampled_from([b"", b"preamble\r\n"])) + body


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Something like a body, often with a few bytes changed, removed or put in."""
    body = bytearray(draw(st.one_of(json_bodies, lines, rows, multiparts(), st.binary(max_size=200))))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=3)
            | st.sampled_from([b"{", b"]", b'"', b"\n", b"--XX", b"\\u", b"\x81", b"\xdd", b"\xff\xff\xff\xff", b"\xd6\xff"])
        )
    return bytes(body)


def encode(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body, mtime=0)
    if encoding == "deflate":
        return zlib.compress(body)
    return bytes(zstd.compress(body)) if encoding == "zstd" else body


def verdict(run: Any) -> Any:
    """What checking says; an error must be one that is answered with 4xx."""
    try:
        return run()
    except InvalidInput as error:
        return type(error), error.code


def agree(one: Any, other: Any) -> bool:
    """The same number of documents; or both refused, where of a body that is wrong in two ways either may be named."""
    return bool(one == other) if isinstance(one, int) else not isinstance(other, int)


def chunked(header: Header, body: bytes, size: int, seen: Survey | None = None) -> int:
    checker = Checker(header, LIMITS, seen)
    for at in range(0, len(body), size):
        checker.feed(body[at : at + size])
    return checker.finish()


def decoded(header: Header, source: bytes | Spooled) -> list[Any]:
    found: list[Any] = []
    for _, batch in documents(header, source, "r", 0.0, limits=LIMITS):
        for each in batch:
            if isinstance(each, Packet):
                value = each.get("data")
                found.append(value if isinstance(value, bytes) else value.read() if hasattr(value, "read") else each.to_json())
            else:
                found.append(each)
    return found


@given(bodies(), st.sampled_from(TYPES), st.sampled_from(["", "gzip", "deflate", "zstd"]), st.integers(1, 40), st.booleans())
@example(b'[{"a": 1}]', TYPES[0], "", 1, False)
def test_what_is_accepted_decodes_into_as_many_documents(
    body: bytes, content_type: str, encoding: str, size: int, is_damaged: bool
) -> None:
    sent = encode(body, encoding)
    if is_damaged and encoding:
        sent = sent[: len(sent) // 2]
    header = Header("g", content_type=content_type, encoding=encoding, length=len(sent))
    whole = verdict(lambda: check(header, sent, LIMITS)[0])
    assert agree(whole, verdict(lambda: chunked(header, sent, size)))
    if not isinstance(whole, int):
        return
    header = msgspec.structs.replace(header, documents=whole)
    found = decoded(header, sent)
    assert len(found) == whole
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(sent)
        assert decoded(header, Spooled(file.name, len(sent))) == found


@given(st.one_of(lines, bodies()), st.integers(1, 600))
@example(b'{"a": -0, "b": -0.0, "c": 1e2, "a": 18446744073709551615}\n\xef\xbb\xbf{"\\u0000": 5e-324}\n \n{}', 600)
def test_lines_are_read_as_one_by_one(body: bytes, size: int) -> None:
    header = Header("g", content_type="application/x-ndjson", length=len(body))
    if not isinstance(verdict(lambda: check(header, body, LIMITS)[0]), int):
        return
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    found = [each for some in ndjson.documents(pieces, LIMITS) for each in some]
    plain = [line.removeprefix(b"\xef\xbb\xbf") for line in body.split(b"\n") if line.strip()]
    # repr tells -0.0 from 0, and 1.0 from 1
    assert repr(found) == repr([orjson.loads(line) for line in plain])


# what is in files cannot be asked to be taken in part
@given(bodies(), st.sampled_from([each for each in TYPES if "multipart" not in each]), st.integers(1, 40), st.booleans())
def test_a_lenient_post_gives_every_document_or_why_it_is_none(
    body: bytes, content_type: str, size: int, is_ordered: bool
) -> None:
    header = Header("g", content_type=content_type, length=len(body), is_lenient=True)

    def survey() -> Survey:
        return Survey(header, is_ordered)

    whole = verdict(lambda: check(header, body, LIMITS, survey())[0])
    assert agree(whole, verdict(lambda: chunked(header, body, size, survey())))
    if isinstance(whole, int):
        assert len(decoded(header, body)) == whole


@given(
    st.lists(st.tuples(st.text('abc.é€"', min_size=1, max_size=6), st.binary(max_size=80)), min_size=1, max_size=5),
    st.integers(1, 50),
)
def test_files_come_out_of_a_multipart_body_as_they_went_in(files: list[tuple[str, bytes]], size: int) -> None:
    files = [each for each in files if each[0] not in (".", "..") and each[1] and b"--XX" not in each[1]] or [("a", b"x")]
    parts = [
        b'--XX\r\nContent-Disposition: form-data; name="f"; filename="%b"\r\nContent-Type: text/plain\r\n\r\n%b\r\n'
        % (name.replace('"', '\\"').encode(), content)
        for name, content in files
    ]
    body = b"".join(parts) + b"--XX--"
    header = Header("g", content_type="multipart/form-data; boundary=XX", length=len(body))
    assert check(header, body, LIMITS)[0] == chunked(header, body, size) == len(files)
    assert decoded(header, body) == [content for _, content in files]


@given(st.lists(objects, min_size=1, max_size=5))
def test_packets_come_out_of_their_form_as_they_went_in(found: list[dict[str, Any]]) -> None:
    sent = [{"fields": fields} for fields in found]
    body = _dump(sent)
    header = Header("g", content_type=PACKETS, length=len(body))
    count = verdict(lambda: check(header, body, LIMITS)[0])
    if isinstance(count, int):
        again = decoded(header, body)
        assert [set(each["fields"]) for each in again] == [set(each["fields"]) for each in sent]


@given(st.text(max_size=60) | st.sampled_from(TYPES).flatmap(lambda known: st.text(max_size=10).map(lambda more: known + more)))
def test_any_content_type_is_known_or_refused(text: str) -> None:
    found = verdict(lambda: parse(text))
    if isinstance(found, MediaType):
        assert found.codec in ("json", "ndjson", "msgpack", "protobuf", "multipart", "packets", "raw")
    parameters_of(text)
    verdict(lambda: normalize(text))


@given(
    st.builds(
        Header,
        st.text(max_size=9),
        id=st.none() | st.text(max_size=9),
        route=st.none() | st.text(max_size=9),
        filename=st.none() | st.text(max_size=9),
        documents=st.integers(0, 2**40),
        keys=st.binary(max_size=20),
        only=st.lists(st.integers(0, 99)).map(tuple),
    )
)
def test_a_header_is_read_as_it_was_written(header: Header) -> None:
    assert Header.decode(header.encode()) == header


@given(st.binary(max_size=60))
def test_what_is_no_header_is_refused(data: bytes) -> None:
    try:
        Header.decode(data)
    except ValueError:
        return


GRAPH = {
    "pypes": 1,
    "name": "g",
    "nodes": {"a": {"component": "JSON", "params": {}}, "b": {"component": "Null", "max_attempts": 2, "timeout_s": 1}},
    "wires": [["a.out", "b.in"]],
    "routes": ["r"],
    "order_by": "id",
    "layout": {"a": [1, 2]},
}


@given(st.data())
def test_any_json_is_a_graph_or_is_told_why_not(data: st.DataObject) -> None:
    graph = json.loads(json.dumps(GRAPH))
    place: Any = graph
    for _ in range(data.draw(st.integers(0, 3))):
        if not isinstance(place, (dict, list)) or not place:
            break
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if data.draw(st.booleans()):
            place[key] = data.draw(values)
            break
        place = place[key]
    text = json.dumps(graph if data.draw(st.booleans()) else data.draw(values))
    found = verdict(lambda: loads(text))
    if isinstance(found, Graph):
        assert loads(dumps(found)) == found


@pytest.mark.parametrize("text", ["", "[", "\x00", "nul", '{"pypes": 1', "[" * 5000])
def test_what_is_not_json_is_no_graph(text: str) -> None:
    with pytest.raises(InvalidInput):
        loads(text)


def test_unreadable_is_part_of_what_is_decoded() -> None:
    header = Header("g", content_type="application/x-ndjson", is_lenient=True)
    found = decoded(header, b'{"a": 1}\noops\n')
    assert [isinstance(each, Unreadable) for each in found] == [False, True]
