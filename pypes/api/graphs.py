"""``/graphs``: what documents run through; a PUT validates and deploys on the live server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.api.operation import COUNT, JSON_OBJECT, NAMES, TEXT, Answer, obj, operation
from pypes.api.request import Request
from pypes.errors import BadRequest

if TYPE_CHECKING:
    from pypes.runtime.worker import IngestWorker

#: A graph with its layout and tests fits many times over.
MAX_GRAPH_BYTES = 16 << 20

GRAPH = obj(name=TEXT, version=COUNT, state=TEXT, graph=JSON_OBJECT)
SUMMARY = obj(name=TEXT, version=COUNT, state=TEXT, filters=NAMES, routes=NAMES)
UNKNOWN = "No graph of that name."


class Graphs:
    """``/graphs`` and ``/graphs/{name}``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation("All graphs", {200: Answer("The deployed graphs, sorted by name.", {"type": "array", "items": SUMMARY})})
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        resp.data = orjson.dumps(await self._worker.control("graphs.list"))

    @operation("One graph", {200: Answer("The live version.", GRAPH)}, errors={404: UNKNOWN})
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        resp.data = orjson.dumps(await self._worker.control("graphs.get", name=name))

    @operation(
        "Validate a graph and deploy it; what is in flight finishes in the version it started in",
        {201: Answer("Deployed, a new graph.", GRAPH), 200: Answer("Deployed, in the place of the former version.", GRAPH)},
        errors={
            400: "The body is not JSON.",
            409: "A filter of the graph failed to set up; what was live before still is.",
            422: "The graph is not valid; all problems are listed.",
        },
        body={"application/json": JSON_OBJECT},
    )
    async def on_put_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        graph = await req.json(MAX_GRAPH_BYTES)
        if not isinstance(graph, dict):
            raise BadRequest("the body must be the JSON object of a graph", code="request.invalid")
        deployed: dict[str, Any] = await self._worker.control("graphs.put", name=name, obj=graph)
        if deployed.pop("created"):
            resp.status = 201
            resp.set_header("location", req.path)
        resp.data = orjson.dumps(deployed)

    @operation("Take a graph down once what is in flight is done", {204: Answer("It is gone.")}, errors={404: UNKNOWN})
    async def on_delete_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await self._worker.control("graphs.delete", name=name)
        resp.status = 204
