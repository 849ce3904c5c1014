"""Traces: spans of deliveries as OTLP has them, named as the semantic conventions of OpenTelemetry say where those fit.

The request (server), the delivery (consumer, until it is done), its run in an instance, each filter (producer, if it published)::

    POST /docs
    └─ process news
       └─ run news
          ├─ json
          └─ out

A request of a publisher for several deliveries is a trace of its own, linked with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from pypes.core.trace_context import TraceContext, span_of
from pypes.observe.otlp.encoding import Attributes, attributes_of, embedded, nanoseconds, resource_of, scope
from pypes.observe.spans import DELIVERY, REQUEST, RUN, FilterSpan, RunSpans, SharedRequest, filter_part

SYSTEM = "pypes"
#: Bits of the flags of a span or link: it is recorded (W3C); it is said whether the parent is remote; the parent is.
SAMPLED = 1
KNOWN_REMOTE, IS_REMOTE = 0x100, 0x200
#: Sets of attributes that are kept encoded, about 600 bytes each: nearly all spans of a filter say the same but for their times.
ENCODED = 1024


@dataclass(frozen=True, slots=True)
class Requested:
    """A request that brought a delivery, answered with ``status``; times in seconds since 1970. ``caller`` is who sent it."""

    receipt: str
    graph: str
    context: TraceContext
    caller: TraceContext | None
    method: str
    route: str
    status: int
    documents: int
    began_s: float
    ended_s: float

    def spans(self) -> Iterator[Span]:
        """Its only span."""
        said: Attributes = {
            "http.request.method": self.method,
            "http.route": self.route,
            "http.response.status_code": self.status,
            "messaging.system": SYSTEM,
            "messaging.operation.name": "receive",
            "messaging.destination.name": self.graph,
            "messaging.message.id": self.receipt,
            "messaging.batch.message_count": self.documents if self.documents > 1 else None,
        }
        parent = "" if self.caller is None else self.caller.span_id
        yield _span(
            *(self.context, span_of(self.receipt, REQUEST), parent, f"{self.method} {self.route}", Span.SPAN_KIND_SERVER),
            *(self.began_s, self.ended_s, _encoded(said)),
            is_remote=True,
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """A delivery that is done, after as many runs as ``number`` says, of which ``run`` was the last.

    ``parent`` is the span it belongs to, ``origin`` the delivery whose documents it runs again, if any. It came at ``began_s``,
    in seconds since 1970.
    """

    receipt: str
    graph: str
    documents: int
    began_s: float
    run: RunSpans
    number: int = 1
    parent: str = ""
    is_remote: bool = False
    origin: TraceContext | None = None

    def spans(self) -> Iterator[Span]:
        """Those of the delivery, of its run and of the filters."""
        run = self.run
        code = next((code for each in run.filters for code, _ in each.codes if each.failed), "")
        said = _said_of_delivery(
            *(self.graph, self.documents, run.version, run.published, run.dropped, run.failed, code if run.failed else "")
        )
        own = span_of(self.receipt, DELIVERY)
        delivery = _span(
            *(run.context, own, self.parent, f"process {self.graph}", Span.SPAN_KIND_CONSUMER, self.began_s, run.ended_s, said),
            is_remote=self.is_remote,
        )
        delivery.attributes.extend(attributes_of({"messaging.message.id": self.receipt}))
        _fail(delivery, run.failed, code)
        if self.origin is not None:
            delivery.links.append(_link(self.origin.trace_id, self.origin.span_id))
        yield delivery
        parent, own = own, span_of(self.receipt, RUN)
        told = _said_of_run(self.graph, run.version, self.number)
        yield _span(run.context, own, parent, f"run {self.graph}", Span.SPAN_KIND_INTERNAL, run.began_s, run.ended_s, told)
        for each in run.filters:
            yield self._filter(each, own)
            for request in each.requests:
                if request.links:
                    yield self._shared(each, request)

    def _filter(self, each: FilterSpan, parent: str) -> Span:
        code = each.codes[0][0] if each.failed and each.codes else None
        said = _said_of_filter(
            *(self.graph, each.name, each.component, each.packets_in, each.packets_out),
            *(each.published, each.dropped, each.failed, each.attempts, code),
        )
        own = span_of(self.receipt, filter_part(each.name))
        name = f"publish {each.name}" if each.published else each.name or "read"
        kind = Span.SPAN_KIND_PRODUCER if each.published else Span.SPAN_KIND_INTERNAL
        span = _span(self.run.context, own, parent, name, kind, each.began_s, each.ended_s, said)
        span.attributes.extend(attributes_of({"pypes.ran_s": each.ran_s, "pypes.waited_s": each.waited_s}))
        for code, times in each.codes:
            failure = attributes_of({"exception.type": code, "pypes.times": times})
            span.events.append(Span.Event(name="failure", time_unix_nano=span.end_time_unix_nano, attributes=failure))
        _fail(span, each.failed, each.codes[0][0] if each.codes else "")
        for request in each.requests:
            span.links.append(_link(request.context.trace_id, request.context.span_id))
        return span

    def _shared(self, each: FilterSpan, request: SharedRequest) -> Span:
        said: Attributes = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.batch.message_count": len(request.links),
            "pypes.graph": self.graph,
            "pypes.filter": each.name,
            "code.function.name": each.component or None,
        }
        own = request.context
        began_s = min(request.began_s, each.ended_s)
        span = _span(own, own.span_id, "", f"publish {each.name}", Span.SPAN_KIND_CLIENT, began_s, each.ended_s, _encoded(said))
        span.links.extend(_link(trace, link) for trace, link in request.links)
        return span


def request_of(items: Iterable[Requested | Finished], resource: Mapping[str, str]) -> tuple[bytes, int]:
    """The body of a request to a collector, and the number of spans in it."""
    # PERF: spans are encoded one by one, and their bytes put together: a message that is put into another one is copied whole
    spans = [span.SerializeToString() for item in items for span in item.spans()]
    told = b"".join(embedded(ScopeSpans.SPANS_FIELD_NUMBER, span) for span in spans)
    of_scope = ScopeSpans(scope=scope()).SerializeToString() + told
    whole = ResourceSpans(resource=resource_of(resource)).SerializeToString()
    whole += embedded(ResourceSpans.SCOPE_SPANS_FIELD_NUMBER, of_scope)
    return embedded(ExportTraceServiceRequest.RESOURCE_SPANS_FIELD_NUMBER, whole), len(spans)


def _span(
    context: TraceContext,
    span_id: str,
    parent: str,
    name: str,
    kind: Span.SpanKind.ValueType,
    began_s: float,
    ended_s: float,
    said: bytes,
    *,
    is_remote: bool = False,
) -> Span:
    span = Span(
        trace_id=bytes.fromhex(context.trace_id),
        span_id=bytes.fromhex(span_id),
        trace_state=context.state,
        parent_span_id=bytes.fromhex(parent),
        flags=SAMPLED | KNOWN_REMOTE | (IS_REMOTE if is_remote and parent else 0),
        name=name,
        kind=kind,
        start_time_unix_nano=nanoseconds(began_s),
        # clocks are read in several processes
        end_time_unix_nano=nanoseconds(max(began_s, ended_s)),
    )
    span.MergeFromString(said)
    return span


def _encoded(said: Attributes) -> bytes:
    """A span of nothing but these attributes: merged into another one, it gives them to it."""
    encoded: bytes = Span(attributes=attributes_of(said)).SerializeToString()
    return encoded


@lru_cache(maxsize=ENCODED)
def _said_of_delivery(graph: str, documents: int, version: int, published: int, dropped: int, failed: int, code: str) -> bytes:
    """Attributes of deliveries of a graph that ended alike, without their receipts."""
    return _encoded(
        {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": graph,
            "messaging.batch.message_count": documents if documents > 1 else None,
            "pypes.graph.version": version,
            "pypes.documents.published": published,
            "pypes.documents.dropped": dropped,
            "pypes.documents.failed": failed,
            "error.type": code if failed else None,
        }
    )


@lru_cache(maxsize=ENCODED)
def _said_of_run(graph: str, version: int, number: int) -> bytes:
    return _encoded({"pypes.graph": graph, "pypes.graph.version": version, "pypes.run": number})


@lru_cache(maxsize=ENCODED)
def _said_of_filter(
    graph: str,
    name: str,
    component: str,
    packets_in: int,
    packets_out: int,
    published: int,
    dropped: int,
    failed: int,
    attempts: int,
    code: str | None,
) -> bytes:
    """Attributes of spans of a filter that did as much, without their times."""
    return _encoded(
        {
            "pypes.graph": graph,
            "pypes.filter": name,
            "code.function.name": component or None,
            "messaging.system": SYSTEM if published else None,
            "messaging.operation.type": "send" if published else None,
            "messaging.operation.name": "publish" if published else None,
            "pypes.packets.in": packets_in,
            "pypes.packets.out": packets_out,
            "pypes.packets.published": published,
            "pypes.packets.dropped": dropped,
            "pypes.packets.failed": failed,
            "pypes.attempts": attempts,
            "error.type": code,
        }
    )


def _link(trace_id: str, span_id: str) -> Span.Link:
    return Span.Link(trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(span_id), flags=SAMPLED)


def _fail(span: Span, failed: int, code: str) -> None:
    if failed:
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=code))
