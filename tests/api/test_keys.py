"""Keys and form fields that there are not are refused, and not left out in silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pypes.api.filters import _wanted
from pypes.api.keys import check_keys
from pypes.api.request import FORM, Request
from pypes.errors import BadRequest

JSON = "application/json"


def request(body: bytes, content_type: str) -> Request:
    async def receive() -> dict[str, Any]:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/filters", "query_string": b"", "headers": headers}
    return Request(scope, receive, first_event={"type": "http.request", "body": body, "more_body": False})


def test_all_that_is_known_may_be_given() -> None:
    check_keys({"a": 1}, ("a", "b"))
    with pytest.raises(BadRequest, match="unknown key; there are a, b") as caught:
        check_keys({"a": 1, "c": 2}, ("b", "a"))
    assert caught.value.where == "c"


@pytest.mark.parametrize(
    ("body", "content_type", "where"),
    [
        (b'{"component": "SetField", "parms": {"field": "a"}}', JSON, "parms"),
        (b"klass=SetField&field=a", FORM, "field"),
        (b"klass=SetField&field=", FORM, "field"),
        (b"klas=SetField", FORM, "klass"),
    ],
)
def test_a_filter_is_not_made_of_half_of_what_was_sent(body: bytes, content_type: str, where: str) -> None:
    with pytest.raises(BadRequest) as caught:
        asyncio.run(_wanted(request(body, content_type)))
    assert caught.value.where == where


def test_a_filter_is_made_of_a_component_and_its_parameters() -> None:
    assert asyncio.run(_wanted(request(b'{"component": "A", "params": {"b": 1}}', JSON))) == ("A", {"b": 1})
    assert asyncio.run(_wanted(request(b"klass=A", FORM))) == ("A", {})
