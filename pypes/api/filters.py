"""``/filters``: kinds of components and configured ones, much as the original Pypes had them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import falcon
import falcon.asgi
import orjson

from pypes.api.change import AUTHORSHIP, CHANGED, IF_MATCH, cause_of, edit_of, expected
from pypes.api.keys import check_keys
from pypes.api.operation import JSON_OBJECT, NAMES, TEXT, Answer, Parameter, obj, operation
from pypes.api.permission import permit_everything, permit_graph
from pypes.api.query import LINK, LISTED, answer_page
from pypes.api.request import FORM, Request, parse_json
from pypes.component import KINDS
from pypes.errors import BadRequest
from pypes.ingest.codecs import multipart, parse

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

MAX_FILTER_BYTES = 1 << 20

FILTER = obj(
    {"graph": {"type": ["string", "null"]}},
    id=TEXT,
    component=TEXT,
    kind=TEXT,
    inputs=NAMES,
    outputs=NAMES,
    params=JSON_OBJECT,
    schema=JSON_OBJECT,
)
UNKNOWN = "No filter of that id."
NOT_SET_UP = "It belongs to a deployed graph, of which a filter failed to set up; what was live before still is."
NOT_VALID = "The component is not installed or cannot be used, or the parameters are not valid; `errors` has the problems."


class Filters:
    """``/filters`` and ``/filters/{id}``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Filters, or the components of a kind",
        {200: Answer("Filters, drafts last; with node, the names of the components of that kind.", {"type": "array"}, LINK)},
        parameters=(Parameter("node", "A kind of components.", {"type": "string", "enum": list(KINDS)}), *LISTED),
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        kind = req.get_param("node")
        if kind is None:
            await answer_page(
                req, resp, partial(self._worker.control.filters.page, among=req.client.graphs), req.get_param("after")
            )
            return
        if kind not in KINDS:
            raise BadRequest(f"node must be one of {', '.join(KINDS)}", code="request.invalid", where="node")
        resp.data = orjson.dumps(await self._worker.control.components.kinds(kind))

    @operation(
        "Configure a component",
        {201: Answer("The new filter.", FILTER, {"Location": "Where it is."})},
        errors={
            409: "There are as many drafts as may be; deploy or delete some.",
            415: "Neither JSON nor a form.",
            422: NOT_VALID,
        },
        body={
            "application/json": obj({"params": JSON_OBJECT}, component=TEXT),
            FORM: obj(klass=TEXT),
            "multipart/form-data": obj(klass=TEXT),
        },
        scope="edit",
        audit="filter.create",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        permit_everything(req.client)
        component, params = await _wanted(req)
        created = await self._worker.control.filters.create(component, params, cause_of(req), rights=req.client.rights)
        resp.status = 201
        resp.set_header("location", f"/filters/{created['id']}")
        resp.data = orjson.dumps(created)

    @operation("One filter", {200: Answer("The filter.", FILTER)}, errors={404: UNKNOWN}, scope="read")
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        _check(req, id)
        resp.data = orjson.dumps(await self._worker.control.filters.get(id))

    @operation(
        "Give a filter new parameters; one that belongs to a deployed graph is changed there",
        {200: Answer("The filter after the change.", FILTER)},
        errors={
            404: UNKNOWN,
            409: f"{NOT_SET_UP} Or it is a draft, and all drafts together are too large then.",
            412: CHANGED,
            422: NOT_VALID,
        },
        parameters=(IF_MATCH, *AUTHORSHIP),
        body={"application/json": obj(params=JSON_OBJECT)},
        scope="edit",
        audit="filter.change",
    )
    async def on_put_one(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        _check(req, id)
        body = await req.json(MAX_FILTER_BYTES)
        params = body.get("params") if isinstance(body, dict) else None
        if not isinstance(params, dict):
            raise BadRequest('send {"params": {…}}', code="request.invalid", where="params")
        changed = await self._worker.control.filters.update(id, params, edit_of(req, expected(req)))
        resp.data = orjson.dumps(changed)

    @operation(
        "Delete a filter",
        {204: Answer("It is gone.")},
        errors={
            404: UNKNOWN,
            409: NOT_SET_UP,
            412: CHANGED,
            422: "The filter belongs to a deployed graph that would not be valid without it.",
        },
        parameters=(IF_MATCH, *AUTHORSHIP),
        scope="edit",
        audit="filter.delete",
    )
    async def on_delete_one(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        _check(req, id)
        await self._worker.control.filters.delete(id, edit_of(req, expected(req)))
        resp.status = 204


def _check(req: Request, id: str) -> None:
    """Raise :class:`Forbidden` for a filter of a graph that is not one of the client's. A draft is of no graph."""
    graph, dot, _ = id.partition(".")
    if dot:
        permit_graph(req.client, graph)
    else:
        permit_everything(req.client)


async def _wanted(req: Request) -> tuple[str, dict[str, Any]]:
    """Component and parameters from either form of the request."""
    media = (req.content_type or "application/json").partition(";")[0].strip().lower()
    body = await req.read(MAX_FILTER_BYTES)
    if media == FORM:
        form = falcon.uri.parse_query_string(body.decode("utf-8", "replace"), keep_blank=True)
        klass = form.get("klass")
        if not isinstance(klass, str):
            raise BadRequest("send one form field klass with the name of a component", code="request.invalid", where="klass")
        if other := next((name for name in form if name != "klass"), None):
            raise BadRequest("a form takes klass only; give parameters by PUT /filters/{id}", code="request.invalid", where=other)
        return klass, {}
    if media == "multipart/form-data":
        return _klass_of(body, req.content_type or ""), {}
    if media != "application/json" and not media.endswith("+json"):
        raise falcon.HTTPUnsupportedMediaType(description='send JSON, {"component": NAME, "params": {…}}, or a form with klass')
    wanted = parse_json(body)
    component, params = (wanted.get("component"), wanted.get("params", {})) if isinstance(wanted, dict) else (None, None)
    if not isinstance(component, str) or not isinstance(params, dict):
        raise BadRequest('send {"component": NAME, "params": {…}}', code="request.invalid")
    check_keys(wanted, ("component", "params"))
    return component, params


def _klass_of(body: bytes, content_type: str) -> str:
    parser = multipart.Parser(multipart.boundary_of(parse(content_type)), is_form=True)
    name, content = "", b""
    for event in parser.feed(body):
        if isinstance(event, multipart.Start):
            name, content = event.part.name, b""
        elif isinstance(event, multipart.Data):
            content += event.piece
        elif name == "klass":
            return content.decode("utf-8", "replace").strip()
    raise BadRequest("send a form field klass with the name of a component", code="request.invalid", where="klass")
