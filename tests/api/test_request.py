"""Bodies: whole, streamed, broken off, thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pypes.api.request import Disconnected, Request, parse_json
from pypes.errors import BadRequest, TooLarge


def request(chunks: Sequence[bytes | None], headers: dict[bytes, bytes] | None = None) -> Request:
    """A request whose body arrives in ``chunks``; ``None``: the client goes away."""
    events: list[dict[str, Any]] = [
        {"type": "http.disconnect"} if c is None else {"type": "http.request", "body": c, "more_body": i < len(chunks) - 1}
        for i, c in enumerate(chunks)
    ]
    first = events.pop(0)

    async def receive() -> dict[str, Any]:
        return events.pop(0) if events else await asyncio.Event().wait()  # type: ignore[return-value]

    scope = {"type": "http", "method": "POST", "path": "/docs", "query_string": b"", "headers": list((headers or {}).items())}
    made = Request(scope, receive, first_event=first)
    made.left = events  # type: ignore[attr-defined]
    return made


async def gather(req: Request) -> list[bytes]:
    return [chunk async for chunk in req.chunks()]


def test_a_body_that_came_with_the_head_is_taken_at_once() -> None:
    assert request([b"abc"]).whole() == b"abc"
    assert request([b""]).whole() == b""
    assert request([b"abc", b"def"]).whole() is None


def test_chunks_come_in_order_without_empty_ones() -> None:
    assert asyncio.run(gather(request([b"abc", b"", b"def", b""]))) == [b"abc", b"def"]


def test_a_client_that_goes_away_is_not_the_end_of_the_body() -> None:
    with pytest.raises(Disconnected):
        asyncio.run(gather(request([b"abc", b"def", None])))


@pytest.mark.parametrize("chunks", [[b"x" * 11], [b"x" * 6, b"x" * 5], [b"x", *[b"y"] * 20]])
def test_reading_stops_at_the_limit(chunks: list[bytes]) -> None:
    with pytest.raises(TooLarge):
        asyncio.run(request(chunks).read(10))
    assert asyncio.run(request([b"xxxxx", b"yyyyy"]).read(10)) == b"xxxxxyyyyy"


def test_an_announced_length_is_believed_when_too_long() -> None:
    with pytest.raises(TooLarge):
        asyncio.run(request([b"x"], {b"content-length": b"11"}).read(10))


def test_the_rest_of_a_refused_body_is_read() -> None:
    for chunks in ([b"abc"], [b"abc", b"def", b"ghi"]):
        req = request(chunks)
        assert asyncio.run(req.discard())
        assert req.left == []  # type: ignore[attr-defined]


def test_what_is_too_long_or_too_slow_to_discard_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypes.api.request.DISCARD_BYTES", 5)
    assert not asyncio.run(request([b"abc", b"def", b"ghi", b"jkl"]).discard())
    monkeypatch.setattr("pypes.api.request.DISCARD_S", 0.01)
    stuck = request([b"abc", b"d"])
    stuck.left.clear()  # type: ignore[attr-defined]
    assert not asyncio.run(stuck.discard())


def test_a_client_that_waits_for_100_continue_is_not_asked_for_its_body() -> None:
    req = request([b"", b"body"], {b"expect": b"100-continue"})
    assert not asyncio.run(req.discard())
    assert len(req.left) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "place"), [(b'{"a": 1,\n "b": }', "line 2 column 7"), (b"{", "line 1 column 2"), (b"nope", "line 1 column 2")]
)
def test_malformed_json_names_the_place(body: bytes, place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_json(body)
    assert place.split()[1] in caught.value.where
    assert "line" in caught.value.message
    assert "column" in caught.value.message


def test_an_empty_body_is_not_json() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_json(b"  \n")
    assert caught.value.code == "request.empty"


def test_a_number_that_would_be_changed_is_refused() -> None:
    assert parse_json(b'{"n": 18446744073709551615}') == {"n": 2**64 - 1}
    with pytest.raises(BadRequest, match="64 bits"):
        parse_json(b'{"nodes": {"a": {"params": {"n": 18446744073709551616}}}}')
