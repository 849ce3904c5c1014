"""``/healthz`` and ``/readyz``: what load balancers and service managers ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.operation import COUNT, OPEN, TEXT, Answer, obj, operation
from pypes.api.request import Request

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

HEALTH = obj(status=TEXT, node={**COUNT, "description": "Number of the node, part of the ids of its receipts."})
READINESS = obj({"degraded": {"type": "object", "additionalProperties": TEXT}}, status=TEXT)


class Health:
    """``/healthz``: the process answers. Stays 200 while the node drains: restarting it then would do harm."""

    def __init__(self, node: int) -> None:
        self._answer = orjson.dumps({"status": "ok", "node": node})

    @operation("Whether the server is alive", {200: Answer("It is.", HEALTH)}, scope=OPEN)
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        resp.data = self._answer

    on_head = on_get


class Readiness:
    """``/readyz``: documents would be taken."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Whether the server takes documents",
        {
            200: Answer(
                "The server takes documents. degraded names the graphs that cannot run, with the reason: they could not be set "
                "up, or a pool of theirs has lost all of its processes. Their documents wait.",
                READINESS,
            ),
            503: Answer(
                "Not now. status gives the reason: starting, draining, failing (its disk), failed (the default graph, or every "
                "graph, cannot run), joining (it has not found itself in its fleet yet), doubled (another node of the fleet has "
                "the same number), cut off (this process has lost the supervisor and is being replaced).",
                READINESS,
            ),
        },
        scope=OPEN,
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        state, degraded = self._worker.readiness()
        client = req.client
        degraded = {graph: reason for graph, reason in degraded.items() if "read" in client.scopes and client.has(graph)}
        resp.status = 200 if state == "ready" else 503
        resp.data = orjson.dumps({"status": state, "degraded": degraded} if degraded else {"status": state})

    on_head = on_get
