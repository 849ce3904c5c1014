"""Traces of deliveries: the form in which they are kept with the receipt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
from msgspec.structs import replace

from pypes.core.trace_context import TraceContext, span_of, trace_of
from pypes.ingest.protocol import Item
from pypes.observe.spans import DELIVERY, FilterSpan, RunSpans
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch
from pypes.runtime.scheduler.tracing import DOCUMENTS, Passage, Shown, Trace


class Traced(Arrived):
    """A delivery that is traced: it runs in an epoch of its own."""

    __slots__ = ()


def context_of(item: Item) -> TraceContext:
    """The span of a delivery that is traced: in the trace that it belongs to, or in one of its own."""
    given = item.header.context
    trace_id, state = (trace_of(item.receipt), "") if given is None else (given.trace_id, given.state)
    return TraceContext(trace_id, span_of(item.receipt, DELIVERY), True, state)


def report_of(
    trace: Trace,
    epoch: Epoch,
    item: Item,
    graph: str,
    version: int,
    components: Mapping[str, str],
    order: Sequence[str],
    ms: float,
) -> bytes:
    """A trace as JSON: an object with ``steps``, those of the filters in ``order``; ``components`` are their classes by name.

    Documents that failed before the first filter have a step of their own, without a name, and those that failed in a filter
    that the graph does not have one of its name.
    """
    published, dropped, failed = _ends_of(epoch)
    found = {
        "receipt": item.receipt,
        "graph": graph,
        "version": version,
        "documents": len(epoch.flags),
        "shown": min(len(epoch.flags), DOCUMENTS),
        "published": published,
        "dropped": dropped,
        "failed": failed,
        "ms": round(ms, 3),
        "steps": [_step(name, components.get(name, ""), trace.of(name)) for name in _names(trace, components, order)],
    }
    return orjson.dumps(found)


def spans_of(
    trace: Trace,
    epoch: Epoch,
    item: Item,
    version: int,
    components: Mapping[str, str],
    order: Sequence[str],
    now_s: float,
    offset_s: float,
) -> RunSpans:
    """The spans of a run. ``offset_s`` leads from the clock of the trace, now ``now_s``, to 1970."""
    published, dropped, failed = _ends_of(epoch)
    passed = [(name, trace.passages[name]) for name in _names(trace, components, order) if name in trace.passages]
    return RunSpans(
        context=context_of(item),
        began_s=trace.began_s + offset_s,
        ended_s=now_s + offset_s,
        version=version,
        published=published,
        dropped=dropped,
        failed=failed,
        filters=tuple(
            _span(name, components.get(name, ""), passage, trace.began_s, offset_s)
            for name, passage in passed
            if passage.began_s is not None or passage.published or passage.failed
        ),
    )


def _ends_of(epoch: Epoch) -> tuple[int, int, int]:
    """The numbers of documents that were published, dropped, and failed."""
    flags = epoch.flags
    published = sum(1 for flag in flags if flag & PUBLISHED and not flag & FAILED)
    return published, flags.count(0), sum(1 for flag in flags if flag & FAILED)


def _names(trace: Trace, components: Mapping[str, str], order: Sequence[str]) -> list[str]:
    """The filters in their order, after those that the graph does not have."""
    return [*(name for name in trace.passages if name not in components), *order]


def _span(name: str, component: str, passage: Passage, began_s: float, offset_s: float) -> FilterSpan:
    # what counts in the end comes first
    errors = sorted(passage.errors, key=itemgetter("is_final"), reverse=True)
    began_s = began_s if passage.began_s is None else passage.began_s
    return FilterSpan(
        name=name,
        component=component,
        began_s=began_s + offset_s,
        ended_s=(began_s if passage.ended_s is None else passage.ended_s) + offset_s,
        packets_in=passage.arrived.count,
        packets_out=sum(shown.count for shown in passage.sent.values()),
        published=passage.published,
        dropped=passage.dropped,
        failed=passage.failed,
        attempts=passage.attempts,
        ran_s=passage.ran_s,
        waited_s=passage.waited_s,
        codes=tuple(Counter(error["code"] for error in errors).items()),
        requests=tuple(replace(each, began_s=each.began_s + offset_s) for each in passage.requests),
    )


def _step(name: str, component: str, passage: Passage) -> dict[str, Any]:
    return {
        "filter": name,
        "component": component,
        "in": _forms(passage.arrived),
        "out": {port: _forms(shown) for port, shown in passage.sent.items()},
        "packets_in": passage.arrived.count,
        "packets_out": {port: shown.count for port, shown in passage.sent.items()},
        "published": passage.published,
        "dropped": passage.dropped,
        "kept": passage.kept,
        "failed": passage.failed,
        "attempts": passage.attempts,
        "ms": round(passage.ran_s * 1000, 3),
        "waited_ms": round(passage.waited_s * 1000, 3),
        "errors": passage.errors,
    }


def _forms(shown: Shown) -> list[orjson.Fragment]:
    return [orjson.Fragment(form) for form in shown.forms]
