"""The catalogue of metrics keeps the conventions that those who scrape it count on."""

from __future__ import annotations

import re

import pytest

from pypes.observe.metrics import CATALOGUE, Metric


def test_every_metric_is_there_once() -> None:
    names = [metric.name for metric in CATALOGUE]
    assert len(names) == len(set(names))
    # in OpenMetrics the name of a counter is without its end
    assert len({name.removesuffix("_total") for name in names}) == len(names)


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"pypes(_[a-z0-9]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.unit in ("", "seconds", "bytes")
    assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}" if metric.unit else "")
    assert metric.help.endswith(".")
    assert "\n" not in metric.help
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    for label in metric.labels:
        assert re.fullmatch(r"[a-z]+", label)
        assert label not in ("le", "quantile", "instance", "job")
