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
from pypes.observe.metrics import (
    BUILD,
    CERTIFICATE_END,
    DATA_FREE,
    DATA_SIZE,
    INSTANCE_MAX_MEMORY,
    INSTANCE_RESTARTS,
    INSTANCES,
    LOOP_DELAY,
    MAX_DESCRIPTORS,
    NODE_READY,
    NODE_START,
    PROCESS_CPU,
    PROCESS_DESCRIPTORS,
    PROCESS_MEMORY,
    SHARDS,
)

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: A sample: the name of its metric, and its first label with the value.
_SAMPLE: Final = re.compile(r'(\w+?)(?:_bucket|_sum|_count)?(?: |\{(\w+)="([^"]*)")')
#: Metrics that say nothing of what others do, or what `GET /status` shows to everybody as well.
_OF_THE_NODE: Final = frozenset(
    metric.name
    for metric in (
        *(BUILD, NODE_START, NODE_READY, CERTIFICATE_END, SHARDS, INSTANCES, INSTANCE_RESTARTS),
        *(MAX_DESCRIPTORS, INSTANCE_MAX_MEMORY, DATA_FREE, DATA_SIZE),
    )
)
#: Metrics of processes; those of pools belong to a graph.
_OF_PROCESSES: Final = frozenset(metric.name for metric in (LOOP_DELAY, PROCESS_MEMORY, PROCESS_CPU, PROCESS_DESCRIPTORS))


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
    """The metrics that a client for some graphs may see: those of its graphs, and those that say nothing of others."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith("#") or _is_own(line, client))


def _is_own(line: str, client: Client) -> bool:
    found = _SAMPLE.match(line)
    if found is None:
        return False
    metric, label, value = found.groups()
    match label:
        case "graph":
            return client.has(value)
        case "pool":
            return client.has(graph_of(value))
        case "process":
            return metric in _OF_PROCESSES and (not (graph := graph_of(value)) or client.has(graph))
        case _:
            return metric in _OF_THE_NODE
