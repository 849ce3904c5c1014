"""``/graphs/{name}/wires``, ``/draft`` and ``/deploy``: a graph built step by step, as the original's editor did."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.change import AUTHORSHIP, cause_of, edit_of
from pypes.api.graphs import GRAPH, NOT_SET_UP
from pypes.api.operation import JSON_OBJECT, PROBLEMS, TEXT, Answer, obj, operation
from pypes.api.query import LINK, LISTED, answer_page
from pypes.api.request import Request
from pypes.errors import BadRequest

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

MAX_WIRE_BYTES = 64 << 10

DRAFT = obj(name=TEXT, graph=JSON_OBJECT, names={"type": "object", "additionalProperties": TEXT}, errors=PROBLEMS)
WIRE = {"application/json": obj(source=TEXT, target=TEXT)}
WIRES = obj(name=TEXT, wires={"type": "array", "items": {"type": "array", "items": TEXT}})
NO_DRAFT = "No draft of that name."
NO_FILTER = "No filter of that id."
FULL = "There are as many drafts as may be; deploy or delete some."


class Drafts:
    """Drafts live on the server until they are deployed or discarded."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "All drafts of graphs",
        {
            200: Answer(
                "The wires of each draft; filters that are in no graph yet appear by their id.",
                {"type": "array", "items": WIRES},
                LINK,
            )
        },
        parameters=LISTED,
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        await answer_page(req, resp, partial(self._worker.control.drafts.page, among=req.client.graphs), req.get_param("after"))

    @operation(
        "Draw a wire in the draft of a graph; ends are filter.port, with the id of a filter",
        {201: Answer("The draft after the change, with the problems that remain.", DRAFT)},
        errors={
            400: "Not two ends.",
            404: NO_FILTER,
            409: f"A filter is in the draft of another graph already. Or: {FULL[0].lower()}{FULL[1:]}",
            422: "The port does not exist, or the name of the graph is invalid.",
        },
        body=WIRE,
        scope="edit",
        audit="wire.draw",
        graph="name",
    )
    async def on_post_wires(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        source, target = await _ends(req)
        resp.status = 201
        drafts, rights = self._worker.control.drafts, req.client.rights
        resp.data = orjson.dumps(await drafts.wire(name, source, target, rights=rights, cause=cause_of(req)))

    @operation(
        "Remove a wire from the draft",
        {200: Answer("The draft after the change.", DRAFT)},
        errors={400: "Not two ends.", 404: NO_DRAFT, 422: "An end of the wire is malformed; an end is filter.port."},
        body=WIRE,
        scope="edit",
        audit="wire.delete",
        graph="name",
    )
    async def on_delete_wires(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        source, target = await _ends(req)
        resp.data = orjson.dumps(await self._worker.control.drafts.unwire(name, source, target, cause_of(req)))

    @operation(
        "The draft of a graph",
        {200: Answer("The draft, as the graph that a deployment would make of it.", DRAFT)},
        errors={404: NO_DRAFT},
        scope="read",
        graph="name",
    )
    async def on_get_draft(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        resp.data = orjson.dumps(await self._worker.control.drafts.get(name))

    @operation(
        "Delete a draft with its filters",
        {204: Answer("It is gone.")},
        errors={404: NO_DRAFT},
        scope="edit",
        audit="draft.delete",
        graph="name",
    )
    async def on_delete_draft(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await self._worker.control.drafts.discard(name, cause_of(req))
        resp.status = 204

    @operation(
        "Deploy a draft",
        {200: Answer("The graph is live; the draft is gone.", GRAPH)},
        errors={404: NO_DRAFT, 409: NOT_SET_UP, 422: "The graph is not valid yet; the draft stays."},
        parameters=AUTHORSHIP,
        scope="edit",
        audit="draft.deploy",
        graph="name",
    )
    async def on_post_deploy(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await req.discard()
        deployed = await self._worker.control.drafts.deploy(name, edit_of(req, None))
        deployed.pop("created")
        resp.data = orjson.dumps(deployed)


async def _ends(req: Request) -> tuple[str, str]:
    wire = await req.json(MAX_WIRE_BYTES)
    ends = (wire.get("source"), wire.get("target")) if isinstance(wire, dict) else (None, None)
    if not isinstance(ends[0], str) or not isinstance(ends[1], str):
        raise BadRequest('send {"source": "filter.port", "target": "filter.port"}', code="request.invalid")
    return ends[0], ends[1]
