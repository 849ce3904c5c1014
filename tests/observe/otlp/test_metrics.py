"""Metrics as a collector reads them equal those of the text, whatever stands in labels."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from pypes.observe import metrics as m
from pypes.observe.exposition import Table, family
from pypes.observe.otlp.metrics import request_of
from pypes.observe.tallies import Tallies
from tests.collector import said

ODD = 'a "b"\\n\n\\ ,x="y"} 7\r\u2028\x85 8'
START = 1_800_000_000.25


def exported(text: str) -> dict[str, Metric]:
    body, count = request_of(text, START + 60, {"service.name": "node"})
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    (scope,) = resource.scope_metrics
    found = {metric.name: metric for metric in scope.metrics}
    points = [point for metric in found.values() for point in getattr(metric, str(metric.WhichOneof("data"))).data_points]
    assert len(points) == count
    return found


def text_of(tallies: Tallies) -> str:
    places, at = {}, 0
    for series in tallies.series:
        places[series] = at
        at += series.width
    start = family(m.NODE_START, {(): START}, is_openmetrics=False)
    return start + Table(places, lambda series: True).text(tallies.read(), is_openmetrics=False)


def test_counters_are_cumulative_sums_since_the_start_of_the_node() -> None:
    tallies = Tallies()
    tallies.counter(m.FILTER_IN, "g", ODD).add(7)
    tallies.counter(m.FILTER_IN, "g", "b").add(2.5)
    found = exported(text_of(tallies))["pypes_filter_packets_in_total"]
    assert found.sum.is_monotonic
    assert found.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert {said(point)["filter"]: point.as_double for point in found.sum.data_points} == {ODD: 7, "b": 2.5}
    assert {point.start_time_unix_nano for point in found.sum.data_points} == {1_800_000_000_250_000_000}
    assert {point.time_unix_nano for point in found.sum.data_points} == {1_800_000_060_250_000_000}
    assert found.description == m.FILTER_IN.help


def test_what_shards_keep_over_restarts_has_no_start() -> None:
    text = family(m.NODE_START, {(): START}, is_openmetrics=False) + family(m.ACCEPTED, {("g",): 3}, is_openmetrics=False)
    (point,) = exported(text)["pypes_documents_accepted_total"].sum.data_points
    assert (point.as_double, point.start_time_unix_nano) == (3, 0)


def test_gauges_have_no_start_and_units_are_those_of_ucum() -> None:
    tallies = Tallies()
    tallies.gauge(m.FILTER_LAST_ERROR, "g", "f").set(START)
    found = exported(text_of(tallies))[m.FILTER_LAST_ERROR.name]
    (point,) = found.gauge.data_points
    assert (point.as_double, point.start_time_unix_nano, found.unit) == (START, 0, "s")


def test_histograms_have_the_bounds_and_each_bucket_its_own_count() -> None:
    tallies = Tallies()
    histogram = tallies.histogram(m.HTTP_SECONDS, "/docs", "POST")
    for seconds in (0.0005, 0.0005, 0.03, 99.0):
        histogram.observe(seconds)
    found = exported(text_of(tallies))[m.HTTP_SECONDS.name]
    assert found.unit == "s"
    assert found.histogram.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = found.histogram.data_points
    assert tuple(point.explicit_bounds) == m.HTTP_SECONDS.buckets
    assert (point.count, point.sum, point.start_time_unix_nano) == (4, 99.031, 1_800_000_000_250_000_000)
    assert list(point.bucket_counts) == [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert said(point) == {"route": "/docs", "method": "POST"}


def test_lines_that_are_no_samples_of_the_catalogue_are_passed_over() -> None:
    assert list(exported("# HELP x y\nother_total 3\npypes_node_ready 1\n# EOF\n\n")) == ["pypes_node_ready"]
