"""Recordings: posts and what came of them as tests, with fields redacted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pypes.graph.cases import compare, read_cases
from pypes.graph.recording import MARKER, case_of, post_of, redact, redacted_body


def test_fields_are_replaced_wherever_they_stand() -> None:
    value = {"name": "Ann", "list": [{"name": ["Bo"], "n": 1}], "own": {"name": {"first": "Cy"}}}
    assert redact(value, {"name"}.__contains__) == {"name": MARKER, "list": [{"name": MARKER, "n": 1}], "own": {"name": MARKER}}


@pytest.mark.parametrize(
    ("codec", "body", "found"),
    [
        ("json", b'{"a": "secret", "b": 1}', b'{"a": "REDACTED", "b": 1}'),
        ("json", b'[{"a": "secret"}]', b'[{"a": "REDACTED"}]'),
        ("ndjson", b'{"a": 1}\n\n{"b": 2}', b'{"a": "REDACTED"}\n{"b": 2}\n'),
        ("ndjson", b'{"a": 1}\n{', None),
        ("raw", b"a,b\n1,2\n", None),
        ("json", b'{"b" : 1}', b'{"b" : 1}'),
        ("ndjson", b'{"b" : 1}\n\n', b'{"b" : 1}\n\n'),
    ],
)
def test_bodies(codec: str, body: bytes, found: bytes | None) -> None:
    assert redacted_body(body, codec, {"a"}.__contains__) == found


def test_a_post_is_read_back_as_it_was() -> None:
    for body, encoding in ((b'{"a": 1}', ""), (b"\xff\xfe", ""), (b"text", "gzip")):
        post = post_of(body, "text/plain", encoding, {"route": "r", "id": None, "filename": None})
        (case,), problems = read_cases([{"post": post}], [])
        assert not problems
        assert case.posts[0].body == body
        assert (case.posts[0].encoding, case.posts[0].route, case.posts[0].id) == (encoding, "r", None)


def packets(*fields: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {"out": [{"fields": each} for each in fields]}


def test_what_is_not_repeatable_is_not_expected() -> None:
    first, again = packets({"a": 1, "time": 5}), packets({"a": 1, "time": 6})
    made = case_of("t", {"body": ""}, first, again, 0, [])
    assert made is not None
    assert made["expect"] == [{"node": "out", "packets": 1, "fields": {"a": 1}}]
    (case,), problems = read_cases([json.loads(json.dumps(made))], ["out"])
    assert not problems
    assert not compare(case, packets({"a": 1, "time": 7}), 0, [])
    assert compare(case, packets({"a": 2, "time": 7}), 0, [])
    assert case_of("t", {"body": ""}, first, packets(), 0, []) is None


def test_what_is_repeatable_is_expected_exactly() -> None:
    made = case_of("t", {"body": ""}, packets({"a": 1}), packets({"a": 1}), 1, [{"filter": "f", "code": "c", "error": "at 0x1"}])
    assert made is not None
    (case,), _ = read_cases([made], ["out"])
    assert not compare(case, packets({"a": 1}), 1, [{"filter": "f", "code": "c", "error": "at 0x2"}])
    assert compare(case, packets({"a": 1, "b": 2}), 1, [{"filter": "f", "code": "c"}])
    assert compare(case, packets({"a": 1}), 0, [])


def test_what_a_component_has_made_under_a_name_that_is_replaced_is_not_expected() -> None:
    made = packets({"a": 1, "token": "geheim", "in": {"token": "geheim"}, "kept": MARKER})
    case = case_of("t", {"body": ""}, made, made, 0, [], {"token", "kept"}.__contains__)
    assert case is not None
    assert case["expect"] == [{"node": "out", "packets": 1, "fields": {"a": 1, "kept": MARKER}}]
