"""The header fields of requests that filters make for packets of one delivery, of several, and of none in a trace."""

from __future__ import annotations

from collections.abc import Sequence

from pypes import Packet
from pypes.core.trace_context import TraceContext, parse, span_of
from pypes.observe.spans import filter_part
from pypes.runtime.scheduler.carrying import Carried, contexts_of, fields_for
from pypes.runtime.scheduler.tracing import LINKS, REQUESTS, Trace

SPAN = "b7ad6b7169203331"


def receipt(number: int) -> str:
    return f"0192f0e1-4b2a-7000-8000-{number:012x}"


def context(number: int) -> TraceContext:
    return TraceContext(f"{number:032x}", SPAN, False, f"n={number}")


def trace() -> Trace:
    return Trace(lambda packet: {}, iter(range(100, 10_000)).__next__)


def packets(*numbers: int) -> Sequence[Packet]:
    return [Packet.from_document({}, {"receipt": receipt(number)}) for number in numbers]


def test_of_packets_each_delivery_in_a_trace_is_known_once() -> None:
    carried = {receipt(n): Carried(receipt(n), context(n)) for n in (1, 2)}
    assert contexts_of(carried, "out", packets(1, 3, 2, 1)) == (context(1), context(2))
    assert contexts_of(carried, "out", [*packets(3), Packet(), "no packet"]) == ()


def test_one_context_is_passed_on_as_it_came() -> None:
    assert fields_for([context(1), context(1)], "out") == {"traceparent": context(1).traceparent, "tracestate": "n=1"}


def test_of_a_delivery_that_is_recorded_the_filter_is_the_parent() -> None:
    carried = {receipt(1): Carried(receipt(1), context(1), trace())}
    sent = fields_for(contexts_of(carried, "out", packets(1)), "out")
    assert parse([sent["traceparent"]]) == TraceContext(context(1).trace_id, span_of(receipt(1), filter_part("out")), True)
    assert sent["tracestate"] == "n=1"


def test_several_contexts_that_nobody_records_lead_nowhere() -> None:
    assert fields_for([context(1), context(2)], "out") == {}


def test_a_request_for_several_is_a_span_that_is_linked_with_those_recorded() -> None:
    traces = {1: trace(), 2: trace()}
    carried = {receipt(n): Carried(receipt(n), context(n), traces.get(n)) for n in (1, 2, 3)}
    sent = fields_for(contexts_of(carried, "out", packets(1, 2, 3)), "out")
    own = parse([sent["traceparent"]])
    assert own is not None
    assert own.is_sampled
    assert own.trace_id not in {context(n).trace_id for n in (1, 2, 3)}
    (first,), (second,) = (traces[n].of("out").requests for n in (1, 2))
    assert first.context == second.context == own
    assert first.links == tuple((context(n).trace_id, span_of(receipt(n), filter_part("out"))) for n in (1, 2))
    assert second.links == ()


def test_requests_and_links_that_are_kept_are_bounded() -> None:
    kept = {n: trace() for n in range(LINKS + 10)}
    carried = {receipt(n): Carried(receipt(n), context(n + 1), kept[n]) for n in kept}
    for _ in range(REQUESTS + 5):
        fields_for(contexts_of(carried, "out", packets(*kept)), "out")
    assert len(kept[0].of("out").requests) == REQUESTS
    assert len(kept[0].of("out").requests[0].links) == LINKS
