"""Carrying: the traces that deliveries in flight belong to, for requests that filters send to servers over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pypes.core.trace_context import TraceContext, span_of
from pypes.observe.spans import filter_part
from pypes.packet import Packet
from pypes.runtime.scheduler.tracing import Trace


class Carried(NamedTuple):
    """The trace that a delivery belongs to. ``trace`` records its spans here; ``None``: nobody does, ``context`` is passed on."""

    receipt: str
    context: TraceContext
    trace: Trace | None = None

    def at(self, filter: str) -> TraceContext:
        """The context of what a filter does for the delivery."""
        if self.trace is None:
            return self.context
        context = self.context
        return Recorded(context.trace_id, span_of(self.receipt, filter_part(filter)), True, context.state, self.trace)


class Recorded(TraceContext, frozen=True, array_like=True):
    """The context of a span of a filter that ``trace`` records."""

    trace: Any = None


def contexts_of(carried: Mapping[str, Carried], filter: str, packets: Iterable[Any]) -> tuple[TraceContext, ...]:
    """The contexts at a filter of the deliveries that packets belong to, each once; ``carried`` has them by receipt."""
    found: dict[str, TraceContext] = {}
    for packet in packets:
        receipt = packet.get_meta("receipt") if isinstance(packet, Packet) else None
        if isinstance(receipt, str) and receipt not in found and (known := carried.get(receipt)) is not None:
            found[receipt] = known.at(filter)
    return tuple(found.values())


def fields_for(contexts: Iterable[TraceContext], filter: str) -> dict[str, str]:
    """The header fields of a request for these contexts.

    A request for several is a span of its own, linked with those that are recorded. Without any, none of them can lead there.
    """
    distinct = list(dict.fromkeys(contexts))
    if len(distinct) == 1:
        return distinct[0].fields()
    recorded = [each for each in distinct if isinstance(each, Recorded)]
    if not recorded:
        return {}
    own = TraceContext(os.urandom(16).hex(), os.urandom(8).hex(), True)
    links = tuple((each.trace_id, each.span_id) for each in recorded)
    for first, each in enumerate(recorded):
        each.trace.requested(filter, own, () if first else links)
    return own.fields()
