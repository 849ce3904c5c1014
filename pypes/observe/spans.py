"""Spans: what is told of a delivery that was traced to whoever gathers traces; names, numbers, codes and times, no contents.

An instance makes them of a trace, and they come to the ingest worker with the outcome of the delivery.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pypes.core.trace_context import TraceContext

#: Parts of a delivery that have a span, beside its filters, as :func:`pypes.core.trace_context.span_of` knows them: its request,
#: the delivery from there until it is done, and its run in an instance.
REQUEST: Final = "request"
DELIVERY: Final = "delivery"
RUN: Final = "run"


def filter_part(filter: str) -> str:
    """The part of a delivery that is a filter."""
    return f"filter/{filter}"


class SharedRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request that a filter made for several deliveries at once: a span of its own, begun at ``began_s``.

    ``links`` are trace and span of the filter for each of them, in the trace of the first; that of the others has none.
    """

    context: TraceContext
    began_s: float
    links: tuple[tuple[str, str], ...] = ()


class FilterSpan(msgspec.Struct, frozen=True, array_like=True):
    """The time from the first to the last that a filter did for one delivery. ``codes`` are those of failures, with how often.

    ``ran_s`` is the time of its turns, ``waited_s`` that of its calls beside the graph.
    """

    name: str
    component: str
    began_s: float
    ended_s: float
    packets_in: int = 0
    packets_out: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    attempts: int = 0
    ran_s: float = 0.0
    waited_s: float = 0.0
    codes: tuple[tuple[str, int], ...] = ()
    requests: tuple[SharedRequest, ...] = ()


class RunSpans(msgspec.Struct, frozen=True, array_like=True):
    """The run of a delivery in an instance. ``context`` names the delivery. Times are seconds since 1970, as people see them."""

    context: TraceContext
    began_s: float
    ended_s: float
    version: int
    published: int
    dropped: int
    failed: int
    filters: tuple[FilterSpan, ...]
