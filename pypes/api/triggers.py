"""``/graphs/{name}/trigger``: sources that run when they are told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.graphs import UNKNOWN
from pypes.api.operation import NAMES, TEXT, Answer, obj, operation
from pypes.api.request import Request

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker


class Triggers:
    """Runs the sources of a graph. Anything may ask for it, a filter of another graph included."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Run the sources of a graph once",
        {202: Answer("They run, whatever dies meanwhile. The names are of those that fetch.", obj(graph=TEXT, sources=NAMES))},
        errors={
            404: UNKNOWN,
            409: "They run already, the graph has none, is paused, or could not be set up.",
            503: "The worker that owns the graph is being started, or the server is stopping.",
        },
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await req.discard()
        sources = await self._worker.trigger(name)
        resp.status = 202
        resp.data = orjson.dumps({"graph": name, "sources": sources})
