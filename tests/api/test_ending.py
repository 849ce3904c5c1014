"""Requests that a worker cannot wait for any longer are answered while they can be."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pypes.api.ending import Ending


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_worker_that_ends_answers_what_it_cannot_wait_for(has_begun: bool) -> None:
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
        scope = {"path": "/graphs/g", "method": "POST", "query_string": b"", "headers": []}
        answering = asyncio.ensure_future(Ending(waits)(scope, receive, send))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answering.cancel("timeout graceful shutdown exceeded")
        await asyncio.wait([answering])
        assert answering.cancelled() is has_begun

    asyncio.run(main())
    assert events[0]["status"] == (200 if has_begun else 503)
    if not has_begun:
        assert json.loads(events[1]["body"])["code"] == "worker.ending"
