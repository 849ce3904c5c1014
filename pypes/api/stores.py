"""``/graphs/{name}/stores``: what filters of a graph remember on this node, and the way to have it forgotten."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.change import cause_of
from pypes.api.graphs import UNKNOWN
from pypes.api.operation import COUNT, TEXT, Answer, obj, operation
from pypes.api.query import LINK, LISTED, answer_page
from pypes.api.request import Request

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

STORE = obj({"component": TEXT, "entries": COUNT, "most": COUNT, "bytes": COUNT, "error": TEXT}, filter=TEXT)
CLEARED = obj(filter=TEXT, cleared=COUNT)


class Stores:
    """The stores of a graph's filters."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "The stores of a graph: what its filters remember",
        {
            200: Answer(
                "For each filter that has a store: its entries, how many it keeps at most, and its bytes on disk.",
                {"type": "array", "items": STORE},
                LINK,
            )
        },
        errors={404: UNKNOWN},
        parameters=LISTED,
        scope="read",
        graph="name",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        await answer_page(req, resp, partial(self._worker.control.stores.page, name), req.get_param("after"))

    @operation(
        "Clear the store of a filter, which then knows nothing",
        {200: Answer("It is empty; `cleared` entries were deleted.", CLEARED)},
        errors={404: "No such graph, or a filter without a store.", 503: "The store is busy, or the disk is full."},
        scope="edit",
        audit="store.clear",
        graph="name",
    )
    async def on_delete_one(self, req: Request, resp: falcon.asgi.Response, name: str, filter: str) -> None:
        resp.data = orjson.dumps(await self._worker.control.stores.clear(name, filter, cause_of(req)))
