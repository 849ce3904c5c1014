"""``/tokens``: what clients show to be let in, and what they may do then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.access.budget import KINDS
from pypes.access.client import SCOPES
from pypes.api.change import cause_of
from pypes.api.keys import check_keys
from pypes.api.operation import NAMES, TEXT, TIME, Answer, Schema, obj, operation
from pypes.api.query import LINK, LISTED, answer_page, moment_of
from pypes.api.request import Request
from pypes.errors import BadRequest

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

MAX_TOKEN_BYTES = 64 << 10

#: Keys of a request, besides the name.
KEYS = ("scopes", "graphs", "expires", "budget")

MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time", "description": "It allows nothing from then on."}
NUMBER: Schema = {"type": ["number", "null"], "minimum": 0}
TOKEN = obj(
    {"revoked": TIME},
    name=TEXT,
    state={"type": "string", "enum": ["live", "revoked", "expired"]},
    scopes={"type": "array", "items": {"type": "string", "enum": list(SCOPES)}},
    graphs={**NAMES, "description": "Graphs that it is for, names and patterns such as team-*; none: all graphs."},
    budget={
        "type": "object",
        "properties": {kind: {"type": "number"} for kind in KINDS},
        "description": "Its own numbers; for others those of the settings hold.",
    },
    created=TIME,
    created_by={**TEXT, "description": "The token with which it was made; empty if none was needed."},
    expires=MAYBE_TIME,
)
CREATED = obj(
    {},
    **TOKEN["properties"] | {"revoked": TIME},
    secret={**TEXT, "description": "To be sent as Authorization: Bearer SECRET. No other answer ever has it."},
)
WANTED: dict[str, Schema] = {
    "scopes": {
        "type": "array",
        "items": {"type": "string", "enum": list(SCOPES)},
        "minItems": 1,
        "description": "ingest: hand in documents, and read their receipts. read: look at everything. edit: read, and change "
        "graphs. admin: everything.",
    },
    "graphs": {**NAMES, "description": "Only these graphs: names, and patterns such as team-*."},
    "expires": {"type": ["string", "number", "null"], "description": "Its end: RFC 3339, or seconds since the epoch."},
    "budget": {
        "type": ["object", "null"],
        "properties": {kind: {**NUMBER, "description": f"{what.capitalize()} in a second."} for kind, what in KINDS.items()},
        "additionalProperties": False,
        "description": "0: no bound; null: as the settings have it, and so is what was never given.",
    },
}
UNKNOWN = "No token of that name."
LAST = "Nobody could change tokens any more, and the node has none of its own (token.last)"
NOT_VALID = "The name, a scope, a graph, the end or the budget is not valid."


class Tokens:
    """``/tokens`` and ``/tokens/{name}``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "All tokens, without their secrets",
        {
            200: Answer(
                "Tokens by name, those that were revoked or have expired included.", {"type": "array", "items": TOKEN}, LINK
            )
        },
        parameters=LISTED,
        scope="admin",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        await answer_page(req, resp, self._worker.control.tokens.page, req.get_param("after"))

    @operation(
        "Create a token; from the first one on, all clients need one",
        {201: Answer("The token. Its secret is in no other answer.", CREATED, {"Location": "Address of the token."})},
        errors={
            400: "The body is not JSON, or has unknown keys.",
            409: f"There is a token of that name (token.exists), there are too many (token.too_many), or: {LAST}.",
            422: NOT_VALID,
        },
        body={"application/json": obj({key: WANTED[key] for key in KEYS[1:]}, name=TEXT, scopes=WANTED["scopes"])},
        scope="admin",
        audit="token.create",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        wanted = await _wanted(req, "name", *KEYS)
        name = wanted.pop("name", None)
        if not isinstance(name, str):
            raise BadRequest('send {"name": NAME, "scopes": […]}', code="request.invalid", where="name")
        created = await self._worker.control.tokens.create(name, wanted, cause_of(req))
        self._worker.register.look()
        resp.status = 201
        resp.set_header("location", f"/tokens/{name}")
        # neither kept by a proxy nor by a browser
        resp.set_header("cache-control", "no-store")
        resp.data = orjson.dumps(created)

    @operation("One token, without its secret", {200: Answer("The token.", TOKEN)}, errors={404: UNKNOWN}, scope="admin")
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        resp.data = orjson.dumps(await self._worker.control.tokens.get(name))

    @operation(
        "Change what a token allows, its end or its budget; all workers go by it within a second",
        {200: Answer("The token as it is now.", TOKEN)},
        errors={
            400: "The body is not JSON, has unknown keys, or none.",
            404: UNKNOWN,
            409: f"The token was revoked (token.revoked), or: {LAST}.",
            422: NOT_VALID,
        },
        body={"application/json": obj(WANTED)},
        scope="admin",
        audit="token.change",
    )
    async def on_patch_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        wanted = await _wanted(req, *KEYS)
        if not wanted:
            raise BadRequest(f"send some of {', '.join(KEYS)}", code="request.invalid")
        changed = await self._worker.control.tokens.change(name, wanted, cause_of(req))
        self._worker.register.look()
        resp.data = orjson.dumps(changed)

    @operation(
        "Revoke a token: it allows nothing any more, on all workers within a second",
        {204: Answer("It is revoked, or was before.")},
        errors={404: UNKNOWN, 409: f"{LAST}."},
        scope="admin",
        audit="token.revoke",
    )
    async def on_delete_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await self._worker.control.tokens.revoke(name, cause_of(req))
        self._worker.register.look()
        resp.status = 204


async def _wanted(req: Request, *known: str) -> dict[str, Any]:
    """The body, an object with no other keys, and the end in seconds since the epoch. Raises :class:`BadRequest`."""
    wanted = await req.json(MAX_TOKEN_BYTES)
    if not isinstance(wanted, dict):
        raise BadRequest("the body must be a JSON object", code="request.invalid")
    check_keys(wanted, known)
    for key in ("scopes", "graphs"):
        names = wanted.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BadRequest(f"{key} must be a list of texts", code="request.invalid", where=key)
    budget = wanted.get("budget")
    if budget is not None and not isinstance(budget, dict):
        raise BadRequest(
            f"budget must be an object with some of {', '.join(KINDS)}, or null", code="request.invalid", where="budget"
        )
    if wanted.get("expires") is not None:
        end = wanted["expires"]
        if isinstance(end, bool) or not isinstance(end, (str, int, float)) or end == "":
            raise BadRequest("expires must be a time, or null for none", code="request.invalid", where="expires")
        wanted["expires"] = moment_of("expires", str(end))
    return wanted
