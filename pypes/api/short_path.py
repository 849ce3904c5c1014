"""The short path: ``POST /docs`` with a small body, by far the most frequent request, without Falcon around it.

PERF: Falcon's request, response and routing cost as much as checking a document, queueing it and handing it on together.
Whatever is not quite usual goes to Falcon as if nothing had happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pypes.api import docs, problems
from pypes.api.docs import Documents
from pypes.api.reception import INLINE_BYTES
from pypes.errors import PypesError, WorkerEnding

App = Callable[[Any, Any, Any], Awaitable[None]]

GRAPH = docs.GRAPH.encode()

#: Headers that no usual request carries: they change how the body is read, or what is done with it.
_UNUSUAL = frozenset(
    {b"content-encoding", b"content-disposition", b"expect", b"transfer-encoding", b"prefer", b"idempotency-key"}
)


class ShortPath:
    """An ASGI application in front of ``app``."""

    def __init__(self, app: App, documents: Documents) -> None:
        self._app = app
        self._documents = documents

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/docs" or scope["method"] != "POST" or scope["query_string"]:
            await self._long(scope, receive, send)
            return
        content_type = b""
        is_usual = True
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name in _UNUSUAL or name.startswith(b"pypes-"):
                is_usual = False
        if not is_usual:
            await self._long(scope, receive, send)
            return
        event = await receive()
        body = event.get("body", b"")
        if event["type"] != "http.request" or event.get("more_body") or len(body) > INLINE_BYTES:
            await self._long(scope, _again(event, receive), send)
            return
        try:
            receipt, documents, graph = await self._documents.accept("POST", content_type.decode("latin-1"), body)
        except PypesError as error:
            await problems.send(send, error)
            return
        except asyncio.CancelledError:
            await problems.send(send, _ending())
            return
        answer = b'{"receipt":"%b","accepted":%d}' % (name := receipt.encode(), documents)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer)),
            (b"location", b"/receipts/" + name),
            (GRAPH, graph.encode()),
        ]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _long(self, scope: Any, receive: Any, send: Any) -> None:
        """Give a request to Falcon; answer it here if the worker ends and cannot wait for it any longer."""
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
            await problems.send(send, _ending())


def _ending() -> WorkerEnding:
    return WorkerEnding(
        "the process that had this request ends, and another one takes its place; whether it was carried out is not known: "
        "look, or send it again, with an Idempotency-Key if it was documents"
    )


def _again(event: Any, receive: Any) -> Any:
    """A ``receive`` that gives an event that was taken already, then goes on."""
    events = [event]

    async def receive_again() -> Any:
        return events.pop() if events else await receive()

    return receive_again
