"""Metrics as OTLP has them, made of the very text that ``GET /metrics`` answers with, so that both say the same.

Counters are cumulative sums since the start of the node; those that the shards keep go on over restarts, so that for them no
start is told. Histograms have the bounds of :mod:`pypes.observe.metrics`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as OtlpMetric

from pypes.observe import metrics as m
from pypes.observe.otlp.encoding import attributes_of, nanoseconds, resource_of, scope

_SAMPLE: Final = re.compile(r"([a-z0-9_]+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_UNITS: Final = {"seconds": "s", "bytes": "By"}
_CUMULATIVE: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
#: Counters that shards keep over restarts.
KEPT: Final = frozenset(metric.name for metric in (m.ACCEPTED, m.PUBLISHED, m.DROPPED, m.FAILED))

#: Values of a series by the end of its samples' name (empty, but for histograms), the bound for a bucket.
Values = dict[str, float]
Labels = tuple[tuple[str, str], ...]


def request_of(text: str, now_s: float, resource: Mapping[str, str]) -> tuple[bytes, int]:
    """The body of a request to a collector, and the number of data points in it; ``now_s`` are seconds since 1970."""
    found = _series(text)
    start_s = next(iter(found.get(m.NODE_START.name, {(): {"": 0.0}}).values()))[""]
    times = nanoseconds(start_s), nanoseconds(now_s)
    metrics = [_metric(m.BY_NAME[name], series, *times) for name, series in found.items()]
    of_scope = ScopeMetrics(scope=scope(), metrics=metrics)
    whole = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=resource_of(resource), scope_metrics=[of_scope])]
    )
    return whole.SerializeToString(), sum(map(len, found.values()))


def _series(text: str) -> dict[str, dict[Labels, Values]]:
    """The series of each metric, by their labels, in the order of the text."""
    found: dict[str, dict[Labels, Values]] = {}
    for name, labels, value in _samples(text):
        metric, part = name, ""
        if name not in m.BY_NAME:
            metric, _, part = name.rpartition("_")
            if metric not in m.BY_NAME:
                continue
            if part == "bucket":
                part = dict(labels)["le"]
                labels = tuple(each for each in labels if each[0] != "le")
        found.setdefault(metric, {}).setdefault(labels, {})[part] = value
    return found


def _samples(text: str) -> Iterator[tuple[str, Labels, float]]:
    for line in text.split("\n"):  # labels may hold other ends of lines
        sample = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        if sample is not None:
            labels = tuple((name, _ESCAPED.sub(_plain, value)) for name, value in _LABEL.findall(sample.group(2) or ""))
            yield sample.group(1), labels, float(sample.group(3))


def _plain(escaped: re.Match[str]) -> str:
    return "\n" if escaped.group(1) == "n" else escaped.group(1)


def _metric(metric: m.Metric, series: Mapping[Labels, Values], start: int, now: int) -> OtlpMetric:
    made = OtlpMetric(name=metric.name, description=metric.help, unit=_UNITS.get(metric.unit, ""))
    since = 0 if metric.name in KEPT else start
    if metric.kind == "histogram":
        points = [_histogram(metric, labels, values, since, now) for labels, values in series.items()]
        made.histogram.CopyFrom(Histogram(data_points=points, aggregation_temporality=_CUMULATIVE))
        return made
    is_sum = metric.kind == "counter"
    numbers = [
        NumberDataPoint(
            attributes=attributes_of(dict(labels)),
            start_time_unix_nano=since if is_sum else 0,
            time_unix_nano=now,
            as_double=values[""],
        )
        for labels, values in series.items()
    ]
    if is_sum:
        made.sum.CopyFrom(Sum(data_points=numbers, aggregation_temporality=_CUMULATIVE, is_monotonic=True))
    else:
        made.gauge.CopyFrom(Gauge(data_points=numbers))
    return made


def _histogram(metric: m.Metric, labels: Labels, values: Values, start: int, now: int) -> HistogramDataPoint:
    below = [int(values[bound]) for bound in (*map(repr, metric.buckets), "+Inf")]
    return HistogramDataPoint(
        attributes=attributes_of(dict(labels)),
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=int(values["count"]),
        sum=values["sum"],
        explicit_bounds=metric.buckets,
        bucket_counts=[count - before for before, count in zip((0, *below), below, strict=False)],
    )
