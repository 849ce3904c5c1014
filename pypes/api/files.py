"""``/graphs/{name}/file`` and ``/convert``: graphs as the files that Git keeps, and files of elsewhere as graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.api.graphs import MAX_GRAPH_BYTES
from pypes.api.operation import JSON_OBJECT, PROBLEMS, Answer, Parameter, obj, operation
from pypes.api.query import check_names, choice_of, number_of
from pypes.api.request import Request
from pypes.api.versions import MAX_VERSION
from pypes.errors import BadRequest

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

FORMATS = ("pypes", "pypes1")
ORIGINS = ("live", "draft", "folder")
DISPOSITION = {"Content-Disposition": "attachment, with the name of the file."}
FILE = Answer("The canonical text of the graph: a line for each filter, wire, place and test.", JSON_OBJECT, DISPOSITION)


class Files:
    """Graphs as text; nothing is deployed or stored."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "A graph as its file, to be kept under version control",
        {200: FILE},
        errors={
            400: "A parameter is not one of those that there are.",
            404: "No such graph, version, draft or file.",
            422: "The draft lacks too much to be written, or the file cannot be read; the problems are listed.",
        },
        parameters=(
            Parameter("version", "Number of the version; by default what is live.", {"type": "integer", "minimum": 1}),
            Parameter(
                "of",
                "draft, or folder: the file that lies in the folder of graphs; by default what is live.",
                {"type": "string", "enum": [*ORIGINS]},
            ),
        ),
        scope="read",
        graph="name",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        check_names(req, ("version", "of"))
        origin, version = choice_of(req, "of", ORIGINS), number_of(req, "version", 0, 1, MAX_VERSION) or None
        if origin and version:
            raise BadRequest("give either version or of", code="request.invalid", where="of")
        _answer(resp, name, await self._worker.control.graphs.text(name, origin or "live", version))

    @operation(
        "The file of a graph that is sent; it is not stored",
        {200: FILE},
        errors={400: "The body is not JSON.", 422: "The body has not the form of a graph; all mistakes are listed."},
        body={"application/json": JSON_OBJECT},
        scope="edit",
        graph="name",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        graph = await req.json(MAX_GRAPH_BYTES)
        _answer(resp, name, await self._worker.control.graphs.written(name, graph))

    @operation(
        "Read a graph file, or a project of the original Pypes, as a graph of this name, without deploying it",
        {
            200: Answer(
                "The graph; report lists the parts of a project that have no counterpart, errors what would keep the graph from "
                "being deployed.",
                obj(format={"type": "string", "enum": [*FORMATS]}, graph=JSON_OBJECT, report=PROBLEMS, errors=PROBLEMS),
            )
        },
        errors={400: "The body is not JSON.", 422: "It is neither a graph nor a project; all mistakes are listed."},
        parameters=(
            Parameter("format", "Form of the body; by default it is found out.", {"type": "string", "enum": [*FORMATS]}),
        ),
        body={"application/json": JSON_OBJECT},
        scope="edit",
        graph="name",
    )
    async def on_post_convert(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        check_names(req, ("format",))
        form, graph = choice_of(req, "format", FORMATS), await req.json(MAX_GRAPH_BYTES)
        found: dict[str, Any] = await self._worker.control.graphs.convert(name, graph, form, req.client.rights)
        resp.data = orjson.dumps(found)


def _answer(resp: falcon.asgi.Response, name: str, text: str) -> None:
    resp.content_type = "application/json"
    resp.set_header("content-disposition", f'attachment; filename="{name}.json"')
    resp.data = text.encode()
