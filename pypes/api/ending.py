"""The answer to requests that a worker can wait for no longer, because its process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pypes.api import problems
from pypes.errors import WorkerEnding

App = Callable[[Any, Any, Any], Awaitable[None]]


class Ending:
    """An ASGI application around ``app``: a request that uvicorn cancels at the end of the process gets an answer still."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_begun = False

        async def begin(event: Any) -> None:
            nonlocal is_begun
            is_begun = True
            await send(event)

        try:
            await self._app(scope, receive, begin)
        except asyncio.CancelledError:
            if is_begun:
                raise
            await problems.send(send, ending())


def ending() -> WorkerEnding:
    """The error of a request that was under way when its process ended."""
    return WorkerEnding(
        "the process that had this request ends, and another one takes its place; whether it was carried out is not known: "
        "look, or send it again, with an Idempotency-Key if it was documents"
    )
