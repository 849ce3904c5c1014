"""``/fleet``: the nodes that answer for each other, as this one knows them. ``/drain``: this one hands over what it has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import falcon.asgi
import msgspec
import orjson

from pypes.api.change import cause_of
from pypes.api.operation import BOOLEAN, COUNT, NAMES, TEXT, Answer, obj, operation
from pypes.api.request import Request
from pypes.errors import BadRequest, Unavailable
from pypes.runtime.contracts.fleet import GraphHead

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
HEAD = obj(
    version={**TEXT, "description": "The version that the members have agreed to; 0.N if it is node N's own."},
    digest={**TEXT, "description": "The same for the same definition; empty if the graph is not deployed there."},
    is_paused=BOOLEAN,
)
GRAPH = obj(
    differs={**BOOLEAN, "description": "Not all members that answered have the same."},
    members={"type": "object", "additionalProperties": HEAD},
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
                    graphs={
                        "type": "object",
                        "additionalProperties": GRAPH,
                        "description": "By name, and by the name of the member, the graphs as they are there.",
                    },
                    unanswered={**NAMES, "description": "Members that have not told of their graphs."},
                ),
            )
        },
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        members = [msgspec.to_builtins(member) for member in self._worker.members.all]
        graphs, unanswered = await self._graphs() if members else ({}, [])
        shown = {name: graph for name, graph in graphs.items() if req.client.has(name)}
        found = {"node": self._worker.config.node, "members": members, "graphs": shown, "unanswered": unanswered}
        resp.data = orjson.dumps(found)

    async def _graphs(self) -> tuple[dict[str, Any], list[str]]:
        """The graphs of all members, and the members that have not answered."""
        here = next((m.name for m in self._worker.members.all if m.is_here), f"node-{self._worker.config.node}")
        asked = [(here, self._worker.control.agreement), *self._worker.members.graphs()]
        found = await asyncio.gather(*(calls.heads() for _, calls in asked), return_exceptions=True)
        heads: dict[str, dict[str, GraphHead]] = {}
        unanswered = []
        for (name, _), answer in zip(asked, found, strict=True):
            if isinstance(answer, Unavailable):
                unanswered.append(name)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                for head in answer:
                    heads.setdefault(head.name, {})[name] = head
        count = len(asked) - len(unanswered)
        return {graph: _shown(members, count) for graph, members in sorted(heads.items())}, unanswered


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


def _shown(members: dict[str, GraphHead], count: int) -> dict[str, Any]:
    states = {(head.digest, head.is_paused) for head in members.values()}
    return {
        "differs": len(states) > 1 or (len(members) < count and any(head.digest for head in members.values())),
        "members": {
            name: {"version": str(head.version), "digest": head.digest, "is_paused": head.is_paused}
            for name, head in members.items()
        },
    }
