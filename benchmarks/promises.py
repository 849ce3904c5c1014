"""What promises cost: the throughput of single documents with each, against the same without."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.endpoint import single_documents
from benchmarks.measure import NodeSide, five_filters, interleaved, medians, node
from benchmarks.report import Line

SECONDS = 4.0


def ordering() -> Line:
    """All ids differ, so nothing has to wait: what is left is the cost of keeping order."""
    ordered: dict[str, Any] = {**five_filters(), "order_by": "id"}
    with node(ordered) as one, node(five_filters()) as other:
        rounds = interleaved((NodeSide(one), NodeSide(other)), single_documents(), seconds=SECONDS)
    rates, times = medians(rounds, lambda each: each.rate), medians(rounds, lambda each: each.processor_us)
    return Line(
        "single documents of 1 KB through an ordered graph, against the same without order",
        f"{rates[0]:,.0f}/s of {rates[1]:,.0f}/s; {times[0]:.1f} µs against {times[1]:.1f} µs",
        statistics.median(kept.rate / free.rate for kept, free in rounds),
        must=0.8,
        stretch=0.95,
        more_is_better=True,
    )
