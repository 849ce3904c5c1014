"""``/graphs/{name}/validate`` and ``/dryrun``: what would happen, without anything happening."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.graphs import MAX_GRAPH_BYTES, UNKNOWN
from pypes.api.keys import check_keys
from pypes.api.operation import BOOLEAN, COUNT, JSON_OBJECT, PROBLEMS, TEXT, Answer, obj, operation
from pypes.api.request import Disconnected, Request
from pypes.errors import BadRequest

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

PACKETS = {"type": "array", "items": JSON_OBJECT}
STEP = obj(
    {
        "in": PACKETS,
        "out": {"type": "object", "additionalProperties": PACKETS},
        "error": {"type": ["object", "null"], "description": "filter, code, error and traceback of the first failure in it."},
    },
    filter=TEXT,
    component=TEXT,
    dropped=COUNT,
    ms={"type": "number"},
)


class Trials:
    """Dry runs and checks of a deployed graph or of a candidate."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Check a graph without deploying it",
        {
            200: Answer(
                "The verdict on deploying the graph under this name, with all problems.",
                obj(valid=BOOLEAN, errors=PROBLEMS),
            )
        },
        errors={400: "The body is not JSON."},
        body={"application/json": JSON_OBJECT},
        scope="edit",
        graph="name",
    )
    async def on_post_validate(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        graph = await req.json(MAX_GRAPH_BYTES)
        resp.data = orjson.dumps(await self._worker.control.trials.validate(name, graph, req.client.rights))

    @operation(
        "Run one body through a graph and show the results of each filter; nothing is published",
        {
            200: Answer(
                "The results of the filters, in the order in which they run.",
                obj(steps={"type": "array", "items": STEP}, published=COUNT, dropped=COUNT, failures={"type": "array"}),
            )
        },
        errors={
            400: "The body is not a valid request, or /docs would refuse the posted document.",
            404: UNKNOWN,
            409: "A filter could not be set up, or the trial died or took too long.",
            413: "The report is too large; try with a smaller document.",
            422: "The graph is not valid.",
        },
        body={
            "application/json": obj(
                {"graph": {**JSON_OBJECT, "description": "Graph to try; by default the deployed one."}},
                content_type=TEXT,
                body={"description": 'Text, or {"base64": TEXT}.'},
            )
        },
        scope="edit",
        graph="name",
    )
    async def on_post_dryrun(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        wanted = await req.json(MAX_GRAPH_BYTES)
        content_type = wanted.get("content_type") if isinstance(wanted, dict) else None
        if not isinstance(content_type, str) or "body" not in wanted:
            raise BadRequest('send {"content_type": TYPE, "body": TEXT}', code="request.invalid")
        check_keys(wanted, ("content_type", "body", "graph"))
        trying = asyncio.ensure_future(
            self._worker.control.trials.dryrun(name, content_type, wanted["body"], wanted.get("graph"), rights=req.client.rights)
        )
        gone = asyncio.ensure_future(req.until_gone())
        try:
            await asyncio.wait([trying, gone], return_when=asyncio.FIRST_COMPLETED)
            if not trying.done():
                raise Disconnected
            resp.data = orjson.dumps(trying.result())
        finally:
            for task in (trying, gone):
                task.cancel()
            await asyncio.gather(trying, gone, return_exceptions=True)
