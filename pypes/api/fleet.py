"""``/fleet``: the nodes that answer for each other, as this one knows them. ``/drain``: this one hands over what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi
import msgspec
import orjson

from pypes.api.change import cause_of
from pypes.api.operation import BOOLEAN, COUNT, NAMES, TEXT, Answer, obj, operation
from pypes.api.request import Request
from pypes.errors import BadRequest

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Longest body of a request to hand over, in bytes.
MAX_BYTES = 4096

MEMBER = obj(
    name=TEXT,
    url=TEXT,
    number={"type": ["integer", "null"], "description": "Part of the ids of its receipts; null until it has answered once."},
    state={
        **TEXT,
        "description": "As /readyz has it; or away, twin: another node has its number, drained: another node has its shards.",
    },
    reason=TEXT,
    version={**TEXT, "description": "Its release."},
    is_here={**BOOLEAN, "description": "It is the node that answers."},
)


class FleetResource:
    """``/fleet``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "The nodes of the fleet",
        {
            200: Answer(
                "All that are configured, by name; none if this node is by itself.",
                obj(
                    node={**COUNT, "description": "Number of the node that answers."},
                    members={"type": "array", "items": MEMBER},
                ),
            )
        },
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        members = [msgspec.to_builtins(member) for member in self._worker.members.all]
        resp.data = orjson.dumps({"node": self._worker.config.node, "members": members})


class Drain:
    """``/drain``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Hand all that this node has over to another node of its fleet, and end",
        {
            202: Answer(
                "It has begun: the node refuses documents, hands its shards over, and ends. If it cannot, it goes on as before.",
                obj(
                    to={**TEXT, "description": "Name of the node that everything goes to."},
                    graphs={**NAMES, "description": "Graphs with deliveries that are not done."},
                    bytes={**COUNT, "description": "Bytes that go."},
                ),
            )
        },
        errors={
            400: "The body is not JSON, or has unknown keys.",
            404: "No other node of the fleet has that name or URL (drain.no_member).",
            409: (
                "The other node is not ready (drain.not_ready), does not run all graphs (drain.graphs), or has no room "
                "(drain.no_room); graphs have written files that stay behind (drain.files); or this node is in no fleet."
            ),
            503: "The other node cannot be reached, or a shard of this one is being opened.",
        },
        body={"application/json": obj({"leave_files": BOOLEAN}, to=TEXT)},
        scope="admin",
        audit="node.drain",
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        wanted = await req.json(MAX_BYTES)
        if not isinstance(wanted, dict) or not isinstance(wanted.get("to"), str) or wanted.keys() - {"to", "leave_files"}:
            raise BadRequest('send {"to": NAME}, the name of a node as GET /fleet has it', code="request.invalid", where="to")
        is_left = wanted.get("leave_files", False)
        if not isinstance(is_left, bool):
            raise BadRequest("must be true or false", code="request.invalid", where="leave_files")
        begun = await self._worker.control.drain.begin(wanted["to"], is_left, cause_of(req))
        resp.status = 202
        resp.data = msgspec.json.encode(begun)
