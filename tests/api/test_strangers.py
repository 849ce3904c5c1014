"""Requests made to hurt: deep, long, endless. Each is refused in time, and never a bug of the server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.api.address import _segments
from pypes.api.filters import _klass_of
from pypes.api.options import _preferred_wait_s
from pypes.api.query import since_of
from pypes.api.request import MAX_DEPTH, parse_json
from pypes.errors import InvalidInput
from tests.api.harness import serving

DEPTHS = (300, 900, 100_000)
ADDRESSES = (
    ("POST", "/filters"),
    ("PUT", "/filters/a"),
    ("POST", "/graphs"),
    ("PUT", "/graphs/a"),
    ("POST", "/graphs/a/validate"),
    ("POST", "/graphs/a/dryrun"),
    ("POST", "/graphs/a/shadow"),
    ("POST", "/graphs/a/wires"),
    ("POST", "/graphs/a/rollback"),
    ("POST", "/docs"),
)


def test_what_is_nested_too_deep_is_the_clients_fault(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        for method, path in ADDRESSES:
            for depth in DEPTHS:
                nested = b'{"params": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
                form = {"component": "Null", "node": "Publishers"}
                given = b'{"component": "Null", "node": "Publishers", "version": 1, "nodes": {"a": ' + nested + b"}}"
                for body in (nested, given, b"[" * depth + b"]" * depth):
                    answer = server.http.request(
                        method, server.url + path, body=body, headers={"Content-Type": "application/json"}
                    )
                    assert 400 <= answer.status < 500, (method, path, depth, answer.data)
                answer = server.http.request(
                    method, server.url + path, fields={**form, "params": nested.decode()}, encode_multipart=False
                )
                assert 400 <= answer.status < 500, (method, path, depth, answer.data)
        assert "Traceback" not in server.log()


def test_what_is_nested_as_deep_as_allowed_is_read() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(InvalidInput) as caught:
        parse_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    assert caught.value.code == "request.too_deep"
    # brackets alone are no depth
    assert orjson.dumps(parse_json(b"[" + b"[]," * 1000 + b"1]"))


def _form(disposition: str) -> bytes:
    return f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nNull\r\n--b--\r\n".encode()


def least_s(work: Callable[[Any], object], given: Any) -> float:
    found = []
    for _ in range(3):
        began = time.thread_time()
        with contextlib.suppress(InvalidInput):
            work(given)
        found.append(time.thread_time() - began)
    return min(found)


@pytest.mark.parametrize(
    ("work", "run"),
    [
        (lambda text: _klass_of(_form(text), "multipart/form-data; boundary=b"), "a;"),
        (lambda text: _klass_of(_form('name="klass"'), "multipart/form-data; boundary=b; " + text), "a;"),
        (lambda text: _klass_of(_form('name="klass"'), "multipart/form-data; boundary=b; " + text), '"'),
        (_preferred_wait_s, ","),
        (_preferred_wait_s, "wait"),
        (_preferred_wait_s, "wait=1"),
        (_preferred_wait_s, ";a=b"),
        (since_of, "1"),
        (since_of, " 00:00"),
        (since_of, "2026-01-01T"),
        (lambda text: _segments(text.encode()), "/"),
        (lambda text: _segments(text.encode()), "%41"),
        (lambda text: _segments(text.encode()), "%C3%A4/"),
    ],
)
def test_values_of_headers_and_queries_are_read_in_linear_time(work: Callable[[str], object], run: str) -> None:
    """64 times as much takes no more than 8 times 64 as long; quadratic code takes 4096 times."""
    few, many = (run * (size // len(run)) for size in (1000, 64_000))
    least_s(work, few)
    assert least_s(work, many) < 8 * 64 * max(least_s(work, few), 2e-6)
