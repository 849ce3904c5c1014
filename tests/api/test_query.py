"""Criteria of a search: one that is mistyped, or empty, is refused and not left out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pypes.api.deadletters import CRITERIA, TEXTS, _query, _text
from pypes.api.query import check_names, criterion_of
from pypes.api.request import Request
from pypes.errors import BadRequest
from pypes.ingest.deadletter import LetterQuery


def request(query: str) -> Request:
    async def receive() -> dict[str, Any]:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    scope = {"type": "http", "method": "GET", "path": "/deadletters", "query_string": query.encode(), "headers": []}
    return Request(scope, receive, first_event={"type": "http.request", "body": b"", "more_body": False})


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("graph=people&fiel=a.csv", "fiel"),
        ("graph=people&receipt=", "receipt"),
        ("graph=people&index=", "index"),
        ("graph=people&since=", "since"),
        ("filter=", "filter"),
        ("graph=people&limit=3", "limit"),
    ],
)
def test_what_would_widen_a_search_is_refused(query: str, where: str) -> None:
    with pytest.raises(BadRequest) as caught:
        _query(request(query))
    assert (caught.value.code, caught.value.where) == ("request.invalid", where)


def test_criteria_that_are_given_are_taken() -> None:
    assert _query(request("")) == LetterQuery()
    assert _query(request("graph=people&file=a%20b&index=0&since=3&limit=2"), "limit") == LetterQuery(
        graph="people", file="a b", index=0, since=3.0
    )


def test_a_refusal_says_what_there_is() -> None:
    with pytest.raises(BadRequest, match="unknown parameter; there are after, limit"):
        check_names(request("sate=done"), ("limit", "after"))
    with pytest.raises(BadRequest, match="leave the parameter out to match any value"):
        criterion_of(request("graph="), "graph")


def test_the_same_holds_for_criteria_in_a_body() -> None:
    with pytest.raises(BadRequest, match="graph must be a text that is not empty"):
        _text({"graph": ""}, "graph")
    assert (_text({}, "graph"), _text({"graph": "g"}, "graph")) == ("", "g")


def test_openapi_says_that_no_criterion_is_empty() -> None:
    told = {parameter.name: parameter.schema.get("minLength") for parameter in CRITERIA}
    assert {name: told[name] for name in TEXTS} == dict.fromkeys(TEXTS, 1)
