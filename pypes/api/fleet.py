"""``/fleet``: the nodes that answer for each other, as this one knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi
import msgspec
import orjson

from pypes.api.operation import BOOLEAN, COUNT, TEXT, Answer, obj, operation
from pypes.api.request import Request

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

MEMBER = obj(
    name=TEXT,
    url=TEXT,
    number={"type": ["integer", "null"], "description": "Part of the ids of its receipts; null until it has answered once."},
    state={**TEXT, "description": "As /readyz has it; or away, or twin: another node has its number."},
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
