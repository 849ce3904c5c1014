"""Offers to upgrade, which the server ignores (RFC 9110, 7.8)."""

from __future__ import annotations

from collections.abc import Iterable


def without_offer(method: bytes, url: bytes, version: str, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a request without its offer to upgrade."""
    kept = []
    for name, value in fields:
        if name == b"connection":
            value = b", ".join(token for token in value.split(b",") if token.strip().lower() != b"upgrade")
        if name not in (b"upgrade", b"http2-settings"):
            kept.append(b"%b: %b\r\n" % (name, value))
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, url, version.encode(), b"".join(kept))
