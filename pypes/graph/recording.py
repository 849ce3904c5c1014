"""Recordings: what was posted and what came of it, as tests that a graph can carry (see :mod:`pypes.graph.cases`)."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

#: Stands for the value of a field that must not be told.
MARKER = "REDACTED"


def redact(value: Any, fields: Collection[str]) -> Any:
    """A JSON value with these fields, wherever they stand, replaced by the marker."""
    if isinstance(value, dict):
        return {name: MARKER if name in fields else redact(each, fields) for name, each in value.items()}
    if isinstance(value, list):
        return [redact(each, fields) for each in value]
    return value


def redacted_body(body: bytes, codec: str, fields: Collection[str]) -> bytes | None:
    """A body with fields replaced; ``None`` if it has no fields by name, so that nobody can tell what is in it.

    ``codec`` is that of its media type (``json``, ``ndjson``, ``packets``, …).
    """
    try:
        if codec in ("json", "packets"):
            return _text(redact(json.loads(body), fields))
        if codec == "ndjson":
            return b"".join(_text(redact(json.loads(line), fields)) + b"\n" for line in body.splitlines() if line.strip())
    except ValueError:
        return None  # some of it cannot be read
    return None


def post_of(body: bytes, content_type: str, encoding: str, others: Mapping[str, str | None]) -> dict[str, Any]:
    """A POST in the form of a graph's tests; ``others`` are ``route``, ``id``, ``filename`` and ``method``."""
    post: dict[str, Any] = {"content_type": content_type, "body": {"base64": base64.b64encode(body).decode()}}
    if encoding:
        post["encoding"] = encoding
    else:
        with suppress(UnicodeDecodeError):
            post["body"] = body.decode()
    return post | {name: value for name, value in others.items() if value is not None and (name, value) != ("method", "POST")}


def case_of(
    name: str,
    post: Mapping[str, Any],
    arrived: Mapping[str, Sequence[Mapping[str, Any]]],
    again: Mapping[str, Sequence[Mapping[str, Any]]],
    dropped: int,
    failures: Sequence[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """A test that expects what arrived at publishers; ``again`` is what arrived when it was run once more.

    Fields that differ then (a time, a random number) are left out. ``None`` if the packets are not as many.
    """
    expect: list[dict[str, Any]] = []
    for node in sorted(arrived):
        first, second = arrived[node], again.get(node, ())
        if len(first) != len(second):
            return None
        if not first:
            expect.append({"node": node, "packets": 0})
        for one, other in zip(first, second, strict=True):
            fields, others = one.get("fields", {}), other.get("fields", {})
            steady = {key: value for key, value in fields.items() if key in others and others[key] == value}
            exact = {"exact": True} if steady.keys() == fields.keys() == others.keys() else {}
            expect.append({"node": node, "packets": len(first), "fields": steady, **exact})
    case: dict[str, Any] = {"name": name, "post": dict(post), "expect": expect, "dropped": dropped}
    if failures:
        case["failed"] = [{"filter": failure["filter"], "code": failure["code"]} for failure in failures]
    return case


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
