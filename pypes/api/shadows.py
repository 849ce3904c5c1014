"""``/graphs/{name}/shadow``: a candidate version on copies of live deliveries, compared with the live one, publishing nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.api.change import cause_of
from pypes.api.graphs import MAX_GRAPH_BYTES, UNKNOWN
from pypes.api.operation import BOOLEAN, COUNT, JSON_OBJECT, TEXT, TIME, Answer, obj, operation
from pypes.api.request import Request
from pypes.errors import BadRequest
from pypes.runtime.trials.shadow_job import MAX_DOCUMENTS, MAX_RECORDED

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

DIFFERENCES = obj(missing=COUNT, added=COUNT, changed=COUNT, fields={"type": "object", "additionalProperties": COUNT})
REPORT = obj(
    {
        "different": {**COUNT, "description": "Documents for which the two versions gave different results."},
        "publishers": {"type": "object", "additionalProperties": DIFFERENCES},
        "fates": {"type": "array", "items": obj(live=TEXT, candidate=TEXT, documents=COUNT)},
        "examples": {"type": "array", "items": JSON_OBJECT},
        "filters": {"type": "object", "additionalProperties": JSON_OBJECT, "description": "Time in each, by version."},
        "tests": {"type": "array", "items": JSON_OBJECT, "description": "What was recorded."},
    },
    shadow=TEXT,
    graph=TEXT,
    version=COUNT,
    state={"type": "string", "enum": ["starting", "running", "done", "ended"]},
    incomplete=BOOLEAN,
    error={"type": ["object", "null"], "description": "Reason for an early end: code, message, where."},
    started=TIME,
    wanted=COUNT,
    documents=COUNT,
    missed={
        **COUNT,
        "description": "Deliveries that were not copied: too large, run again, or too many for the shadow to keep up.",
    },
)
NO_SHADOW = "No such graph or shadow."


class Shadows:
    """The shadows of a graph."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Run a candidate version on copies of live deliveries and compare it with the live one",
        {202: Answer("The shadow is being started.", obj(shadow=TEXT))},
        errors={
            400: "The body is not a valid request.",
            404: UNKNOWN,
            409: "The graph has a shadow already, or the node has as many as it may.",
            422: "The candidate is not valid.",
        },
        body={
            "application/json": obj(
                {
                    "graph": {**JSON_OBJECT, "description": "The candidate."},
                    "documents": {**COUNT, "description": "Number of documents after which the shadow ends; 1000 by default."},
                    "record": {**COUNT, "description": "Number of deliveries to turn into tests, instead of comparing."},
                    "redact": {"type": "array", "items": TEXT, "description": "Fields replaced before a test is made."},
                }
            )
        },
        scope="edit",
        audit="shadow.start",
        graph="name",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        wanted = await req.json(MAX_GRAPH_BYTES)
        if not isinstance(wanted, dict) or wanted.keys() - {"graph", "documents", "record", "redact"}:
            raise BadRequest('send {"graph": {…}, "documents": NUMBER}', code="request.invalid")
        found = await self._worker.control.trials.shadow(
            name,
            graph=wanted.get("graph"),
            documents=_number(wanted, "documents", 1000, MAX_DOCUMENTS),
            record=_number(wanted, "record", 0, MAX_RECORDED),
            redact=_names(wanted.get("redact", [])),
            rights=req.client.rights,
            cause=cause_of(req),
        )
        resp.status = 202
        resp.set_header("location", f"{req.path}/{found['shadow']}")
        resp.data = orjson.dumps(found)

    @operation(
        "Report of a shadow so far", {200: Answer("The report.", REPORT)}, errors={404: NO_SHADOW}, scope="read", graph="name"
    )
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, name: str, id: str) -> None:
        resp.data = orjson.dumps(await self._worker.control.trials.shadow_report(name, id))

    @operation(
        "End a shadow; its report stays for an hour",
        {204: Answer("It has ended.")},
        errors={404: NO_SHADOW},
        scope="edit",
        audit="shadow.end",
        graph="name",
    )
    async def on_delete_one(self, req: Request, resp: falcon.asgi.Response, name: str, id: str) -> None:
        await self._worker.control.trials.end_shadow(name, id, cause_of(req))
        resp.status = 204


def _number(wanted: dict[str, Any], key: str, default: int, most: int) -> int:
    value = wanted.get(key, default)
    if type(value) is not int or not (0 < value <= most or value == default):
        raise BadRequest(f"{key} is a number up to {most}", code="request.invalid", where=key)
    return value


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise BadRequest("redact is an array of names of fields", code="request.invalid", where="redact")
    return value
