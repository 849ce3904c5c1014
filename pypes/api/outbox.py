"""``/outbox``: results that graphs have left for whoever fetches and acknowledges them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import falcon.asgi
import msgspec
import orjson

from pypes.access.client import Client
from pypes.api.operation import COUNT, JSON_OBJECT, TEXT, Answer, Parameter, Schema, obj, operation
from pypes.api.permission import check_csrf, check_current
from pypes.api.query import LIMIT, MAX_WAIT_S, check_names, limit_of, seconds_of
from pypes.api.request import CSRF, Request
from pypes.outbox.giving import unknown

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Longest lease.
MAX_LEASE_S = 86_400.0
LINES = "application/x-ndjson"
CURSOR = "Pypes-Cursor"

AGE: Schema = {"type": ["number", "null"], "minimum": 0}
USE = obj(
    name=TEXT,
    waiting={**COUNT, "description": "Results that nobody has acknowledged."},
    leased={**COUNT, "description": "Those of them that are leased to a client."},
    bytes=COUNT,
    oldest_s={**AGE, "description": "Age of the oldest in seconds, null if there is none."},
    reason={**TEXT, "description": "Why the outbox cannot be read, or empty."},
)
RESULT = obj(
    {
        "part": {**TEXT, "description": "Its place in the document, empty for the document itself."},
        "fields": JSON_OBJECT,
        "meta": JSON_OBJECT,
        "field_meta": JSON_OBJECT,
        "deleted": {"type": "boolean", "description": "The document was deleted."},
        "complete": {
            "type": "boolean",
            "description": "Nothing more of this version comes in this run. true: it is whole, what older ones left can go.",
        },
    },
    id={**TEXT, "description": "The same if the same result is given, or made, again."},
    document={"type": ["string", "null"], "description": "Id of the document, null without one."},
    route=TEXT,
    version={**TEXT, "description": "Text that sorts as versions of a document do."},
)
GIVEN = obj(
    results={"type": "array", "items": RESULT},
    cursor={"type": ["string", "null"], "description": "To acknowledge these results by; null if there are none."},
    waiting={**COUNT, "description": "Results in the outbox, these included."},
)
UNKNOWN = "No such outbox: no graph that was deployed here publishes to it."
FAILED = "The file of the outbox cannot be used now."


class Outbox:
    """``stopping`` is set when the server is to end: nobody is kept waiting then."""

    def __init__(self, worker: IngestWorker, stopping: asyncio.Event) -> None:
        self._worker = worker
        self._stopping = stopping

    @operation(
        "Outboxes: how many results wait in each",
        {200: Answer("All outboxes of this node, by name.", {"type": "array", "items": USE})},
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        check_names(req, ())
        uses = await self._worker.outboxes.uses()
        if req.client.graphs:
            own = await outboxes_of(self._worker, req.client)
            uses = [use for use in uses if use.name in own]
        resp.data = orjson.dumps(msgspec.to_builtins(uses))

    @operation(
        "The oldest results of an outbox that nobody has acknowledged",
        {
            200: Answer(
                f"Results in their order. With `Accept: {LINES}`, a line for each, and the cursor in a header.",
                GIVEN,
                {CURSOR: "The cursor, where the answer consists of lines; absent if there are none."},
            )
        },
        errors={404: UNKNOWN, 503: FAILED},
        parameters=(
            LIMIT,
            Parameter(
                "wait",
                f"Seconds to wait if there is no result, at most {MAX_WAIT_S:g}.",
                {"type": "number", "minimum": 0},
            ),
            Parameter(
                "lease",
                "Seconds for which nobody else is given these results, nor later ones of their documents; "
                f"0 unless said otherwise, at most {MAX_LEASE_S:g}.",
                {"type": "number", "minimum": 0},
            ),
            Parameter("X-CSRF-Token", "By a session of a browser, with lease: as with what changes something.", TEXT, "header"),
        ),
        scope="read",
    )
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        check_names(req, ("limit", "wait", "lease"))
        most, wait_s, lease_s = limit_of(req), seconds_of(req, "wait", MAX_WAIT_S), seconds_of(req, "lease", MAX_LEASE_S)
        client = req.client
        if lease_s:  # what is leased to one is given to nobody else
            check_csrf(req.session, req.header(CSRF))
        await self._check(client, name)
        given = await self._worker.outboxes.give(
            name, most, lease_s, wait_s, lambda: self._stopping.is_set() or client.ended.is_set()
        )
        check_current(client)
        if LINES in req.header(b"accept"):
            resp.content_type = LINES
            resp.data = b"".join(text + b"\n" for text in given.results)
            if given.cursor is not None:
                resp.set_header(CURSOR, given.cursor)
            return
        rest: dict[str, Any] = {"cursor": given.cursor, "waiting": given.waiting}
        # the texts of results are JSON already
        resp.data = b'{"results":[' + b",".join(given.results) + b"]," + orjson.dumps(rest)[1:]

    @operation(
        "Acknowledge the results of a cursor, which are never given again",
        {200: Answer("So many results were still there, 0 if it was acknowledged before.", obj(acknowledged=COUNT))},
        errors={404: f"{UNKNOWN} Or it has given no such cursor.", 503: FAILED},
        scope="read",
    )
    async def on_delete_cursor(self, req: Request, resp: falcon.asgi.Response, name: str, cursor: str) -> None:
        await self._check(req.client, name)
        resp.data = orjson.dumps({"acknowledged": await self._worker.outboxes.acknowledge(name, cursor)})

    async def _check(self, client: Client, name: str) -> None:
        """Raise :class:`NotFound` for an outbox that others publish to, as if it was none."""
        if client.graphs and name not in await outboxes_of(self._worker, client):
            raise unknown(name)


async def outboxes_of(worker: IngestWorker, client: Client) -> set[str]:
    """The outboxes that graphs of a client publish to, and no other graph."""
    found = await worker.control.graphs.outboxes()
    return {outbox for outbox, graphs in found.items() if all(map(client.has, graphs))}
