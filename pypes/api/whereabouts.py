"""``/documents``: where a document is of which somebody has only its id, or the name of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from pypes.api.operation import COUNT, TEXT, Answer, Parameter, Schema, obj, operation
from pypes.api.query import MAX_PAGE, check_names, criterion_of, invalid, missing, number_of
from pypes.api.receipts import BUSY, DOCUMENT, GRAPH, MAYBE_TEXT, MAYBE_TIME, RECEIPT, SOUGHT, shown
from pypes.api.request import Request
from pypes.ingest.whereabouts import DocumentQuery

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Places in which a document is told of, unless more are asked for.
PLACES = 20
#: Commits have keys below.
MAX_KEY = (1 << 62) - 1

_OF_RECEIPTS = ("receipt", "graph", "version", "state", "received", "finished")
PLACE: Schema = {
    **DOCUMENT,
    "properties": {**{name: RECEIPT["properties"][name] for name in _OF_RECEIPTS}, **DOCUMENT["properties"]},
    "required": [*_OF_RECEIPTS, *DOCUMENT["required"]],
}
FOUND = obj(
    documents={"type": "array", "items": PLACE},
    searched=obj(
        deliveries={**COUNT, "description": "So many were looked through for this answer; 0 for a token for some graphs."},
        since={**MAYBE_TIME, "description": "Back to those accepted then; null: to the oldest that is kept."},
    ),
    next=MAYBE_TEXT,
)


class Whereabouts:
    """``/documents``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Where a document is, by its id or the name of its file",
        {
            200: Answer(
                "The runs of the document that were found, the newest first, each with its receipt and outcome as in "
                "/receipts/{id}/documents. Receipts are looked through, the newest first, a part of them for each answer: next "
                "is where to go on, null if nothing older is kept; until then documents may be empty. Of published documents "
                "only the id is known, of those that wait, were dropped or failed the name of the file as well; what waits is "
                "known by what the request said of it.",
                FOUND,
            )
        },
        errors={400: "None of q, id and file, or several of them.", 503: BUSY},
        parameters=(
            Parameter("q", "The id of a document, or the name of a file.", SOUGHT),
            Parameter("id", "The id of a document.", SOUGHT),
            Parameter("file", "The name of a file, as it was posted.", SOUGHT),
            GRAPH,
            Parameter(
                "limit",
                f"Places to be found before the search ends, {PLACES} unless said otherwise; a few more may come.",
                {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
            ),
            Parameter("after", "Go on where the last answer ended: its next.", TEXT),
        ),
        scope=("ingest", "read"),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        check_names(req, ("q", "id", "file", "graph", "limit", "after"))
        given = {name: text for name in ("q", "id", "file") if (text := criterion_of(req, name)) is not None}
        if len(given) != 1:
            raise invalid("q", "the id of a document or the name of a file; or send one of id and file in its place")
        [(name, text)] = given.items()
        query = DocumentQuery(text, name != "file", name != "id", criterion_of(req, "graph") or "", req.client.graphs)
        limit, before = number_of(req, "limit", PLACES, 1, MAX_PAGE), number_of(req, "after", 0, 1, MAX_KEY)
        looked, unanswered = await self._worker.records.look(query, limit, before)
        found: list[dict[str, Any]] = []
        for place in looked.found:
            receipt = place.receipt.to_obj()
            found += ({**{name: receipt[name] for name in _OF_RECEIPTS}, **shown(document)} for document in place.documents)
        # those of other graphs were looked through, too
        searched = {"deliveries": 0 if req.client.graphs else looked.deliveries, "since": looked.since or None}
        more = str(looked.until) if looked.until else None
        resp.data = orjson.dumps({"documents": found, "searched": searched, "next": more, **missing(unanswered)})
