"""Recordings: what was posted and what came of it, as tests that a graph can carry (see :mod:`pypes.graph.cases`)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

#: Stands for the value of a field that must not be told.
MARKER = "REDACTED"

#: True for the name of a field that is replaced.
Hides = Callable[[str], bool]


def redact(value: Any, hides: Hides) -> Any:
    """A JSON value with the fields of these names, wherever they stand, replaced by the marker."""
    if isinstance(value, dict):
        return {name: MARKER if hides(name) else redact(each, hides) for name, each in value.items()}
    if isinstance(value, list):
        return [redact(each, hides) for each in value]
    return value


def redacted_body(body: bytes, codec: str, hides: Hides) -> bytes | None:
    """A body with fields replaced, itself if it has none of them; ``None`` if nobody can tell which fields it has.

    ``codec`` is that of its media type (``json``, ``ndjson``, ``packets``, …).
    """
    try:
        if codec in ("json", "packets"):
            value = json.loads(body)
            found = redact(value, hides)
            return body if found == value else _text(found)
        if codec == "ndjson":
            values = [json.loads(line) for line in body.splitlines() if line.strip()]
            lines = [redact(value, hides) for value in values]
            return body if lines == values else b"".join(_text(line) + b"\n" for line in lines)
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
    hides: Hides = lambda name: False,
) -> dict[str, Any] | None:
    """A test that expects what arrived at publishers; ``again`` is what arrived when it was run once more.

    Fields that differ then (a time, a random number), or have what is to be replaced, are left out. ``None`` if the packets are
    not as many.
    """
    expect: list[dict[str, Any]] = []
    for node in sorted(arrived):
        first, second = arrived[node], again.get(node, ())
        if len(first) != len(second):
            return None
        if not first:
            expect.append({"node": node, "packets": 0})
        for one, other in zip(first, second, strict=True):
            fields, others = one.get("fields", {}), redact(other.get("fields", {}), hides)
            steady = {key: value for key, value in fields.items() if key in others and others[key] == value}
            exact = {"exact": True} if steady.keys() == fields.keys() == others.keys() else {}
            expect.append({"node": node, "packets": len(first), "fields": steady, **exact})
    case: dict[str, Any] = {"name": name, "post": dict(post), "expect": expect, "dropped": dropped}
    if failures:
        case["failed"] = [{"filter": failure["filter"], "code": failure["code"]} for failure in failures]
    return case


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
