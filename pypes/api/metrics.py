"""``/metrics``: what the node counts and how it is, as text for Prometheus and what speaks its language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import falcon.asgi

from pypes.access.client import Client
from pypes.api.operation import Answer, operation
from pypes.api.request import Request
from pypes.graph.pools import graph_of
from pypes.observe.exposition import OPENMETRICS, PROMETHEUS
from pypes.observe.metrics import OVER_BUDGET, POSTS_REFUSED

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: The label of a sample that says whose it is.
_OWNER: Final = re.compile(r'^\w+\{(graph|pool|process)="([^"]*)"')
#: Samples that name routes, and so graphs, without saying whose they are; and those that name tokens.
_OF_OTHERS: Final = (POSTS_REFUSED.name + "{", OVER_BUDGET.name + "{")


class Metrics:
    """``/metrics``: asks the supervisor and all shards."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Metrics of the node, for Prometheus",
        {
            200: Answer(
                "All metrics as text: in the format of Prometheus or, for a client that accepts application/openmetrics-text, in "
                "OpenMetrics."
            )
        },
        errors={503: "The supervisor cannot be asked."},
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        is_openmetrics = "application/openmetrics-text" in (req.accept or "")
        text = await self._worker.metrics(is_openmetrics=is_openmetrics)
        resp.text = limited(text, req.client) if req.client.graphs else text
        resp.content_type = OPENMETRICS if is_openmetrics else PROMETHEUS

    on_head = on_get


def limited(text: str, client: Client) -> str:
    """The metrics without the series of graphs that are not the client's; those of the whole node stay."""
    return "".join(line for line in text.splitlines(keepends=True) if _is_own(line, client))


def _is_own(line: str, client: Client) -> bool:
    if line.startswith(_OF_OTHERS):
        return False
    found = _OWNER.match(line)
    graph = "" if found is None else found[2] if found[1] == "graph" else graph_of(found[2])
    return not graph or client.has(graph)
