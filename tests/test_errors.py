"""The sentence of an error: where, what, and every problem once."""

from __future__ import annotations

import pytest

from pypes.core.limits import Limits
from pypes.errors import BadRequest, InvalidInput, Problem
from pypes.ingest.codecs import json


@pytest.mark.parametrize(
    ("message", "where", "sentence"),
    [
        ("it is broken", "", "it is broken"),
        ("it is broken", "nodes.a", "nodes.a: it is broken"),
        ("there is a gap", "a", "a: there is a gap"),
        ("malformed JSON at line 2, column 5: what", "line 2, column 5", "malformed JSON at line 2, column 5: what"),
        ("line 7 is not a JSON object", "line 7", "line 7 is not a JSON object"),
        ("g.json cannot be read", "g.json", "g.json cannot be read"),
    ],
)
def test_the_place_is_said_once(message: str, where: str, sentence: str) -> None:
    assert str(InvalidInput(message, where=where)) == sentence


def test_problems_follow_on_lines_of_their_own() -> None:
    error = InvalidInput("it is not valid", where="g.json", problems=[Problem("nodes.a", "is not there")])
    assert str(error) == "g.json: it is not valid\n  nodes.a: is not there"


def test_malformed_json_is_placed_once() -> None:
    with pytest.raises(BadRequest) as raised:
        json.parse(b'[{"a": 1},\n{"b"]', Limits())
    assert str(raised.value).count("line 2") == 1
    assert raised.value.where == "line 2, column 5"
