"""``/graphs/{name}/taps``: packets as they go over a wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import falcon.asgi
import orjson

from pypes.api.operation import COUNT, JSON_OBJECT, NAMES, TEXT, TIME, Answer, Parameter, obj, operation
from pypes.api.query import MAX_WAIT_S, check_names, criterion_of, number_of, seconds_of
from pypes.api.request import Request
from pypes.api.streaming import MEDIA_TYPE, Stream, stream

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Packets of a list, unless ``n`` says otherwise, and at most.
PACKETS = 20
MOST_PACKETS = 1000
#: Seconds to wait for them, unless ``wait`` says otherwise.
WAIT_S = 10.0

PACKET = obj(
    time=TIME,
    instance={**COUNT, "description": "The instance in which it was seen."},
    missed={**COUNT, "description": "Packets that went over the wire unseen since the one before."},
    packet={**JSON_OBJECT, "description": "fields, meta and field_meta; long values are cut, hidden ones are not shown."},
)
TAP = obj(
    {
        "wire": TEXT,
        "packets": {"type": "array", "items": PACKET},
        "missed": {**COUNT, "description": "Packets that went there unseen behind the last one."},
        "wires": {**NAMES, "description": "The names of all wires, if none was asked for."},
    }
)


class Taps:
    """``stopping`` is set when the server is to end: nobody is kept waiting then."""

    def __init__(self, worker: IngestWorker, stopping: asyncio.Event) -> None:
        self._worker = worker
        self._stopping = stopping

    @operation(
        "The next packets that go over a wire; the names of the wires, if none is given",
        {
            200: Answer(
                f"The packets that came in the time. With `Accept: {MEDIA_TYPE}` a stream that goes on until the client hangs "
                "up: an event `packet` for each, and `end` with a reason. At most 50 in a second of each instance are shown; "
                "values are cut, and hidden if their names match `redact` in `[observe]`.",
                TAP,
            )
        },
        errors={
            404: "No graph of that name, or it has no such wire; the wires are listed.",
            503: "Nothing runs the graph, or too many clients look already.",
        },
        parameters=(
            Parameter(
                "wire",
                "Name of a wire, such as a.out-b.in; entry-a.in is that on which documents enter.",
                {"type": "string", "minLength": 1},
            ),
            Parameter(
                "n",
                f"Packets, {PACKETS} unless said otherwise; of a stream as many as come.",
                {"type": "integer", "minimum": 1, "maximum": MOST_PACKETS},
            ),
            Parameter(
                "wait",
                f"Seconds to wait for so many, {WAIT_S:g} unless said otherwise, at most {MAX_WAIT_S:g}.",
                {"type": "number"},
            ),
        ),
        scope="read",
        graph="name",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        check_names(req, ("wire", "n", "wait"))
        wire, taps = criterion_of(req, "wire"), self._worker.live.taps
        if wire is None:
            resp.data = orjson.dumps({"wires": await taps.wires(name, req.client.account)})
            return
        is_stream = MEDIA_TYPE in req.header(b"accept")
        most = number_of(req, "n", 0 if is_stream else PACKETS, 1, MOST_PACKETS)
        wait_s = seconds_of(req, "wait", MAX_WAIT_S) if req.get_param("wait") else WAIT_S
        viewer = await taps.open(name, wire, most, req.client.account, is_stream=is_stream)
        if is_stream:
            stream(req, resp, viewer, self._stopping)
            return
        gathering = Stream(viewer, req, self._stopping)
        timer = asyncio.get_running_loop().call_later(wait_s, viewer.end)
        try:
            packets = b"".join([chunk async for chunk in gathering])
        finally:
            timer.cancel()
            await gathering.close()
        about = orjson.dumps({"wire": wire, "missed": viewer.missed})
        resp.data = b'%b,"packets":[%b]}' % (about[:-1], packets)
