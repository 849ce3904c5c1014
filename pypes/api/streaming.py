"""Streams of events (server-sent events): an answer that goes on until its client hangs up, or the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import falcon.asgi

from pypes.api.request import Request
from pypes.runtime.worker.viewers import Viewer

MEDIA_TYPE = "text/event-stream"


class Stream:
    """The chunks of a viewer, as Falcon takes an answer in pieces; the viewer is closed at its end, however that comes.

    ``stopping`` is set when the server is to end: what waits is sent still, and the client comes back to another process. If its
    token does not allow any more what it did, the stream ends at once.
    """

    def __init__(self, viewer: Viewer, req: Request, stopping: asyncio.Event) -> None:
        self._viewer = viewer
        # else nobody would notice that the client has hung up before there is something to send
        self._watcher = asyncio.ensure_future(self._watch(req, stopping))

    async def _watch(self, req: Request, stopping: asyncio.Event) -> None:
        client = req.client
        reasons = [asyncio.ensure_future(each) for each in (req.until_gone(), client.ended.wait(), stopping.wait())]
        try:
            await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
            if reasons[0].done() or client.ended.is_set():
                self._viewer.close()
            self._viewer.end()
        finally:
            for reason in reasons:
                reason.cancel()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._viewer.next()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def close(self) -> None:
        """Called by Falcon when the answer has ended."""
        self._watcher.cancel()
        self._viewer.close()


def stream(req: Request, resp: falcon.asgi.Response, viewer: Viewer, stopping: asyncio.Event) -> None:
    """Answer with all that is put to a viewer."""
    resp.content_type = MEDIA_TYPE
    # neither kept by anybody in between, nor gathered there
    resp.set_header("cache-control", "no-store")
    resp.set_header("x-accel-buffering", "no")
    resp.stream = Stream(viewer, req, stopping)
