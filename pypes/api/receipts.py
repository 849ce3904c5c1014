"""``/receipts/{id}``: where a delivery is."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.operation import COUNT, TEXT, TIME, Answer, Parameter, obj, operation
from pypes.api.request import Request
from pypes.errors import BadRequest
from pypes.ingest.receipt import Receipt

if TYPE_CHECKING:
    from pypes.runtime.worker import IngestWorker

#: Longest wait that is granted; proxies in between rarely have more patience.
MAX_WAIT_S = 60.0

RECEIPT = obj(
    receipt=TEXT,
    state={"type": "string", "enum": ["queued", "processing", "done", "failed"]},
    accepted=COUNT,
    published=COUNT,
    dropped=COUNT,
    failed=COUNT,
    pending=COUNT,
    received=TIME,
    finished={"type": ["string", "null"], "format": "date-time"},
)


class Receipts:
    """``stopping`` is set when the server is to end: nobody is kept waiting then."""

    def __init__(self, worker: IngestWorker, stopping: asyncio.Event) -> None:
        self._worker = worker
        self._stopping = stopping

    @operation(
        "Where a delivery is; the numbers count documents",
        {200: Answer("Its state; failed means that at least one document went to the dead letters.", RECEIPT)},
        errors={404: "No such receipt, or one that was forgotten."},
        parameters=(Parameter("wait", f"Seconds to wait for it to be finished, at most {MAX_WAIT_S:g}.", {"type": "number"}),),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, id: str) -> None:
        wait_s = _wait_s(req.get_param("wait"))
        receipt = await (self._wait(id, wait_s) if wait_s else self._worker.receipt(id, 0.0))
        resp.data = orjson.dumps(receipt.to_obj())

    async def _wait(self, id: str, wait_s: float) -> Receipt:
        found = asyncio.ensure_future(self._worker.receipt(id, wait_s))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait([found, stop], return_when=asyncio.FIRST_COMPLETED)
            return found.result() if found.done() else await self._worker.receipt(id, 0.0)
        finally:
            found.cancel()
            stop.cancel()


def _wait_s(text: str | None) -> float:
    if not text:
        return 0.0
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = math.nan
    if not wait_s >= 0:
        raise BadRequest("wait must be a number of seconds, such as 10", code="request.invalid", where="wait")
    return min(wait_s, MAX_WAIT_S)
