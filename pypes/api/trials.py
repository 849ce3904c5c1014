"""``/graphs/{name}/validate``, ``/dryrun`` and ``/test``: what would happen, without anything happening."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.api.graphs import MAX_GRAPH_BYTES
from pypes.api.keys import check_keys
from pypes.api.letters import sample_of
from pypes.api.operation import BOOLEAN, COUNT, JSON_OBJECT, NAMES, PROBLEMS, TEXT, Answer, Schema, obj, operation
from pypes.api.request import Disconnected, Request
from pypes.errors import BadRequest
from pypes.runtime.worker.records import no_letter

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Parts of a sample that are as in a POST of documents, or in the tests of a graph.
SAMPLE = ("content_type", "body", "route", "id", "filename", "encoding", "packet", "at")

MS: Schema = {"type": "number", "minimum": 0}
PLACE: Schema = {"type": ["integer", "null"]}
PACKETS: Schema = {
    "type": "array",
    "items": JSON_OBJECT,
    "description": "Packets. Where something long was cut, cut has by its path how long it is; {left_out: true} stands for one "
    "for which there was no room.",
}


def _by_port(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


STEP = obj(
    {
        "in": PACKETS,
        "out": _by_port(PACKETS),
        "error": {"type": ["object", "null"], "description": "The first of the failures that is of this filter."},
    },
    filter=TEXT,
    component=TEXT,
    dropped=COUNT,
    ms=MS,
    waited_ms={**MS, "description": "Time of calls that ran beside the graph."},
    counts=obj({"in": COUNT}, out=_by_port(COUNT)),
    origins={
        "type": "array",
        "items": obj(port=TEXT, filter={"type": ["string", "null"]}, out={"type": ["string", "null"]}, index=PLACE),
        "description": "For each packet that came in, by which input, and its place among those that went out of a filter; "
        "null for what entered the graph here.",
    },
    parents={
        **_by_port({"type": "array", "items": PLACE}),
        "description": "For each packet that went out, the place of the one that it was made of; null: of several, or unknown.",
    },
    calls={
        "type": "array",
        "items": obj(
            {"in": {"type": "array", "items": COUNT}},
            out=_by_port({"type": "array", "items": COUNT}),
            at_ms={**MS, "description": "Since the begin of the run."},
            ms=MS,
            waited_ms=MS,
            attempt=COUNT,
            dropped=COUNT,
            failed=BOOLEAN,
        ),
        "description": "The calls of the filter in their order, with the places of the packets that each took and sent.",
    },
)
FAILURES = {
    "type": "array",
    "items": obj(
        {"in": {**PLACE, "description": "The place among the packets that came into the filter."}},
        filter=TEXT,
        code=TEXT,
        error=TEXT,
        traceback=TEXT,
        attempts=COUNT,
    ),
}
ERROR = obj(code=TEXT, message=TEXT, where=TEXT)
RESULT = obj(
    name=TEXT,
    index={**COUNT, "description": "Its place among the tests of the graph."},
    passed=BOOLEAN,
    seconds={"type": "number", "minimum": 0},
    failures={
        "type": "array",
        "items": obj(
            filter={**TEXT, "description": "The filter that it is about, or empty."},
            text={**TEXT, "description": "The failure in a sentence."},
            what=TEXT,
            expected={},
            found={},
            received={**PACKETS, "description": "The first packets that came to the filter."},
        ),
    },
    error={"anyOf": [ERROR, {"type": "null"}], "description": "Why it could not be run."},
)
GRAPH_TO_TRY = {**JSON_OBJECT, "description": "Graph to try; by default the deployed one."}
NOT_MADE = "A filter could not be set up, or the trial died or took too long."


class Trials:
    """Dry runs, tests and checks of a deployed graph or of a candidate."""

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
        "Run one body, or one packet, through a graph and show the work of each filter; nothing is published",
        {
            200: Answer(
                "The work of the filters, in the order in which they run.",
                obj(
                    {"test": {"type": ["object", "null"]}, "no_test": {**TEXT, "description": "Why there is no test."}},
                    steps={"type": "array", "items": STEP},
                    published=COUNT,
                    dropped=COUNT,
                    failed=COUNT,
                    failures=FAILURES,
                    left_out={**NAMES, "description": "Filters that what was sent cannot reach."},
                ),
            )
        },
        errors={
            400: "The body is not a valid request, or /docs would refuse the posted document.",
            404: "No graph, or no dead letter, of that name.",
            409: NOT_MADE,
            413: "The report is too large; try with a smaller document.",
            422: "What the document reaches of the graph is not valid.",
        },
        body={
            "application/json": obj(
                {
                    "graph": {
                        **GRAPH_TO_TRY,
                        "description": "Graph to try, which need not be whole; by default the deployed one.",
                    },
                    "content_type": {**TEXT, "default": "application/json"},
                    "body": {"description": 'Text, {"base64": TEXT}, or another JSON value.'},
                    "route": TEXT,
                    "id": TEXT,
                    "filename": TEXT,
                    "encoding": TEXT,
                    "packet": {**JSON_OBJECT, "description": "A packet instead of a body: fields, meta, field_meta."},
                    "at": {**TEXT, "description": "The filter, or filter.port, at which it enters instead of at the adapters."},
                    "letter": {**TEXT, "description": "The id of a dead letter whose packet is to enter at its filter, or at."},
                    "record": {**TEXT, "description": "Make a test of this name that expects what was seen."},
                }
            )
        },
        scope="edit",
        graph="name",
    )
    async def on_post_dryrun(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        wanted = await req.json(MAX_GRAPH_BYTES)
        if not isinstance(wanted, dict) or not wanted.keys() & {"body", "packet", "letter"}:
            raise BadRequest(
                'send {"content_type": TYPE, "body": TEXT}, or {"packet": {…}, "at": FILTER}', code="request.invalid"
            )
        check_keys(wanted, (*SAMPLE, "letter", "graph", "record"))
        record = wanted.get("record")
        if record is not None and not isinstance(record, str):
            raise BadRequest("record must be the name of a test", code="request.invalid", where="record")
        sample = {key: wanted[key] for key in SAMPLE if key in wanted}
        if "letter" in wanted:
            sample = await self._of_letter(req, wanted)
        trials = self._worker.control.trials
        trying = trials.dryrun(name, sample, wanted.get("graph"), record, rights=req.client.rights)
        resp.data = orjson.dumps(await _while_there(req, trying))

    @operation(
        "Run the tests of a graph; nothing is published",
        {
            200: Answer(
                "The results of the tests, in the order in which the graph has them.",
                obj(
                    passed=COUNT,
                    failed=COUNT,
                    seconds={"type": "number", "minimum": 0},
                    tests={"type": "array", "items": RESULT},
                ),
            )
        },
        errors={
            400: "The body is not a valid request.",
            404: "No graph, or no test, of that name.",
            422: "The graph, or one of its tests, is not valid; all problems are listed.",
        },
        body={
            "application/json": obj(
                {"graph": GRAPH_TO_TRY, "tests": {**NAMES, "description": "Names of the tests to run; by default all."}}
            )
        },
        scope="edit",
        graph="name",
    )
    async def on_post_test(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        wanted = await req.json(MAX_GRAPH_BYTES) if req.content_length or req.has_header(b"transfer-encoding") else {}
        if not isinstance(wanted, dict):
            raise BadRequest('send {"graph": {…}, "tests": [NAME, …]}, or nothing', code="request.invalid")
        check_keys(wanted, ("graph", "tests"))
        tests = wanted.get("tests")
        if tests is not None and not (isinstance(tests, list) and all(isinstance(each, str) for each in tests)):
            raise BadRequest("tests must be an array of names", code="request.invalid", where="tests")
        testing = self._worker.control.trials.test(name, wanted.get("graph"), tests, rights=req.client.rights)
        resp.data = orjson.dumps(await _while_there(req, testing))

    async def _of_letter(self, req: Request, wanted: dict[str, Any]) -> dict[str, Any]:
        id, at = wanted["letter"], wanted.get("at", "")
        if not isinstance(id, str) or not isinstance(at, str):
            raise BadRequest("letter is the id of a dead letter, at a filter", code="request.invalid", where="letter")
        if others := wanted.keys() - {"letter", "packet", "at", "graph", "record"}:
            raise BadRequest("does not go with a dead letter, which has all of it", code="request.invalid", where=min(others))
        kept = await self._worker.records.letter(id)
        if not req.client.has(kept.letter.graph):
            raise no_letter()
        return sample_of(kept, wanted.get("packet"), at, self._worker.hiding)


async def _while_there(req: Request, answering: Awaitable[Any]) -> Any:
    """Awaits an answer unless the client hangs up before: then it is cancelled, and this raises :class:`Disconnected`."""
    trying, gone = asyncio.ensure_future(answering), asyncio.ensure_future(req.until_gone())
    try:
        await asyncio.wait([trying, gone], return_when=asyncio.FIRST_COMPLETED)
        if not trying.done():
            raise Disconnected
        return trying.result()
    finally:
        for task in (trying, gone):
            task.cancel()
        await asyncio.gather(trying, gone, return_exceptions=True)
