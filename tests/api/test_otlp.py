"""Spans and metrics of a real node as a collector gets them: in whose trace, after kills, and while nobody takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families

from pypes.core.trace_context import span_of, trace_of
from pypes.observe.spans import DELIVERY, REQUEST, RUN, filter_part
from pypes.testing.node import Node, free_port, running, until
from tests.api.records import COMPONENTS, finished, get, post
from tests.api.test_docs import NDJSON
from tests.api.test_trace_contexts import Taker, graph_of
from tests.api.test_traces import MORE
from tests.collector import Collector, said
from tests.serving import in_thread

SPAN = "b7ad6b7169203331"
SECRET = "geheim-4711"


def parent(number: int, flags: str = "01") -> str:
    return f"00-{number:032x}-{SPAN}-{flags}"


def configure(base: Path, taker: Taker, collector: str, **more: str) -> None:
    (base / "refuse.py").write_text(COMPONENTS + MORE)
    (base / "secret").write_text("s3cret")
    (base / "headers").write_text("authorization=Bearer%20c0llector\n")
    lines = [
        f"otlp_endpoint = {collector}",
        "otlp_headers_file = headers",
        *(f"{name} = {value}" for name, value in more.items()),
    ]
    (base / "pypes.ini").write_text(
        f"[callbacks]\nhosts = {taker.host}\nsecret_file = secret\n[observe]\nredact = password\n" + "\n".join(lines)
    )


def graph_with_kills(taker: Taker) -> dict[str, Any]:
    graph = graph_of(taker)
    graph["nodes"]["killing"] = {"component": "Killing"}
    graph["wires"] = [
        *(["json.out", "refuse.in"], ["refuse.out", "killing.in"], ["killing.out", "call.in"]),
        ["call.out", "out.in"],
    ]
    return graph


@pytest.fixture(scope="module")
def taker() -> Iterator[Taker]:
    with in_thread(Taker()) as made:
        yield made


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with in_thread(Collector()) as made:
        yield made


@pytest.fixture(scope="module")
def node(taker: Taker, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("otlp")
    configure(base, taker, collector.url, otlp_interval_s="0.2", caller_traces_per_s="1000")
    graph = graph_with_kills(taker)
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test", "OTEL_SERVICE_NAME": "conditioner"}
    with running(base, graph, "--load", str(base / "refuse.py"), workers=1, instances=1, environ=environ) as node:
        yield node
        assert "Traceback" not in node.log()
        assert "c0llector" not in node.log()


def spans_of(node: Node, collector: Collector, receipt: str, number: int) -> dict[str, Span]:
    """The spans of the trace of a delivery by name, once there are so many."""
    try:
        found: list[Span] = until(
            lambda: found if len(found := collector.spans(receipt)) >= number else None, 30, f"{number} spans of {receipt}"
        )
    except AssertionError as error:
        raise AssertionError(f"{error}; there are {[span.name for span in collector.spans(receipt)]}:\n{node.log()}") from error
    assert len(found) == number, [span.name for span in found]
    return {span.name: span for span in found}


def sent(node: Node, document: Any, path: str = "/docs", content_type: str = "application/json", **headers: str) -> str:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    answer = post(node, body, path, content_type, **headers)
    assert answer.status == 202, answer.data
    receipt = str(answer.json()["receipt"])
    finished(node, receipt)
    return receipt


def test_a_delivery_of_a_traced_caller_is_found_in_its_trace(node: Node, collector: Collector, taker: Taker) -> None:
    document = {"word": "span-one", "password": SECRET, "note": SECRET}
    receipt = sent(node, document, f"/docs/r/one?callback=http://{taker.host}/spanned", traceparent=parent(1), tracestate="a=1")
    found = spans_of(node, collector, receipt, 8)
    names = ["POST /docs/{route}/{id}", "process g", "run g", "json", "refuse", "killing", "call", "publish out"]
    assert set(found) == set(names)
    assert {(span.trace_id.hex(), span.trace_state) for span in found.values()} == {(f"{1:032x}", "a=1")}
    parents = {name: span.parent_span_id.hex() for name, span in found.items()}
    assert parents["POST /docs/{route}/{id}"] == SPAN
    assert parents["process g"] == span_of(receipt, REQUEST)
    assert parents["run g"] == span_of(receipt, DELIVERY)
    assert {parents[name] for name in names[3:]} == {span_of(receipt, RUN)}
    for span in found.values():
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.status.code == Status.STATUS_CODE_UNSET
        assert SECRET not in str(span)
    inner, outer = found["json"], found["process g"]
    assert outer.start_time_unix_nano <= inner.start_time_unix_nano <= inner.end_time_unix_nano <= outer.end_time_unix_nano
    assert said(found["process g"])["messaging.message.id"] == receipt
    assert said(found["publish out"])["pypes.packets.published"] == 1
    # what the filters and the callback sent on leads to their spans
    calls = {path: headers["traceparent"] for path, headers, body in taker.taken if b"span-one" in body or path == "/spanned"}
    until(lambda: "/spanned" in {path for path, _, _ in taker.taken}, 20, "called back")
    calls = {path: headers["traceparent"] for path, headers, body in taker.taken if b"span-one" in body or path == "/spanned"}
    assert calls == {
        "/length": f"00-{1:032x}-{span_of(receipt, filter_part('call'))}-01",
        "/webhook": f"00-{1:032x}-{span_of(receipt, filter_part('out'))}-01",
        "/spanned": f"00-{1:032x}-{span_of(receipt, DELIVERY)}-01",
    }
    (resource,) = {tuple(sorted(said(each.resource).items())) for one in collector.traces() for each in one.resource_spans}
    assert dict(resource)["service.name"] == "conditioner"
    assert dict(resource)["deployment.environment"] == "test"
    assert {taken.headers["authorization"] for taken in collector.taken} == {"Bearer c0llector"}


def test_an_unsampled_caller_is_passed_on_and_not_traced(node: Node, collector: Collector, taker: Taker) -> None:
    sent(node, {"word": "unsampled-one"}, traceparent=parent(2, "00"))
    receipt = sent(node, {"word": "after"}, traceparent=parent(3))
    spans_of(node, collector, receipt, 8)
    assert not [span for span in collector.spans() if span.trace_id.hex() == f"{2:032x}"]
    assert {headers["traceparent"] for headers in taker.with_word("unsampled-one")} == {parent(2, "00")}


def test_who_asks_for_a_trace_without_a_caller_gets_one_named_by_the_receipt(node: Node, collector: Collector) -> None:
    receipt = sent(node, {"word": "asked"}, "/docs?trace=1")
    found = spans_of(node, collector, receipt, 8)
    assert {span.trace_id.hex() for span in found.values()} == {trace_of(receipt)}
    assert found["POST /docs"].parent_span_id == b""


def test_a_request_that_waited_has_the_status_of_its_answer(node: Node, collector: Collector) -> None:
    answer = post(node, b'{"word": "waited"}', "/docs?trace=1", prefer="wait=20")
    assert answer.status == 200
    found = spans_of(node, collector, answer.json()["receipt"], 8)
    assert said(found["POST /docs"])["http.response.status_code"] == 200
    assert said(found["POST /docs"])["messaging.message.id"] == answer.json()["receipt"]


def test_many_documents_of_one_request_are_one_delivery(node: Node, collector: Collector) -> None:
    lines = b"\n".join(b'{"word": "line-%d"}' % n for n in range(30))
    receipt = sent(node, lines, content_type=NDJSON, traceparent=parent(4))
    found = spans_of(node, collector, receipt, 8)
    assert said(found["process g"])["messaging.batch.message_count"] == 30
    assert said(found["process g"])["pypes.documents.published"] == 30
    assert said(found["json"])["pypes.packets.in"] == 30


def test_a_failure_has_its_code_and_a_replay_is_linked(node: Node, collector: Collector) -> None:
    receipt = sent(node, {"word": "failing", "refuse": True, "code": "test.spans"}, traceparent=parent(5))
    found = spans_of(node, collector, receipt, 5)
    for name in ("process g", "refuse"):
        assert (found[name].status.code, found[name].status.message) == (Status.STATUS_CODE_ERROR, "test.spans")
    (letter,) = get(node, f"/deadletters?receipt={receipt}")["deadletters"]
    Path(node.base, "mended").touch()
    again = post(node, b"", f"/deadletters/{letter['id']}/replay").json()["receipt"]
    finished(node, again)
    Path(node.base, "mended").unlink()
    whole = spans_of(node, collector, again, 5 + 6)  # one trace: without a request of its own, and without the adapter
    (replay,) = [span for span in collector.spans() if span.name == "process g" and said(span)["messaging.message.id"] == again]
    assert replay.trace_id.hex() == f"{5:032x}"
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in replay.links] == [(f"{5:032x}", span_of(receipt, DELIVERY))]
    assert whole


def test_deliveries_that_a_publisher_sends_together_are_linked(node: Node, collector: Collector, taker: Taker) -> None:
    taker.is_down = True
    receipts = [post(node, b'{"word": "together-%d"}' % n, traceparent=parent(100 + n)).json()["receipt"] for n in range(6)]
    taker.is_down = False
    for receipt in receipts:
        finished(node, receipt)
    by_trace = {headers["traceparent"] for headers in taker.with_word("together-")}
    known = {(f"{100 + n:032x}", span_of(receipt, filter_part("out"))) for n, receipt in enumerate(receipts)}
    for receipt in receipts:
        spans_of(node, collector, receipt, 8)
    # those that went alone belong to their own trace, those that went together to one that is linked with them
    shared = [span for span in collector.spans() if span.name == "publish out" and span.kind == Span.SPAN_KIND_CLIENT]
    for span in shared:
        assert f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" in by_trace
        assert {(link.trace_id.hex(), link.span_id.hex()) for link in span.links} <= known


def test_a_run_that_a_kill_ended_is_told_by_the_next_one(node: Node, collector: Collector) -> None:
    Path(node.base, "killed").unlink(missing_ok=True)
    receipt = sent(node, {"word": "killed", "kill": True}, traceparent=parent(6))
    found = spans_of(node, collector, receipt, 8)
    assert said(found["run g"])["pypes.run"] > 1
    assert len({span.span_id for span in collector.spans(receipt)}) == 8


def test_metrics_equal_those_of_the_text(node: Node, collector: Collector) -> None:
    counters = ("pypes_documents_accepted_total", "pypes_documents_published_total", "pypes_filter_packets_in_total")

    def both() -> bool:
        text = node.http.request("GET", node.url + "/metrics").data.decode()
        wanted = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for each in text_string_to_metric_families(text)
            for sample in each.samples
            if sample.name in counters
        }
        newest = collector.metrics()[-1] if collector.metrics() else {}
        found = {
            (name, tuple(sorted(said(point).items()))): point.as_double
            for name in counters
            if name in newest
            for point in newest[name].sum.data_points
        }
        return bool(wanted) and found == wanted

    until(both, 30, "the same in both")
    newest = collector.metrics()[-1]
    text = node.http.request("GET", node.url + "/metrics").data.decode()
    families = {each.name: each for each in text_string_to_metric_families(text)}
    names = {name.removesuffix("_total") if families.get(name) is None else name for name in newest}
    assert names == set(families)
    start = newest["pypes_node_start_time_seconds"].gauge.data_points[0].as_double
    (seconds,) = newest["pypes_delivery_seconds"].histogram.data_points
    assert abs(seconds.start_time_unix_nano / 1e9 - start) < 0.001
    assert sum(seconds.bucket_counts) == seconds.count > 0


def test_a_share_is_drawn_and_callers_are_bounded(tmp_path: Path, taker: Taker) -> None:
    with in_thread(Collector()) as collector:
        configure(tmp_path, taker, collector.url, trace_share="1", caller_traces_per_s="0")
        with running(tmp_path, graph_of(taker), "--load", "refuse.py", workers=1, instances=1) as node:
            plain = sent(node, {"word": "drawn"})
            found = spans_of(node, collector, plain, 6)  # whoever took the request did not know
            assert found["process g"].trace_id.hex() == trace_of(plain)
            assert found["process g"].parent_span_id == b""
            caller = sent(node, {"word": "drawn, too"}, traceparent=parent(7))
            found = spans_of(node, collector, caller, 6)
            assert found["process g"].parent_span_id.hex() == SPAN
            assert found["process g"].flags & 0x300 == 0x300


def test_while_the_collector_is_away_nothing_waits_and_what_is_bounded_comes_later(tmp_path: Path, taker: Taker) -> None:
    port = free_port()
    configure(tmp_path, taker, f"http://127.0.0.1:{port}", caller_traces_per_s="1000", otlp_interval_s="0.2")
    with running(tmp_path, graph_of(taker), "--load", "refuse.py", workers=1, instances=1) as node:
        receipts = [sent(node, {"word": f"away-{n}"}, traceparent=parent(200 + n)) for n in range(3)]
        until(lambda: "the collector of OpenTelemetry" in node.log(), 20, "told that nobody is there")
        dropped = 'pypes_otlp_dropped_total{signal="metrics"}'
        until(lambda: dropped in node.http.request("GET", node.url + "/metrics").data.decode(), 20, "counted")
        with in_thread(Collector(port)) as collector:
            for receipt in receipts:
                spans_of(node, collector, receipt, 7)
            sent_traces = 'pypes_otlp_sent_total{signal="traces"} 21'
            until(lambda: sent_traces in node.http.request("GET", node.url + "/metrics").data.decode(), 20, "counted")
            # what ends with the process is sent before
            last = sent(node, {"word": "last"}, traceparent=parent(300))
            assert node.stop() == 0
            spans_of(node, collector, last, 7)


def test_what_is_no_address_is_told_at_the_start(tmp_path: Path, taker: Taker) -> None:
    configure(tmp_path, taker, "no address")
    node = Node(tmp_path, graph_of(taker), "--load", "refuse.py", workers=1, instances=1)
    node.start()
    assert node.process is not None
    assert node.process.wait(20) != 0
    assert "otlp_endpoint" in node.log()
    node.close()
