"""``/metrics``: what the node counts and how it is, as text for Prometheus and what speaks its language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi

from pypes.api.operation import Answer, operation
from pypes.api.request import Request
from pypes.observe.exposition import OPENMETRICS, PROMETHEUS

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker


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
        resp.text = await self._worker.metrics(is_openmetrics=is_openmetrics)
        resp.content_type = OPENMETRICS if is_openmetrics else PROMETHEUS

    on_head = on_get
