"""``/graphs/{name}/versions`` and what changes a graph besides a PUT: rollback, pause, resume."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.change import AUTHORSHIP, CHANGED, ETAG, IF_MATCH, answer, cause_of, edit_of, expected
from pypes.api.graphs import GRAPH, MAX_GRAPH_BYTES, NOT_SET_UP, UNKNOWN
from pypes.api.operation import COUNT, JSON_OBJECT, TEXT, TIME, Answer, obj, operation
from pypes.api.query import LINK, LISTED, answer_page, number_of
from pypes.api.request import Request
from pypes.errors import BadRequest

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: The code that a version ran with: one digest, and the distributions and load files that it is made of.
CODE = obj(digest=TEXT, parts={"type": "array", "items": obj(name=TEXT, version=TEXT, digest=TEXT)})
OTHER_CODE = {
    "type": "array",
    "items": TEXT,
    "description": "Differences from a deployment of this version now, one sentence each.",
}
VERSION = obj(
    {
        "error": TEXT,
        "code": CODE,
        "other_code": OTHER_CODE,
        "fleet": {**TEXT, "description": "The version that the members of the fleet have agreed to, if they have."},
    },
    version=COUNT,
    time=TIME,
    by=TEXT,
    note=TEXT,
    state={"type": "string", "enum": ["live", "retired", "failed"]},
    digest={**TEXT, "description": "The same for the same definition, on each node."},
)
ROLLED_BACK = {**GRAPH, "properties": {**GRAPH["properties"], "other_code": OTHER_CODE}}
DIFF = obj({"diff": JSON_OBJECT, "from": COUNT}, to=COUNT)
MAX_VERSION = 999_999_999
NO_VERSION = "No such graph or version."


class Versions:
    """The versions of a graph; they outlive it."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "All versions of a graph, the newest first",
        {200: Answer("Author, time and reason of each version.", {"type": "array", "items": VERSION}, LINK)},
        errors={404: UNKNOWN},
        parameters=LISTED,
        scope="read",
        graph="name",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        after = number_of(req, "after", 0, 1, MAX_VERSION) or None
        await answer_page(req, resp, partial(self._worker.control.versions.page, name), after)

    @operation(
        "One version (n), or the changes between two (a...b)",
        {200: Answer("The version with its graph, or the difference.", {"anyOf": [VERSION, DIFF]})},
        errors={400: "The version is neither a number nor two numbers with three dots between.", 404: NO_VERSION},
        scope="read",
        graph="name",
    )
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, name: str, version: str) -> None:
        old, dots, new = version.partition("...")
        if not _is_number(old) or (dots and not _is_number(new)):
            raise BadRequest("a version is a number; 2...5 compares two", code="request.invalid", where="version")
        if dots:
            found = await self._worker.control.versions.compare(name, int(old), int(new))
        else:
            found = await self._worker.control.versions.get(name, int(old))
        resp.data = orjson.dumps(found)

    @operation(
        "Deploy an earlier version again, as a new one",
        {200: Answer("It is live.", ROLLED_BACK, ETAG)},
        errors={
            400: "No version is named.",
            404: NO_VERSION,
            409: NOT_SET_UP,
            412: CHANGED,
            422: "The version is not valid any more.",
        },
        parameters=(IF_MATCH, *AUTHORSHIP),
        body={"application/json": obj(version=COUNT)},
        scope="edit",
        audit="graph.rollback",
        graph="name",
    )
    async def on_post_rollback(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        body = await req.json(MAX_GRAPH_BYTES)
        version = body.get("version") if isinstance(body, dict) else None
        if type(version) is not int or not 0 < version < 1 << 31:
            raise BadRequest('send {"version": NUMBER}', code="request.invalid", where="version")
        rolled_back = await self._worker.control.graphs.rollback(name, version, edit_of(req, expected(req)))
        answer(resp, rolled_back)

    @operation(
        "Pause a graph: its documents are accepted and kept, none are run",
        {200: Answer("It is paused.", GRAPH, ETAG)},
        errors={404: UNKNOWN},
        scope="edit",
        audit="graph.pause",
        graph="name",
    )
    async def on_post_pause(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await req.discard()
        answer(resp, await self._worker.control.graphs.pause(name, True, cause_of(req)))

    @operation(
        "Resume a graph: run the documents kept while it was paused",
        {200: Answer("It runs.", GRAPH, ETAG)},
        errors={404: UNKNOWN},
        scope="edit",
        audit="graph.resume",
        graph="name",
    )
    async def on_post_resume(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await req.discard()
        answer(resp, await self._worker.control.graphs.pause(name, False, cause_of(req)))


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 10
