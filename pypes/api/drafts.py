"""``/drafts``, and ``/graphs/{name}/draft``, ``/deploy`` and ``/wires``: graphs that are not deployed yet.

The counter of a draft is its entity tag: it is saved in the place of one that was seen, never of any.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.api import problems
from pypes.api.change import AUTHORSHIP, edit_of, expected
from pypes.api.graphs import GRAPH, MAX_GRAPH_BYTES, NOT_SET_UP
from pypes.api.keys import check_keys
from pypes.api.operation import COUNT, JSON_OBJECT, PROBLEMS, TEXT, TIME, Answer, Parameter, obj, operation
from pypes.api.query import LINK, LISTED, answer_page
from pypes.api.request import Request
from pypes.errors import BadRequest, Changed, NotFound, Unconditional

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

MAX_WIRE_BYTES = 64 << 10

VERSION = {**COUNT, "description": "A version of the graph; 0: none."}
HEAD = {"name": TEXT, "base": VERSION, "live": VERSION, "counter": COUNT, "by": TEXT, "time": TIME}
NAMES_BY_UID = {"type": "object", "additionalProperties": TEXT, "description": "Names of filters by their uids."}
DRAFT = obj(**HEAD, graph=JSON_OBJECT, names=NAMES_BY_UID, errors=PROBLEMS)
WIRE = {"application/json": obj(source=TEXT, target=TEXT)}
ETAG = {"ETag": "The counter of the draft, in quotes."}
IF_MATCH = Parameter("If-Match", "Entity tag of the draft that was seen.", place="header")
IF_NONE_MATCH = Parameter("If-None-Match", "*: there must be no draft yet.", place="header")
CHANGED = (
    "The draft is not the one in If-Match, or with If-None-Match there is one: `draft` has the present one, if there is any."
)
NO_DRAFT = "No draft of that name."
NO_FILTER = "No filter of that id."
FULL = "There are as many drafts as may be; deploy or delete some."


class Drafts:
    """Drafts live on the server until they are deployed or deleted."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "All drafts of graphs",
        {200: Answer("The drafts by name, without their graphs.", {"type": "array", "items": obj(**HEAD)}, LINK)},
        parameters=LISTED,
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        await answer_page(req, resp, partial(self._worker.control.drafts.page, among=req.client.graphs), req.get_param("after"))

    @operation(
        "The draft of a graph",
        {200: Answer("The draft, with the problems that it has yet.", DRAFT, ETAG)},
        errors={404: NO_DRAFT},
        scope="read",
        graph="name",
    )
    async def on_get_draft(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        _answer(resp, await self._worker.control.drafts.get(name, req.client.rights))

    @operation(
        "Keep a whole graph, valid or not, as the draft",
        {
            201: Answer("Kept; there was no draft.", DRAFT, ETAG),
            200: Answer("Kept, in the place of the one in If-Match; with the problems that it has yet.", DRAFT, ETAG),
        },
        errors={
            400: "The body is not of this form, or If-Match is no entity tag.",
            409: FULL,
            412: CHANGED,
            422: "The name of the graph is invalid, it is too large, or there never was this base.",
            428: "Neither If-Match with the entity tag of the draft, nor If-None-Match with *.",
        },
        parameters=(IF_MATCH, IF_NONE_MATCH, AUTHORSHIP[0]),
        body={"application/json": obj(graph=JSON_OBJECT, base=VERSION)},
        scope="edit",
        audit="draft.save",
        graph="name",
    )
    async def on_put_draft(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        graph, base = await _document(req)
        seen = expected(req)
        if not seen:
            raise Unconditional(
                "send If-Match with the ETag of the draft that this one takes the place of, or If-None-Match: * to begin one; "
                "otherwise what somebody else has saved meanwhile would be lost",
                code="draft.unconditional",
                where="If-Match",
            )
        try:
            saved = await self._worker.control.drafts.save(name, graph, base, seen, edit_of(req, None))
        except Changed as error:
            await self._refuse(req, resp, name, error)
            return
        resp.status = 201 if saved.pop("created") else 200
        _answer(resp, saved)

    @operation(
        "Delete a draft with its filters",
        {204: Answer("It is gone.")},
        errors={404: NO_DRAFT, 412: CHANGED},
        parameters=(IF_MATCH,),
        scope="edit",
        audit="draft.delete",
        graph="name",
    )
    async def on_delete_draft(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        try:
            await self._worker.control.drafts.discard(name, edit_of(req, None), expected(req))
        except Changed as error:
            await self._refuse(req, resp, name, error)
        else:
            resp.status = 204

    @operation(
        "Deploy a draft",
        {200: Answer("The graph is live; the draft is gone, unless it was saved meanwhile.", GRAPH)},
        errors={
            404: NO_DRAFT,
            409: f"The live version is not the base of the draft (`draft.outdated`). Or: {NOT_SET_UP[0].lower()}{NOT_SET_UP[1:]}",
            412: CHANGED,
            422: "The graph is not valid yet; the draft stays.",
        },
        parameters=(IF_MATCH, *AUTHORSHIP),
        scope="edit",
        audit="draft.deploy",
        graph="name",
    )
    async def on_post_deploy(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await req.discard()
        try:
            deployed = await self._worker.control.drafts.deploy(name, edit_of(req, None), expected(req))
        except Changed as error:
            await self._refuse(req, resp, name, error)
            return
        deployed.pop("created")
        resp.data = orjson.dumps(deployed)

    async def _refuse(self, req: Request, resp: falcon.asgi.Response, name: str, error: Changed) -> None:
        """Answer with the draft that there is in place of the one that was seen, so that the client can merge."""
        body = problems.document_of(error, problems.status_of(type(error)))
        with suppress(NotFound):  # it may be gone by now
            body["draft"] = await self._worker.control.drafts.get(name, req.client.rights)
        problems.answer(resp, body, {})

    # -- step by step -----------------------------------------------------------------------------------

    @operation(
        "Draw a wire in the draft of a graph; ends are filter.port, with the id of a filter, or its name in the draft",
        {201: Answer("The draft after the change, with the problems that remain.", DRAFT, ETAG)},
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
        _answer(resp, await self._worker.control.drafts.wire(name, source, target, edit_of(req, None)))

    @operation(
        "Remove a wire from the draft",
        {200: Answer("The draft after the change; it is gone if nothing is left of what was changed in it.", DRAFT, ETAG)},
        errors={400: "Not two ends.", 404: NO_DRAFT, 422: "An end of the wire is malformed; an end is filter.port."},
        body=WIRE,
        scope="edit",
        audit="wire.delete",
        graph="name",
    )
    async def on_delete_wires(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        source, target = await _ends(req)
        _answer(resp, await self._worker.control.drafts.unwire(name, source, target, edit_of(req, None)))


def _answer(resp: falcon.asgi.Response, draft: dict[str, Any]) -> None:
    resp.set_header("etag", f'"{draft["counter"]}"')
    resp.data = orjson.dumps(draft)


async def _document(req: Request) -> tuple[dict[str, Any], int]:
    """The graph, and the live version that it began from."""
    wanted = await req.json(MAX_GRAPH_BYTES)
    graph, base = (wanted.get("graph"), wanted.get("base")) if isinstance(wanted, dict) else (None, None)
    if not isinstance(graph, dict) or type(base) is not int or base < 0:
        raise BadRequest(
            'send {"graph": {…}, "base": VERSION}, the live version that the draft began from, 0 for none', code="request.invalid"
        )
    check_keys(wanted, ("graph", "base"))
    return graph, base


async def _ends(req: Request) -> tuple[str, str]:
    wire = await req.json(MAX_WIRE_BYTES)
    ends = (wire.get("source"), wire.get("target")) if isinstance(wire, dict) else (None, None)
    if not isinstance(ends[0], str) or not isinstance(ends[1], str):
        raise BadRequest('send {"source": "filter.port", "target": "filter.port"}', code="request.invalid")
    return ends[0], ends[1]
