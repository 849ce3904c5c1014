"""What a POST may ask for besides being taken, and how it is refused. No instance runs: what is accepted stays queued."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.api.options import _preferred_wait_s
from pypes.api.query import since_of
from pypes.core.limits import Limits
from pypes.errors import BadRequest
from tests.api.harness import Harness, serving
from tests.api.test_docs import FILES, LINES, MULTIPART, NDJSON, ONE, PACKETS

HOSTS = ("example.com", "Hooks.example.com:8443", "[::1]:9000")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with serving(tmp_path_factory.mktemp("options"), callback_hosts=HOSTS, callback_secret="secret") as server:
        yield server


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with serving(tmp_path_factory.mktemp("ordered"), is_ordered=True) as server:
        yield server


def ask(server: Harness, path: str, body: bytes = ONE, method: str = "POST", **headers: str) -> Any:
    headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.request(method, server.url + path, body=body, headers=headers)


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/docs?on_error=ignore", {}, 400, "request.invalid"),
        ("/docs?lane=fast", {}, 400, "request.invalid"),
        ("/docs?lane=", {}, 400, "request.invalid"),
        ("/docs?lane=bulk", {}, 202, None),
        ("/docs?lane=live&on_error=refuse", {}, 202, None),
        ("/docs?unknown=1", {}, 202, None),
        ("/docs", {"Idempotency_Key": ""}, 400, "idempotency.key"),
        ("/docs", {"Idempotency_Key": "x" * 256}, 400, "idempotency.key"),
        ("/docs", {"Idempotency_Key": "x" * 255}, 202, None),
        ("/docs", {"Prefer": "respond-async, wait=0"}, 202, None),
        ("/docs", {"Prefer": "wait=0.01"}, 202, None),
        ("/docs", {"Prefer": "wait=soon"}, 202, None),
        ("/docs?on_error=deadletter", {"Content_Type": "text/plain"}, 400, "request.invalid"),
        ("/docs?on_error=deadletter", {"Content_Type": PACKETS}, 400, "request.invalid"),
        ("/docs?on_error=deadletter", {"Content_Type": MULTIPART}, 400, "request.invalid"),
        ("/docs?callback=https://example.com/x?y=1", {}, 202, None),
        ("/docs?callback=http://EXAMPLE.com:80/", {}, 202, None),
        ("/docs?callback=https://hooks.example.com:8443", {}, 202, None),
        ("/docs?callback=http://[::1]:9000/x", {}, 202, None),
        ("/docs?callback=https://hooks.example.com/", {}, 403, "callback.host"),
        ("/docs?callback=https://example.com:8443/", {}, 403, "callback.host"),
        ("/docs?callback=https://example.com.evil.example/", {}, 403, "callback.host"),
        ("/docs?callback=http://127.0.0.1/", {}, 403, "callback.host"),
        ("/docs?callback=https://example.com@evil.example/", {}, 400, "callback.invalid"),
        ("/docs?callback=https://evil.example%5C@example.com/", {}, 400, "callback.invalid"),
        ("/docs?callback=https://example.com%0A.evil.example/", {}, 400, "callback.invalid"),
        ("/docs?callback=ftp://example.com/", {}, 400, "callback.invalid"),
        ("/docs?callback=//example.com/", {}, 400, "callback.invalid"),
        ("/docs?callback=https://example.com:x/", {}, 400, "callback.invalid"),
        ("/docs?callback=https://[example.com/", {}, 400, "callback.invalid"),
        ("/docs?callback=", {}, 400, "callback.invalid"),
    ],
)
def test_what_is_asked_for_is_checked(server: Harness, path: str, headers: dict[str, str], status: int, code: str | None) -> None:
    answer = ask(server, path, ONE, "POST", **headers)
    assert answer.status == status, answer.data
    assert answer.json().get("code") == code


def test_a_deletion_may_ask_too(server: Harness) -> None:
    for path, status in (("?lane=bulk", 202), ("?lane=x", 400), ("?on_error=deadletter", 400), ("?callback=http://x/", 403)):
        assert ask(server, f"/docs/news/7{path}", b"", "DELETE", Prefer="wait=0.01").status == status


@pytest.mark.parametrize("size", [1, 40_000], ids=["small", "spooled"])
def test_bad_lines_are_counted_among_the_accepted(server: Harness, size: int) -> None:
    body = (LINES + b'oops\n{"a": \n3\n') * size
    answer = ask(server, "/docs?on_error=deadletter", body, Content_Type=NDJSON)
    assert answer.status == 202, answer.data
    assert list(answer.json().items())[1:] == [("accepted", 6 * size), ("rejected", 3 * size)]
    assert ask(server, "/docs", body, Content_Type=NDJSON).status == 400


def test_bad_elements_are_counted_among_the_accepted(server: Harness) -> None:
    answer = ask(server, "/docs/?on_error=deadletter", b'[{"a": 1}, 2, {"a": 3}]').json()
    assert (answer["accepted"], answer["rejected"]) == (3, 1)
    assert ask(server, "/docs/?on_error=deadletter", b'{"a": 1}').json()["rejected"] == 0
    refused = ask(server, "/docs?on_error=deadletter", b'[{"a": 1}, oops]')
    assert (refused.status, refused.json()["code"]) == (400, "ingest.malformed")


@pytest.mark.parametrize(
    ("path", "body", "content_type", "where"),
    [
        ("/docs", b'{"a": 1}', "application/json", "index 0"),
        ("/docs/", b'{"a": 1}', "application/json", "index 0"),
        ("/docs/news", b'[{"id": 1}, {"id": null}]', "application/json", "index 1"),
        ("/docs", b'{"id": 1}\n\n{"id": 1.5}', NDJSON, "line 3"),
        ("/docs", b'{"id": 1}\n' * 200_000 + b"{}", NDJSON, "line 200001"),
        ("/docs", b'{"fields": {"a": 1}}', PACKETS, "packet 1"),
        ("/docs", b"hello", "text/plain", None),
        ("/docs", FILES, MULTIPART, None),
    ],
)
def test_an_ordered_graph_wants_ids(ordered: Harness, path: str, body: bytes, content_type: str, where: str | None) -> None:
    answer = ask(ordered, path, body, Content_Type=content_type)
    assert answer.status == 422
    assert answer.json()["code"] == "order.id_missing"
    assert answer.json().get("where") == where


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type"),
    [
        ("POST", "/docs", b'{"id": 1}', "application/json"),
        ("POST", "/docs", b'{"id": 1}\n' * 200_000, NDJSON),
        ("POST", "/docs?on_error=deadletter", b'{"id": 1}\noops\n', NDJSON),
        ("PUT", "/docs/news/7", b"hello", "text/plain"),
        ("PUT", "/docs/news/7", b'{"a": 1}', "application/json"),
        ("DELETE", "/docs/news/7", b"", "text/plain"),
    ],
)
def test_an_ordered_graph_takes_what_has_an_id(ordered: Harness, method: str, path: str, body: bytes, content_type: str) -> None:
    assert ask(ordered, path, body, method, Content_Type=content_type).status == 202


def test_a_full_queue_is_told_before_a_long_body_is_read(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(queue_max_bytes=3_000_000)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
            raw.sendall(
                b"POST /docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 4000000\r\n"
                b"Expect: 100-continue\r\n\r\n"
            )
            reply = b""
            while b"}" not in reply and (data := raw.recv(65536)):
                reply += data
            reply = reply.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after" in reply.lower()
        assert ask(server, "/docs", b"x" * 2_000_000, Content_Type="text/plain").status == 202


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [
        ("wait=10", 10.0),
        ("respond-async, WAIT = 3 ; x=1", 3.0),
        ('wait="7"', 7.0),
        ("wait=1000", 60.0),
        ("wait", 0.0),
        ("wait=-1", 0.0),
        ("wait=inf", 0.0),
        ("return=minimal", 0.0),
    ],
)
def test_preferences(prefer: str, wait_s: float) -> None:
    assert _preferred_wait_s(prefer) == wait_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("12.5", 12.5),
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T01:01:00 01:00", 60.0),
        ("1970-01-01T00:01:00.250Z", 60.25),
    ],
)
def test_times(text: str | None, seconds: float) -> None:
    assert math.isclose(since_of(text), seconds)


@pytest.mark.parametrize(
    "text", ["-1", "inf", "nan", "yesterday", "1970-01-01T00:01:00", "2026-13-01T00:00:00Z", "1e999", "1e300"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadRequest):
        since_of(text)
