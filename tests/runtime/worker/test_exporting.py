"""Times and statuses of the requests that a collector is told of."""

from __future__ import annotations

import asyncio

from pypes.core.nodetime import Clock
from pypes.ingest.delivery import Header
from pypes.observe.otlp.settings import otlp_of
from pypes.observe.tallies import Tallies
from pypes.runtime.worker.exporting import Exporting
from tests.collector import Collector, said
from tests.serving import in_thread

RECEIPT = "0192f0e1-4b2a-7000-8000-0000000000ab"


class Set(Clock):
    """The clock of a node whose wall clock was set while it ran."""

    def shown(self, at: float) -> float:
        return at + 60.0


def test_begin_and_end_of_a_request_are_of_the_time_that_the_node_shows() -> None:
    with in_thread(Collector()) as collector:
        otlp = otlp_of(collector.url, "", 0.0, {})
        assert otlp is not None
        exporting = Exporting(otlp, Set(lambda: 1000.0), Tallies())
        exporting.requested(Header("news", is_traced=True), RECEIPT, "/docs", 200, 0.25)
        asyncio.run(exporting.close())
        (span,) = collector.spans()
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_059_750_000_000, 1_060_000_000_000)
    assert said(span)["http.response.status_code"] == 200
