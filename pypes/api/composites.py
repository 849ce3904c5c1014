"""``/composites``: sub-graphs with ports and parameters of their own, which are filters of graphs.

The version is the entity tag, as that of a graph.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.change import AUTHORSHIP, IF_MATCH, IF_NONE_MATCH, answer, cause_of, edit_of, expected
from pypes.api.graphs import MAX_GRAPH_BYTES
from pypes.api.operation import COUNT, JSON_OBJECT, NAMES, TEXT, TIME, Answer, obj, operation
from pypes.api.permission import permit_everything
from pypes.api.query import LINK, LISTED, answer_page, number_of
from pypes.api.request import Request
from pypes.api.versions import MAX_VERSION
from pypes.errors import BadRequest

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

PORTS = {"type": "object", "additionalProperties": TEXT}
VERSION = {"version": COUNT, "time": TIME, "by": TEXT, "note": TEXT, "digest": TEXT}
SUMMARY = {
    "name": TEXT,
    **VERSION,
    "doc": TEXT,
    "inputs": PORTS,
    "outputs": PORTS,
    "schema": JSON_OBJECT,
    "users": obj(graphs=NAMES, drafts=NAMES, composites=NAMES),
}
COMPOSITE = obj(**SUMMARY, composite=JSON_OBJECT)
ETAG = {"ETag": "The newest version, in quotes."}
UNKNOWN = "No composite of that name."
CHANGED = "The newest version is not the one in If-Match, or with If-None-Match the composite exists already."


class Composites:
    """``/composites``, ``/composites/{name}`` and its versions."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "All composites, described as components are, with who uses them",
        {200: Answer("The newest version of each, sorted by name.", {"type": "array", "items": obj(**SUMMARY)}, LINK)},
        parameters=LISTED,
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        calls = self._worker.control.composites
        await answer_page(req, resp, partial(calls.page, among=req.client.graphs), req.get_param("after"))

    @operation(
        "One composite",
        {200: Answer("The newest version.", COMPOSITE, ETAG)},
        errors={404: UNKNOWN},
        scope="read",
    )
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        answer(resp, await self._worker.control.composites.get(name, req.client.graphs))

    @operation(
        "Keep a composite as the newest version; graphs that use it have it when they are deployed again",
        {
            201: Answer("Kept, a new composite.", COMPOSITE, ETAG),
            200: Answer("Kept, in the place of the former version.", COMPOSITE, ETAG),
        },
        errors={
            400: "The body is not JSON, or If-Match is no entity tag.",
            412: CHANGED,
            422: "The composite is not valid; all problems are listed.",
        },
        parameters=(IF_MATCH, IF_NONE_MATCH, *AUTHORSHIP),
        body={"application/json": JSON_OBJECT},
        scope="edit",
        audit="composite.save",
    )
    async def on_put_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        permit_everything(req.client)
        composite = await req.json(MAX_GRAPH_BYTES)
        if not isinstance(composite, dict):
            raise BadRequest("the body must be the JSON object of a composite", code="request.invalid")
        kept = await self._worker.control.composites.put(name, composite, edit_of(req, expected(req)))
        if kept.pop("created"):
            resp.status = 201
            resp.set_header("location", req.path)
        answer(resp, kept)

    @operation(
        "Delete a composite that nothing uses",
        {204: Answer("The composite is gone; its versions are kept.")},
        errors={404: UNKNOWN, 409: "Graphs, drafts or other composites use it; they are named.", 412: CHANGED},
        parameters=(IF_MATCH,),
        scope="edit",
        audit="composite.delete",
    )
    async def on_delete_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        permit_everything(req.client)
        await self._worker.control.composites.delete(name, expected(req), cause_of(req))
        resp.status = 204

    @operation(
        "All versions of a composite, the newest first",
        {200: Answer("Author, time and reason of each version.", {"type": "array", "items": obj(**VERSION)}, LINK)},
        errors={404: UNKNOWN},
        parameters=LISTED,
        scope="read",
    )
    async def on_get_versions(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        after = number_of(req, "after", 0, 1, MAX_VERSION) or None
        await answer_page(req, resp, partial(self._worker.control.composites.versions, name), after)

    @operation(
        "One version of a composite",
        {200: Answer("The version with its composite.", obj(**VERSION, composite=JSON_OBJECT))},
        errors={400: "The version is no number.", 404: "No such composite or version."},
        scope="read",
    )
    async def on_get_version(self, req: Request, resp: falcon.asgi.Response, name: str, version: str) -> None:
        if not (version.isdecimal() and len(version) < 10):
            raise BadRequest("a version is a number", code="request.invalid", where="version")
        resp.data = orjson.dumps(await self._worker.control.composites.version(name, int(version)))
