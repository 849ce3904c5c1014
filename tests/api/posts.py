"""Requests to ``POST /docs`` as bytes, for the short path and past it."""

from __future__ import annotations

HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted"


def post(body: bytes = b'{"a": 1}', more: bytes = JSON, *, line: bytes = b"POST /docs HTTP/1.1", host: bytes = HOST) -> bytes:
    return b"%b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (line, host, more, len(body), body)


def past_the_short_path(request: bytes) -> bytes:
    return request.replace(b"POST /docs HTTP", b"POST /docs/ HTTP")
