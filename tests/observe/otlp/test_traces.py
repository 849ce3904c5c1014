"""Spans of a delivery as a collector reads them: ids, parents, links, times, statuses, attributes."""

from __future__ import annotations

from dataclasses import replace

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from pypes.core.trace_context import TraceContext, span_of
from pypes.observe.otlp.traces import Finished, Requested, _said_of_filter, request_of
from pypes.observe.spans import DELIVERY, REQUEST, RUN, FilterSpan, RunSpans, SharedRequest, filter_part
from tests.collector import said

RECEIPT = "0192f0e1-4b2a-7000-8000-0000000000ab"
CALLER = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True, "a=1")
OWN = TraceContext(CALLER.trace_id, span_of(RECEIPT, DELIVERY), True, "a=1")


def filters(*more: FilterSpan) -> tuple[FilterSpan, ...]:
    return (
        FilterSpan("json", "JSON", 1000.1, 1000.2, packets_in=2, packets_out=2, ran_s=0.05),
        *more,
        FilterSpan("out", "Webhook", 1000.3, 1000.5, packets_in=2, published=2, attempts=1, waited_s=0.125),
    )


def run(failed: int = 0, *more: FilterSpan) -> RunSpans:
    return RunSpans(OWN, 1000.0, 1000.6, 3, 2, 1, failed, filters(*more))


def spans(*items: Finished | Requested) -> list[Span]:
    body, count = request_of(items, {"service.name": "node"})
    request = ExportTraceServiceRequest.FromString(body)
    (resource,) = request.resource_spans
    assert said(resource.resource) == {"service.name": "node"}
    (scope,) = resource.scope_spans
    assert scope.scope.name == "pypes"
    assert len(scope.spans) == count
    return list(scope.spans)


def finished(found: RunSpans, **more: object) -> Finished:
    return Finished(RECEIPT, "news", 3, 999.5, found, **more)  # type: ignore[arg-type]


def test_a_delivery_is_a_tree_of_spans() -> None:
    parent = span_of(RECEIPT, REQUEST)
    delivery, ran, json, out = spans(finished(run(), parent=parent, number=2))
    assert {span.trace_id.hex() for span in (delivery, ran, json, out)} == {CALLER.trace_id}
    assert {span.trace_state for span in (delivery, ran, json, out)} == {"a=1"}
    assert [span.name for span in (delivery, ran, json, out)] == ["process news", "run news", "json", "publish out"]
    assert delivery.parent_span_id.hex() == parent
    assert ran.parent_span_id == delivery.span_id == bytes.fromhex(span_of(RECEIPT, DELIVERY))
    assert json.parent_span_id == out.parent_span_id == ran.span_id == bytes.fromhex(span_of(RECEIPT, RUN))
    assert out.span_id.hex() == span_of(RECEIPT, filter_part("out"))
    assert [span.kind for span in (delivery, ran, json, out)] == [
        Span.SPAN_KIND_CONSUMER,
        Span.SPAN_KIND_INTERNAL,
        Span.SPAN_KIND_INTERNAL,
        Span.SPAN_KIND_PRODUCER,
    ]
    assert (delivery.start_time_unix_nano, delivery.end_time_unix_nano) == (999_500_000_000, 1_000_600_000_000)
    assert (json.start_time_unix_nano, json.end_time_unix_nano) == (1_000_100_000_000, 1_000_200_000_000)
    assert delivery.status.code == Status.STATUS_CODE_UNSET
    assert said(ran)["pypes.run"] == 2
    assert said(delivery) == {
        "messaging.system": "pypes",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "news",
        "messaging.message.id": RECEIPT,
        "messaging.batch.message_count": 3,
        "pypes.graph.version": 3,
        "pypes.documents.published": 2,
        "pypes.documents.dropped": 1,
        "pypes.documents.failed": 0,
    }
    assert said(out)["code.function.name"] == "Webhook"
    assert (said(json)["pypes.packets.in"], said(json)["pypes.ran_s"]) == (2, 0.05)


def test_what_spans_of_a_filter_share_is_encoded_once_and_what_differs_is_of_each() -> None:
    def ran(seconds: float, attempts: int, component: str = "Once") -> FilterSpan:
        return FilterSpan("once", component, 1000.2, 1000.3, packets_in=1, attempts=attempts, ran_s=seconds)

    before = _said_of_filter.cache_info()
    found = [spans(finished(run(0, each)))[3] for each in (ran(0.25, 1), ran(0.5, 1), ran(0.5, 2), ran(0.5, 1, "Other"))]
    names = ("code.function.name", "pypes.attempts", "pypes.ran_s")
    assert [tuple(said(span)[name] for name in names) for span in found] == [
        ("Once", 1, 0.25),
        ("Once", 1, 0.5),
        ("Once", 2, 0.5),
        ("Other", 1, 0.5),
    ]
    # the second of them was there; beside each are "json" and "out"
    assert _said_of_filter.cache_info().misses - before.misses <= 5


def test_deliveries_that_end_alike_have_their_own_receipts() -> None:
    other = "0192f0e1-4b2a-7000-8000-0000000000ac"
    pair = (finished(run()), replace(finished(run(), number=2), receipt=other))
    found = spans(*pair)
    assert [said(span)["messaging.message.id"] for span in found if span.name == "process news"] == [RECEIPT, other]
    assert [said(span)["pypes.run"] for span in found if span.name == "run news"] == [1, 2]


def test_failures_are_told_by_their_codes() -> None:
    refuse = FilterSpan("refuse", "Refuse", 1000.2, 1000.3, packets_in=2, failed=2, codes=(("test.refused", 2),))
    delivery, _, _, refused, out = spans(finished(run(2, refuse)))
    for span in (delivery, refused):
        assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "test.refused")
        assert said(span)["error.type"] == "test.refused"
    assert [(event.name, said(event)) for event in refused.events] == [
        ("failure", {"exception.type": "test.refused", "pypes.times": 2})
    ]
    assert out.status.code == Status.STATUS_CODE_UNSET


def test_what_was_tried_again_and_went_on_is_no_error() -> None:
    again = FilterSpan("again", "Again", 1000.2, 1000.3, packets_in=1, attempts=2, codes=(("retry", 1),))
    delivery, _, _, tried, _ = spans(finished(run(0, again)))
    assert delivery.status.code == tried.status.code == Status.STATUS_CODE_UNSET
    assert len(tried.events) == 1
    assert "error.type" not in said(tried)


def test_the_request_is_between_the_caller_and_the_delivery() -> None:
    (span,) = spans(Requested(RECEIPT, "news", CALLER, CALLER, "POST", "/docs/{route}", 202, 3, 999.4, 999.6))
    assert (span.name, span.kind) == ("POST /docs/{route}", Span.SPAN_KIND_SERVER)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (CALLER.trace_id, CALLER.span_id)
    assert span.span_id.hex() == span_of(RECEIPT, REQUEST)
    assert span.flags & 0x301 == 0x301
    assert (said(span)["http.request.method"], said(span)["http.response.status_code"]) == ("POST", 202)


def test_a_request_without_a_caller_is_a_root() -> None:
    own = TraceContext("0192f0e14b2a700080000000000000ab", "", True)
    (span,) = spans(Requested(RECEIPT, "news", own, None, "POST", "/docs", 202, 1, 999.4, 999.3))
    assert (span.parent_span_id, span.flags & 0x200) == (b"", 0)
    assert span.end_time_unix_nano == span.start_time_unix_nano
    assert "messaging.batch.message_count" not in said(span)


def test_a_replay_is_linked_with_the_delivery_before() -> None:
    origin = TraceContext(CALLER.trace_id, "00f067aa0ba902b7")
    delivery, *_ = spans(finished(run(), origin=origin))
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in delivery.links] == [(origin.trace_id, origin.span_id)]


def test_a_request_for_several_deliveries_is_a_trace_that_is_linked_with_them() -> None:
    shared = TraceContext("f" * 32, "e" * 16, True)
    links = ((CALLER.trace_id, span_of(RECEIPT, filter_part("send"))), ("d" * 32, "c" * 16))
    first = FilterSpan("send", "Webhook", 1000.2, 1000.4, published=1, requests=(SharedRequest(shared, 1000.25, links),))
    *_, filter, request, _ = spans(finished(run(0, first)))
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in filter.links] == [("f" * 32, "e" * 16)]
    assert (request.trace_id.hex(), request.span_id.hex(), request.parent_span_id) == ("f" * 32, "e" * 16, b"")
    assert (request.name, request.kind) == ("publish send", Span.SPAN_KIND_CLIENT)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in request.links] == list(links)
    assert (request.start_time_unix_nano, request.end_time_unix_nano) == (1_000_250_000_000, 1_000_400_000_000)
    # the trace of another delivery in it tells of the same request, and not of the span
    other = FilterSpan("send", "Webhook", 1000.2, 1000.4, published=1, requests=(SharedRequest(shared, 1000.25),))
    assert len(spans(finished(run(0, other)))) == 5
