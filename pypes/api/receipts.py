"""``/receipts``: where deliveries are, and what became of each of their documents."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.access.client import Client
from pypes.api.operation import COUNT, NAMES, TEXT, TIME, Answer, Parameter, Schema, obj, operation
from pypes.api.permission import check_current
from pypes.api.query import (
    AFTER,
    LIMIT,
    ORDER,
    SINCE,
    UNANSWERED,
    WAIT,
    check_names,
    choice_of,
    criterion_of,
    invalid,
    is_newest_first,
    limit_of,
    missing,
    number_of,
    since_of,
    wait_of,
)
from pypes.api.request import Request
from pypes.errors import Gone, NotFound
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptQuery
from pypes.runtime.worker.owners import no_receipt

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

STATES = ("queued", "processing", "done", "failed")
OUTCOMES = ("published", "dropped", "failed", "pending")

#: Documents of a delivery are fewer than this.
MAX_INDEX = 1 << 40

MAYBE_TEXT: Schema = {"type": ["string", "null"]}
#: A criterion; one that is empty is refused.
SOUGHT: Schema = {"type": "string", "minLength": 1}
GRAPH = Parameter("graph", "Only those of this graph.", SOUGHT)

MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}

VERSION: Schema = {
    "type": ["integer", "null"],
    "minimum": 1,
    "description": "Version of the graph that ran the delivery; null before the first run.",
}

#: The same document in another delivery.
ELSEWHERE = obj({"outcome": {"type": ["string", "null"]}}, receipt=TEXT, index=COUNT)
RECEIPT = obj(
    {
        "reason": {**TEXT, "description": "Reason for waiting, if the graph is the reason."},
        "replay_of": {
            **obj(receipt=TEXT, deadletter=TEXT, start=TEXT),
            "description": "Origin of a replay; start is the filter at which the replay began, empty for the adapters.",
        },
        "replays": {
            "type": "array",
            "items": obj(receipt=TEXT, documents=COUNT, state={"type": "string", "enum": list(STATES)}),
            "description": "The deliveries that run its failed documents again, the newest first.",
        },
        "removed": {
            "type": "object",
            "additionalProperties": COUNT,
            "description": "By publisher, how many parts of older versions of its documents it has removed.",
        },
        "posted_by": {
            **TEXT,
            "description": "Who handed the delivery in, where known: the name of a token, admin for the node's own, "
            "source:FILTER for what a source fetched; of a replay, who handed in the first run.",
        },
    },
    receipt=TEXT,
    state={"type": "string", "enum": list(STATES)},
    accepted=COUNT,
    published=COUNT,
    dropped=COUNT,
    failed=COUNT,
    pending=COUNT,
    received=TIME,
    started=MAYBE_TIME,
    finished=MAYBE_TIME,
    graph=TEXT,
    version=VERSION,
)
DOCUMENT = obj(
    {"replay": ELSEWHERE, "origin": ELSEWHERE},
    index=COUNT,
    id=MAYBE_TEXT,
    outcome={"type": "string", "enum": list(OUTCOMES)},
    publishers=NAMES,
    filter=MAYBE_TEXT,
    deadletter=MAYBE_TEXT,
    file=MAYBE_TEXT,
    route=MAYBE_TEXT,
)
PACKETS: Schema = {"type": "array", "items": {"type": "object"}}
ERROR = obj(documents={"type": "array", "items": COUNT}, code=TEXT, error=TEXT, attempt=COUNT, is_final={"type": "boolean"})
STEP = obj(
    {
        "in": {**PACKETS, "description": "Packets of the first documents, each with the documents that it was made of."},
        "out": {"type": "object", "additionalProperties": PACKETS},
    },
    filter=TEXT,
    component=TEXT,
    packets_in=COUNT,
    packets_out={"type": "object", "additionalProperties": COUNT},
    published=COUNT,
    dropped=COUNT,
    kept=COUNT,
    failed=COUNT,
    attempts=COUNT,
    ms={"type": "number"},
    waited_ms={"type": "number"},
    errors={"type": "array", "items": ERROR},
)
TRACE = obj(
    receipt=TEXT,
    run={
        **COUNT,
        "description": "More than 1 if instances had the delivery before, and ended or gave it back.",
    },
    graph=TEXT,
    version=COUNT,
    documents=COUNT,
    shown={**COUNT, "description": "So many documents, the first ones, are shown; the numbers count the packets of all."},
    published=COUNT,
    dropped=COUNT,
    failed=COUNT,
    ms={"type": "number"},
    steps={"type": "array", "items": STEP},
)
UNKNOWN = "No such receipt."
FORGOTTEN = "The receipt existed and is forgotten by now: receipts are kept for a limited time."
BUSY = "The worker that keeps the receipt restarts, or its disk fails."


class Receipts:
    """``stopping`` is set when the server is to end: nobody is kept waiting then."""

    def __init__(self, worker: IngestWorker, stopping: asyncio.Event) -> None:
        self._worker = worker
        self._stopping = stopping

    @operation(
        "Receipts, the newest first",
        {
            200: Answer(
                "A page of them; next is null on the last one.",
                obj(UNANSWERED, receipts={"type": "array", "items": RECEIPT}, next=MAYBE_TEXT),
            )
        },
        errors={503: BUSY},
        parameters=(
            Parameter("state", "Only those in it.", {"type": "string", "enum": list(STATES)}),
            GRAPH,
            SINCE,
            ORDER,
            LIMIT,
            AFTER,
        ),
        scope=("ingest", "read"),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        check_names(req, ("state", "graph", "since", "order", "limit", "after"))
        state, since = choice_of(req, "state", STATES), since_of(criterion_of(req, "since"))
        query = ReceiptQuery(state, since, criterion_of(req, "graph") or "", req.client.graphs)
        limit, newest = limit_of(req), is_newest_first(req)
        after = req.get_param("after") or ""
        if after:
            try:
                ReceiptId.parse(after)
            except NotFound:
                raise invalid("after", "the id of a receipt: next of the previous page") from None
        found, unanswered = await self._worker.records.receipts(query, limit, after, newest=newest)
        more = found[-1].receipt if len(found) == limit else None
        listed = [receipt.to_obj() for receipt in found]
        resp.data = orjson.dumps({"receipts": listed, "next": more, **missing(unanswered)})

    @operation(
        "State of a delivery; the numbers count documents",
        {200: Answer("The receipt; failed means that at least one document became a dead letter.", RECEIPT)},
        errors={404: UNKNOWN, 410: FORGOTTEN, 503: BUSY},
        parameters=(WAIT,),
        scope=("ingest", "read"),
    )
    async def on_get_one(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        wait_s = wait_of(req)
        await self._check(req.client, id)
        receipt = await wait_receipt(self._worker, self._stopping, req.client, id, wait_s)
        resp.data = orjson.dumps(receipt.to_obj())

    @operation(
        "Outcome of each document of a delivery",
        {
            200: Answer(
                "A page of them in their order; next is null on the last one. publishers are those that took it, filter is the "
                "one that dropped it or in which it failed; file and route are known while it waits, and of what was not "
                "published. replay is the same document in the delivery that ran it again, with what became of it there; "
                "origin is the same document in the delivery that this one runs again.",
                obj(documents={"type": "array", "items": DOCUMENT}, next={"type": ["integer", "null"]}),
            )
        },
        errors={404: UNKNOWN, 410: FORGOTTEN, 503: BUSY},
        parameters=(LIMIT, Parameter("after", "Continue after this index: next of the previous page.", COUNT)),
        scope=("ingest", "read"),
    )
    async def on_get_documents(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        limit, after = limit_of(req), number_of(req, "after", -1, 0, MAX_INDEX)
        await self._check(req.client, id)
        found = await self._worker.records.documents(id, limit, after)
        more = found[-1].index if len(found) == limit else None
        resp.data = orjson.dumps({"documents": [shown(document) for document in found], "next": more})

    @operation(
        "What each filter did with a delivery that was traced",
        {
            200: Answer("The filters, in the order in which they ran.", TRACE),
            204: Answer("With or=nothing: there is none; Pypes-Code says why.", None, {"Pypes-Code": "The code of the problem."}),
        },
        errors={
            404: "No such receipt, or the delivery is not finished (trace.not_finished) or was not traced (trace.not_traced).",
            410: "The receipt or its trace existed and is forgotten by now.",
            503: BUSY,
        },
        parameters=(Parameter("or", "nothing: 204 where there is no trace. Browsers complain of each 404.", TEXT),),
        scope="read",
    )
    async def on_get_trace(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        await self._check(req.client, id)
        try:
            found = await self._worker.records.trace(id)
        except (Gone, NotFound) as error:
            if not error.code.startswith("trace.") or req.get_param("or") != "nothing":
                raise
            resp.status = 204
            resp.set_header("pypes-code", error.code)
            return
        # it is kept as JSON, an object
        resp.data = b'{"run":%d,%b' % (found.run, found.data[1:])

    async def _check(self, client: Client, id: str) -> None:
        """Raise :class:`NotFound` for the receipt of a graph that is not one of the client's, as if it was none."""
        if client.graphs and not client.has((await self._worker.records.receipt(id)).graph):
            raise no_receipt()


async def wait_receipt(worker: IngestWorker, stopping: asyncio.Event, client: Client, id: str, wait_s: float) -> Receipt:
    """A receipt once it is finished, or as it is after ``wait_s`` or when the server is to end; raises as ``Records.receipt``.

    Raises :class:`Unauthorized` when the token of the client does not allow it any more.
    """
    if not wait_s:
        return await worker.records.receipt(id, 0.0)
    found = asyncio.ensure_future(worker.records.receipt(id, wait_s))
    stop, ended = asyncio.ensure_future(stopping.wait()), asyncio.ensure_future(client.ended.wait())
    try:
        await asyncio.wait([found, stop, ended], return_when=asyncio.FIRST_COMPLETED)
        check_current(client)
        return found.result() if found.done() else await worker.records.receipt(id, 0.0)
    finally:
        found.cancel()
        stop.cancel()
        ended.cancel()


def shown(document: DocumentReport) -> dict[str, Any]:
    """A document of a delivery, as it is answered."""
    found: dict[str, Any] = {
        "index": document.index,
        "id": document.id,
        "outcome": document.outcome,
        "publishers": document.publishers,
        "filter": document.filter or None,
        "deadletter": document.deadletter,
        "file": document.file,
        "route": document.route,
    }
    if (replay := document.replay) is not None:
        found["replay"] = {"receipt": replay.receipt, "index": replay.index, "outcome": replay.outcome}
    if (origin := document.origin) is not None:
        found["origin"] = {"receipt": origin.receipt, "index": origin.index}
    return found
