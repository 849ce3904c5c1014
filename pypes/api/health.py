"""``/healthz`` and ``/readyz``: what load balancers and service managers ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.operation import TEXT, Answer, obj, operation
from pypes.api.request import Request

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

HEALTH = obj(status=TEXT)


class Health:
    """``/healthz``: the process answers. Stays 200 while the node drains: restarting it then would do harm."""

    @operation("Whether the server is alive", {200: Answer("It is.", HEALTH)}, is_open=True)
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        resp.data = b'{"status":"ok"}'

    on_head = on_get


class Readiness:
    """``/readyz``: documents would be taken."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Whether the server takes documents",
        {
            200: Answer("It does.", HEALTH),
            503: Answer("Not now: it is starting or stopping, no graph is deployed, or its disk is failing.", HEALTH),
        },
        is_open=True,
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        state = self._worker.state
        if state == "ready" and self._worker.queue_stats()[0].is_failed:
            state = "failing"
        resp.status = 200 if state == "ready" else 503
        resp.data = orjson.dumps({"status": state})

    on_head = on_get
