"""``/graphs``: what documents run through; a PUT validates and deploys on the live server.

The version is the entity tag: with ``If-Match``, nobody overwrites what somebody else has deployed meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.api import problems
from pypes.api.change import AUTHORSHIP, CHANGED, ETAG, IF_MATCH, IF_NONE_MATCH, answer, cause_of, edit_of, expected
from pypes.api.operation import BOOLEAN, COUNT, JSON_OBJECT, NAMES, PROBLEMS, TEXT, TIME, Answer, Parameter, obj, operation
from pypes.api.permission import permit_graph
from pypes.api.query import LINK, LISTED, answer_page
from pypes.api.request import Request
from pypes.errors import BadRequest, Changed, Conflict, InvalidGraph

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: A graph with its layout and tests fits many times over.
MAX_GRAPH_BYTES = 16 << 20

RESTING = {
    "type": "array",
    "items": obj(filter=TEXT, since=TIME, reason=TEXT, instances=COUNT),
    "description": "Filters that wait for a service or a destination: since when, why, and in how many instances.",
}
FORMER = {
    "type": "array",
    "items": obj(version=COUNT, until=TIME),
    "description": "Former versions that finish documents, and until when they may; what is left then goes to the live version.",
}
COUNTS = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": COUNT},
    "description": (
        "By filter and name, what the filters have counted in all instances since the start of the node. Work that was done "
        "again counts again; up to a second passes before something new is seen."
    ),
}
ERROR = {**TEXT, "description": "Reason why the graph cannot run, while its state is failed or stalled."}
ERROR_FILTER = {**TEXT, "description": "The filter that is the reason, as far as it is one."}
STATE = {
    **TEXT,
    "description": "live; starting; paused; closing; failed: it could not be set up; stalled: a pool of it has lost all of its "
    "processes, and none can be set up again.",
}
FILE = obj(
    path=TEXT,
    differs={**BOOLEAN, "description": "The file in the folder of graphs is not what is live."},
    changed={
        "type": "string",
        "enum": ["", "file", "node"],
        "description": "Which of them is newer: file, which is not deployed, or node, which was given another version since.",
    },
    problem={**TEXT, "description": "Why the file is not deployed, or empty."},
)
EXPANDED = {**JSON_OBJECT, "description": "The graph as it runs, if composites are in it; filters inside are `outer:inner`."}
COMPOSITES = {
    "type": "array",
    "items": obj(name=TEXT, version=COUNT, digest=TEXT, newest=COUNT),
    "description": (
        "Composites in it, and the version of each. `newest` is the one that there is now, which a deployment takes unless the "
        "graph names another; 0: none any more."
    ),
}
AGREED = obj(
    version={**TEXT, "description": "The version that the members have agreed to."},
    switched={**NAMES, "description": "The other members that run it."},
    away={**NAMES, "description": "Members that take it when they are back."},
)
DIFFER = {**NAMES, "description": "Members of the fleet that have another definition of the graph than this node."}
DRAFT = {**BOOLEAN, "description": "true if there is a draft of it."}
GRAPH = obj(
    {
        "code": TEXT,
        "error": ERROR,
        "error_filter": ERROR_FILTER,
        "resting": RESTING,
        "former": FORMER,
        "counts": COUNTS,
        "draft": DRAFT,
        "file": FILE,
        "expanded": EXPANDED,
        "composites": COMPOSITES,
        "fleet": AGREED,
        "members_differ": DIFFER,
    },
    name=TEXT,
    version=COUNT,
    state=STATE,
    graph=JSON_OBJECT,
)
CREATED = obj(
    {"code": TEXT, "expanded": EXPANDED, "composites": COMPOSITES, "fleet": AGREED, "members_differ": DIFFER},
    name=TEXT,
    version=COUNT,
    state=TEXT,
    graph=JSON_OBJECT,
    report=PROBLEMS,
)
SUMMARY = obj(
    {
        "error": ERROR,
        "error_filter": ERROR_FILTER,
        "resting": RESTING,
        "former": FORMER,
        "counts": COUNTS,
        "indexes": {**NAMES, "description": "Filters that publish to what GET /search can ask, if there are any."},
        "draft": DRAFT,
        "file": FILE,
        "members_differ": DIFFER,
    },
    name=TEXT,
    version=COUNT,
    state=STATE,
    description=TEXT,
    filters=NAMES,
    routes=NAMES,
)
SECONDS = {"type": "number", "minimum": 0}
TIMES = obj(
    graph=TEXT,
    bounds_s={"type": "array", "items": SECONDS},
    filters={
        "type": "object",
        "additionalProperties": obj(packets=COUNT, seconds=SECONDS, counts={"type": "array", "items": COUNT}),
    },
)
UNKNOWN = "No graph of that name."
NOT_SET_UP = "A filter of the graph failed to set up; what was live before still is, and the version is kept as failed."


class Graphs:
    """``/graphs`` and ``/graphs/{name}``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "All graphs",
        {200: Answer("The deployed graphs, sorted by name.", {"type": "array", "items": SUMMARY}, LINK)},
        parameters=LISTED,
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        await answer_page(req, resp, partial(self._worker.control.graphs.page, among=req.client.graphs), req.get_param("after"))

    @operation(
        "Deploy a new graph; a project of the original Pypes is converted first",
        {201: Answer("Deployed. The report lists the parts of a project that have no counterpart.", CREATED, ETAG)},
        errors={
            400: "The body is not JSON, or a project comes without a name.",
            409: "A graph of that name exists already, or a filter failed to set up.",
            422: (
                "The graph is not valid; all problems are listed. For a project, the converted graph and the report are included."
            ),
        },
        parameters=(
            Parameter("format", "Form of the body.", {"type": "string", "enum": ["pypes", "pypes1"], "default": "pypes"}),
            Parameter("name", "Name of the graph; required for a project, which has none."),
            *AUTHORSHIP,
        ),
        body={"application/json": JSON_OBJECT},
        scope="edit",
        audit="graph.deploy",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        graph = await _graph(req)
        form, name = req.get_param("format") or "pypes", req.get_param("name") or ""
        report: list[dict[str, str]] = []
        if form == "pypes1":
            if not name:
                raise BadRequest(
                    "a project of the original Pypes has no name; add ?name=NAME to the address",
                    code="request.invalid",
                    where="name",
                )
            imported = await self._worker.control.graphs.convert(name, graph, form)
            graph, report = imported["graph"], imported["report"]
        elif form != "pypes":
            raise BadRequest(f"there is no format {form!r}; pypes or pypes1", code="request.invalid", where="format")
        name = name or str(graph.get("name", ""))
        permit_graph(req.client, name)
        try:
            deployed = await self._worker.control.graphs.put(name, graph, edit_of(req, [0]))
        except Changed as error:
            raise Conflict("a graph of that name exists already; change it with PUT", code="graph.exists", where=name) from error
        except InvalidGraph as error:
            if form == "pypes":
                raise
            status = problems.status_of(type(error))
            problems.answer(resp, {**problems.document_of(error, status), "graph": graph, "report": report}, {})
            return
        del deployed["created"]
        resp.status = 201
        resp.set_header("location", f"{req.path}/{name}")
        answer(resp, {**deployed, "report": report})

    @operation("One graph", {200: Answer("The live version.", GRAPH, ETAG)}, errors={404: UNKNOWN}, scope="read", graph="name")
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        answer(resp, await self._worker.control.graphs.get(name))

    @operation(
        "Validate a graph and deploy it; what is in flight finishes in the version it started in",
        {
            201: Answer("Deployed, a new graph.", GRAPH, ETAG),
            200: Answer("Deployed, in the place of the former version.", GRAPH, ETAG),
        },
        errors={
            400: "The body is not JSON, or If-Match is no entity tag.",
            409: NOT_SET_UP,
            412: "The live version is not the one in If-Match, or with If-None-Match the graph exists already.",
            422: "The graph is not valid; all problems are listed.",
        },
        parameters=(IF_MATCH, IF_NONE_MATCH, *AUTHORSHIP),
        body={"application/json": JSON_OBJECT},
        scope="edit",
        audit="graph.deploy",
        graph="name",
    )
    async def on_put_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        graph = await _graph(req)
        deployed = await self._worker.control.graphs.put(name, graph, edit_of(req, expected(req)))
        if deployed.pop("created"):
            resp.status = 201
            resp.set_header("location", req.path)
        answer(resp, deployed)

    @operation(
        "Remove a graph once all documents accepted for it are done; it accepts none from now on",
        {204: Answer("The graph is removed; its versions are kept.")},
        errors={
            404: UNKNOWN,
            409: (
                "The graph did not finish within grace_s, because its destination is down, it is paused or it has failed: "
                "nothing has changed."
            ),
            412: CHANGED,
        },
        parameters=(
            IF_MATCH,
            Parameter("force", "true: remove at once; queued documents become dead letters.", BOOLEAN),
        ),
        scope="edit",
        audit="graph.delete",
        graph="name",
    )
    async def on_delete_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        force = req.get_param_as_bool("force", default=False)
        await self._worker.control.graphs.delete(name, force, expected(req), cause_of(req))
        resp.status = 204

    @operation(
        "The time that packets take at each filter of a graph, as histograms",
        {
            200: Answer(
                "Since the instances that run the graph were started, so since it was deployed. counts[i] are packets that took "
                "up to bounds_s[i] seconds and more than the bound before; the last one those that took longer than all bounds. "
                "Packets of one turn share its time evenly. Filters that have not worked are left out.",
                TIMES,
            )
        },
        errors={404: UNKNOWN},
        scope="read",
        graph="name",
    )
    async def on_get_times(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        resp.data = orjson.dumps(await self._worker.control.graphs.times(name))


async def _graph(req: Request) -> dict[str, Any]:
    graph = await req.json(MAX_GRAPH_BYTES)
    if not isinstance(graph, dict):
        raise BadRequest("the body must be the JSON object of a graph", code="request.invalid")
    return graph
