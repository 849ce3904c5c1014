"""The short path answers as Falcon does: ``/docs`` takes it, ``/docs/`` is the same address without it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from pypes.api.docs import Documents
from pypes.api.short_path import ShortPath
from pypes.testing.node import Node, running
from tests.api.test_docs import FILES, GRAPH, LINES, MULTIPART, NDJSON, ONE, PACKETS, nested


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("short_path"), GRAPH, workers=1, instances=1) as node:
        yield node


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", ONE),
        ("application/json", b'[{"a": 1}, {"a": 2}]'),
        ("application/json", b'{"a": '),
        ("application/json", b""),
        ("application/json", b"[]"),
        ("application/json", b"3"),
        ("application/json", nested(201)),
        (NDJSON, LINES),
        (NDJSON, b'{"a": 1}\n{"a": \n'),
        (MULTIPART, FILES),
        (PACKETS, b'{"fields": {"a": 1}}'),
        ("text/plain; charset=utf-8", b"hello"),
        ("text/plain", b"x" * 100_000),
        ("application/x-www-form-urlencoded", b"a=b"),
    ],
)
def test_both_ways_answer_alike(node: Node, content_type: str, body: bytes) -> None:
    def told(path: str) -> Any:
        answer = node.post(body, path, content_type)
        document = answer.json()
        if answer.status == 202:
            assert answer.headers["location"] == f"/receipts/{document.pop('receipt')}"
        return answer.status, answer.headers["content-type"], answer.headers.get("pypes-graph"), document

    assert told("/docs") == told("/docs/")


def test_what_is_not_usual_goes_the_long_way(node: Node) -> None:
    import gzip

    assert node.post(gzip.compress(ONE), **{"Content-Encoding": "gzip"}).json()["accepted"] == 1
    assert node.post(b"hello", content_type="text/plain", **{"Content-Disposition": 'attachment; filename="a.txt"'}).status == 202
    assert node.http.request("GET", f"{node.url}/docs").status == 405
    assert node.post(ONE, **{"Pypes-Id": "%"}).json()["code"] == "document.id"


@pytest.mark.parametrize(("path", "has_begun"), [("/docs", False), ("/graphs/g", False), ("/graphs/g", True)])
def test_a_worker_that_ends_answers_what_it_cannot_wait_for(path: str, has_begun: bool) -> None:
    class Waits:
        async def accept(self, *_: Any) -> Any:
            await asyncio.Event().wait()

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        if has_begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    events: list[Any] = []

    async def send(event: Any) -> None:
        events.append(event)

    async def main() -> None:
        scope = {"path": path, "method": "POST", "query_string": b"", "headers": []}
        answering = asyncio.ensure_future(ShortPath(waits, cast(Documents, Waits()))(scope, receive, send))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answering.cancel("timeout graceful shutdown exceeded")
        await asyncio.wait([answering])
        assert answering.cancelled() is has_begun

    asyncio.run(main())
    assert events[0]["status"] == (200 if has_begun else 503)
    if not has_begun:
        assert json.loads(events[1]["body"])["code"] == "worker.ending"
