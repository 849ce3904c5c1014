"""Every form in which documents come in, and every way in which they are refused, on a real node."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from pypes.testing.node import Node, running, until

GRAPH = {
    "pypes": 1,
    "name": "forms",
    "nodes": {
        "json": {"component": "JSON", "params": {}},
        "text": {"component": "Text", "params": {}},
        "null": {"component": "Null", "params": {}},
    },
    "wires": [["json.out", "null.in"], ["text.out", "null.in"]],
}
LIMITS = """
[limits]
body_bytes = 24MiB
json_bytes = 4MiB
documents_per_post = 5000
decompressed_bytes = 32MiB
"""

ONE = b'{"id": "1", "title": "x"}'
LINES = b'{"a": 1}\n{"a": 2}\n\n{"a": 3}\n'
NDJSON = "application/x-ndjson"
PACKETS = "application/vnd.pypes.packets+json"
MULTIPART = "multipart/form-data; boundary=cut"
FILES = (
    b'--cut\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
    b'--cut\r\nContent-Disposition: form-data; name="f"; filename="b.json"\r\nContent-Type: application/json\r\n\r\n{"a": 1}\r\n'
    b"--cut--\r\n"
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("docs")
    (base / "pypes.ini").write_text(LIMITS)
    with running(base, GRAPH, workers=1, instances=1) as node:
        yield node


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def ask(node: Node, method: str, path: str, body: bytes, content_type: str, **headers: str) -> Any:
    fields = {**({"Content-Type": content_type} if content_type else {}), **headers}
    return node.http.request(method, node.url + path, body=body, headers=fields)


@pytest.mark.parametrize(
    ("body", "content_type", "accepted", "headers"),
    [
        (ONE, "application/json", 1, {}),
        (ONE, "application/json; charset=utf-8", 1, {}),
        (ONE, "application/ld+json", 1, {}),
        (b"[" + ONE + b", {}]", "application/json", 2, {}),
        (LINES, NDJSON, 3, {}),
        (b'{"a": 1}', NDJSON, 1, {}),
        (FILES, MULTIPART, 2, {}),
        (b"\x00\x01", "application/octet-stream", 1, {}),
        (b"anything", "", 1, {}),
        (b"hello", "text/plain", 1, {"Content-Disposition": 'attachment; filename="a.txt"'}),
        (b'[{"fields": {"a": [1]}, "meta": {"x": 1}}, {"fields": {}}]', PACKETS, 2, {}),
        (gzip.compress(LINES, mtime=0), NDJSON, 3, {"Content-Encoding": "gzip"}),
        (gzip.compress(LINES, mtime=0), NDJSON, 3, {"Content-Encoding": "x-gzip"}),
        (zlib.compress(LINES), NDJSON, 3, {"Content-Encoding": "deflate"}),
        (zstd.compress(LINES), NDJSON, 3, {"Content-Encoding": "zstd"}),
        (ONE, "application/json", 1, {"Content-Encoding": "identity"}),
        (nested(200), "application/json", 1, {}),
        (LINES * 1000, NDJSON, 3000, {}),
        (b"[" + b",".join([ONE] * 4000) + b"]", "application/json", 4000, {}),
        (gzip.compress(b"x" * (1 << 20), mtime=0), "text/plain", 1, {"Content-Encoding": "gzip"}),
        (b"y" * (5 << 20), "text/plain", 1, {}),
        (b'{"t": "' + b"z" * (2 << 20) + b'"}', "application/json", 1, {}),
    ],
)
def test_forms(node: Node, body: bytes, content_type: str, accepted: int, headers: dict[str, str]) -> None:
    answer = ask(node, "POST", "/docs", body, content_type, **headers)
    assert answer.status == 202, answer.data
    said = answer.json()
    assert said.keys() == {"receipt", "accepted"}
    assert said["accepted"] == accepted
    assert answer.headers["location"] == f"/receipts/{said['receipt']}"
    assert answer.headers["content-type"] == "application/json"
    receipt = node.get(answer.headers["location"] + "?wait=10").json()
    assert receipt["receipt"] == said["receipt"]
    assert receipt["accepted"] == accepted
    assert receipt["pending"] == 0, receipt
    assert receipt["published"] + receipt["dropped"] + receipt["failed"] == accepted


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", ["/docs/news", "/docs/news/7", "/docs/news/a/b%20c.html", "/docs/n%C3%A9ws"])
def test_routes_and_ids(node: Node, method: str, path: str) -> None:
    answer = ask(node, method, path, ONE, "application/json")
    assert (answer.status, answer.headers["pypes-graph"]) == (202, "forms")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        ("/docs/r/caf%e9", "request.path", "UTF-8"),
        ("/docs/caf%e9/1", "request.path", "UTF-8"),
        ("/docs/r/100%", "request.path", "%25"),
        ("/docs/r/%zz", "request.path", "%25"),
        ("/docs/r/", "document.id", "empty"),
        ("/docs//1", "document.id", "empty"),
        ("/docs/r/" + "x" * 2049, "document.id", "2048"),
    ],
)
def test_what_cannot_be_an_id_is_refused(node: Node, method: str, path: str, code: str, told: str) -> None:
    # bare: urllib3 would mend the path
    link = http.client.HTTPConnection("127.0.0.1", node.port)
    link.request(method, path, None if method == "DELETE" else ONE, {"Content-Type": "application/json"})
    answer = link.getresponse()
    problem = json.loads(answer.read())
    link.close()
    assert (answer.status, problem["code"]) == (400, code)
    assert told in problem["detail"]


def test_an_id_is_the_decoded_rest_of_the_path_as_it_was_sent(node: Node) -> None:
    ids = {
        "a": "a",
        "a/": "a/",
        "a%2F": "a/",
        "a//b": "a//b",
        "%2e%2e/x": "../x",
        "../x": "../x",
        "a%252Fb": "a%2Fb",
        "a%2525": "a%25",
        "caf%C3%A9": "café",
        "https%3A%2F%2Fexample.com%2Fa%2F": "https://example.com/a/",
        "/": "/",
        "%20": " ",
    }
    link = http.client.HTTPConnection("127.0.0.1", node.port)
    for path, id in ids.items():
        for method in ("PUT", "DELETE"):
            body = None if method == "DELETE" else ONE
            link.request(method, f"/docs/r/{path}", body, {"Content-Type": "application/json", "Prefer": "wait=10"})
            answer = link.getresponse()
            receipt = json.loads(answer.read())["receipt"]
            [document] = node.get(f"/receipts/{receipt}/documents").json()["documents"]
            assert document["id"] == id, (method, path)
    link.close()


def test_other_variables_of_a_path_are_read_alike(node: Node) -> None:
    link = http.client.HTTPConnection("127.0.0.1", node.port)
    for path, status in {
        "/graphs/f%6Frms": 200,
        "/graphs/": 200,
        "/graphs/forms/": 200,
        "/graphs%2Fforms": 404,
        "/graphs/caf%e9": 400,
        "/receipts/%ff": 400,
        "/deadletters/%": 400,
    }.items():
        link.request("GET", path)
        answer = link.getresponse()
        answer.read()
        assert answer.status == status, path
    link.close()


def test_a_deletion_is_a_delivery(node: Node) -> None:
    answer = node.http.request("DELETE", f"{node.url}/docs/news/7")
    assert answer.status == 202
    assert answer.json()["accepted"] == 1
    assert node.get(answer.headers["location"] + "?wait=10").json()["accepted"] == 1


@pytest.mark.parametrize(
    ("status", "code", "path", "body", "content_type", "headers", "told"),
    [
        (400, "ingest.malformed", "/docs", b'{"a": 1,\n "b": }', "application/json", {}, ["line 2", "column 7"]),
        (400, "ingest.malformed", "/docs", b'{"a": 1}\n{"a": \n', NDJSON, {}, ["line 2"]),
        (400, "ingest.not_documents", "/docs", b'{"a": 1}\n5\n', NDJSON, {}, ["line 2"]),
        (400, "ingest.empty", "/docs", b"", "application/json", {}, []),
        (400, "ingest.empty", "/docs", b"", "", {}, []),
        (400, "ingest.not_documents", "/docs", b"[]", "application/json", {}, []),
        (400, "ingest.not_documents", "/docs", b"5", "application/json", {}, []),
        (400, "ingest.not_documents", "/docs", b'"x"', "application/json", {}, []),
        (400, "ingest.not_documents", "/docs", b"null", "application/json", {}, []),
        (400, "ingest.not_documents", "/docs", b"[{}, 5]", "application/json", {}, []),
        (400, "ingest.too_deep", "/docs", nested(201), "application/json", {}, ["200"]),
        (400, "ingest.too_deep", "/docs", nested(100_000), "application/json", {}, ["200"]),
        (400, "ingest.too_deep", "/docs", nested(201), NDJSON, {}, ["200"]),
        (400, "ingest.several_documents", "/docs/news/7", b"[{}, {}]", "application/json", {}, []),
        (400, "ingest.several_documents", "/docs/news/7", LINES, NDJSON, {}, []),
        (400, "ingest.several_documents", "/docs/news/7", FILES, MULTIPART, {}, []),
        (400, "ingest.several_documents", "/docs", b"[{}, {}]", "application/json", {"Pypes-Id": "7"}, []),
        (400, "ingest.id_conflict", "/docs/news/7", ONE, "application/json", {"Pypes-Id": "8"}, ["'7'", "'8'"]),
        (400, "document.id", "/docs/news", ONE, "application/json", {"Pypes-Id": "%"}, ["percent-encoded"]),
        (400, "document.id", "/docs", ONE, "application/json", {"Pypes-Id": ""}, ["empty"]),
        (400, "ingest.meta", "/docs", ONE, "application/json", {"Pypes-Meta-Receipt": "x"}, ["receipt"]),
        (400, "ingest.malformed_encoding", "/docs", b"not gzip at all", "text/plain", {"Content-Encoding": "gzip"}, ["gzip"]),
        (
            400,
            "ingest.malformed_encoding",
            "/docs",
            gzip.compress(b"x" * 99, mtime=0)[:-9],
            "text/plain",
            {"Content-Encoding": "gzip"},
            [],
        ),
        (400, None, "/docs", b"--cut\r\nno end", MULTIPART, {}, []),
        (415, "ingest.unsupported_media", "/docs", b"a=1", "application/x-www-form-urlencoded", {}, []),
        (415, "ingest.unsupported_encoding", "/docs", ONE, "application/json", {"Content-Encoding": "br"}, ["br"]),
        (415, "ingest.unsupported_encoding", "/docs", ONE, "application/json", {"Content-Encoding": "gzip, gzip"}, []),
        (415, "ingest.unsupported_media", "/docs", ONE, "application/json; charset=utf-16", {}, []),
        (413, None, "/docs", gzip.compress(b"x" * (40 << 20), mtime=0), "text/plain", {"Content-Encoding": "gzip"}, []),
        (413, "ingest.too_large", "/docs", b'{"t": "' + b"z" * (5 << 20) + b'"}', "application/json", {}, []),
        (413, None, "/docs", b"{}\n" * 5001, NDJSON, {}, []),
    ],
)
def test_refusals(
    node: Node, status: int, code: str | None, path: str, body: bytes, content_type: str, headers: dict[str, str], told: list[str]
) -> None:
    answer = ask(node, "POST", path, body, content_type, **headers)
    problem = answer.json()
    assert answer.status == status, problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert code is None or problem["code"] == code
    for word in told:
        assert word in problem["detail"]


def test_nothing_of_a_refused_post_is_accepted(node: Node) -> None:
    body = b'{"a": "%b"}\n' % (b"x" * 1000) * 4000 + b"{oops\n"
    answer = ask(node, "POST", "/docs", body, NDJSON)
    assert answer.status == 400
    assert "line 4001" in answer.json()["detail"]
    assert not spooled(node)


def spooled(node: Node) -> list[Path]:
    """Spool files that are there now."""
    return [path for path in (node.base / "data").rglob("spool/*") if path.is_file()]


def connection(node: Node) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)


def test_a_long_body_without_a_length_is_refused_while_it_arrives(node: Node) -> None:
    link = connection(node)
    link.request("POST", "/docs", (b"x" * (1 << 20) for _ in range(40)), {"Content-Type": "text/plain"}, encode_chunked=True)
    answer = link.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["code"] == "ingest.too_large"
    link.close()


def test_an_announced_length_is_refused_before_the_body_is_sent(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as raw:
        raw.sendall(
            b"POST /docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 99000000000\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        reply = raw.recv(65536)
    assert reply.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_goes_away_leaves_nothing(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as raw:
        raw.sendall(
            b"POST /docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9000000\r\n\r\n"
            + b"x" * 4_000_000
        )
    until(lambda: not spooled(node), 10, "the spool file is gone")


@pytest.mark.parametrize("lane", ["live", "bulk"])
def test_many_chunks_make_one_body(node: Node, lane: str) -> None:
    link = connection(node)
    body = (b'{"a": %d}\n' % k for k in range(500))
    link.request("POST", f"/docs?lane={lane}", body, {"Content-Type": NDJSON}, encode_chunked=True)
    answer = link.getresponse()
    assert answer.status == 202
    assert json.loads(answer.read())["accepted"] == 500
    link.close()


@pytest.mark.parametrize("lane", ["live", "bulk"])
def test_an_empty_body_is_refused_in_each_lane(node: Node, lane: str) -> None:
    assert node.post(b"", f"/docs?lane={lane}").status == 400


def test_what_is_not_http_is_told_so(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as raw:
        raw.sendall(b"this is not HTTP\r\n\r\n")
        reply = raw.recv(65536)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in reply


def test_a_head_without_end_is_refused(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        for _ in range(8):
            raw.sendall(b"x" * 10_000)
        reply = raw.recv(65536)
    assert reply.startswith(b"HTTP/1.1 431 ")
    assert b"http.head_too_large" in reply


NAMED = 'attachment; filename="sub/dir/lines.ndjson.gz"'


@pytest.mark.parametrize(
    ("method", "path", "body", "fields", "status", "told"),
    [
        ("PUT", "/docs/files/x.json", b'{"a": 1}', {}, 202, 1),
        ("PUT", "/docs/files/x.ndjson", LINES, {}, 400, "ingest.several_documents"),
        ("PUT", "/docs/files/x.json", b"{", {}, 400, "ingest.malformed"),
        ("PUT", "/docs/files/x.unknown", b"{", {}, 202, 1),
        ("POST", "/docs", gzip.compress(LINES, mtime=0), {"Content-Disposition": NAMED}, 202, 3),
        ("POST", "/docs?folders=keep", gzip.compress(LINES, mtime=0), {"Content-Disposition": NAMED}, 202, 3),
        ("POST", "/docs?folders=yes", LINES, {}, 400, "request.invalid"),
        ("POST", "/docs", gzip.compress(LINES, mtime=0)[:-5], {"Content-Disposition": NAMED}, 400, "ingest.malformed_encoding"),
    ],
)
def test_a_name_says_the_type(
    node: Node, method: str, path: str, body: bytes, fields: dict[str, str], status: int, told: int | str
) -> None:
    answer = ask(node, method, path, body, "", **fields)
    said = answer.json()
    assert (answer.status, said["accepted"] if status == 202 else said["code"]) == (status, told)


@pytest.mark.parametrize(("query", "name"), [("", "r.txt"), ("?folders=keep", "sub/r.txt")])
def test_a_dead_letter_tells_name_and_declared_type(node: Node, query: str, name: str) -> None:
    disposition = "Content-Disposition: form-data; name=f; filename=C:\\sub\\r.txt\r\nContent-Type: text/plain"
    pdf = b"%PDF-1.7\n\xff\xff"
    body = b"--cut\r\n" + disposition.encode() + b"\r\n\r\n" + pdf + b"\r\n--cut--\r\n"
    receipt = ask(node, "POST", "/docs" + query, body, MULTIPART, Prefer="wait=10").json()["receipt"]
    (letter,) = [one for one in node.get("/deadletters").json()["deadletters"] if one["receipt"] == receipt]
    assert letter["code"] == "graph.no_adapter"
    assert "application/pdf (detected from the content, which was declared as text/plain)" in letter["error"]
    meta = node.get(f"/deadletters/{letter['id']}").json()["packet"]["meta"]
    assert (meta["filename"], meta["mimetype"], meta["declared_type"]) == (name, "application/pdf", "text/plain")
