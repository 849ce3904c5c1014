"""Exposition: two readers that others have written understand the text, and find in it what was counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from pypes.observe.exposition import EOF, Table, family, head
from pypes.observe.gathering import Gathering
from pypes.observe.metrics import CATALOGUE, FILTER_IN, FILTER_RESTING, HTTP_SECONDS, NODE_START, PROCESS_MEMORY, Metric
from pypes.observe.tallies import Tallies

Read = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str, *, is_openmetrics: bool) -> Read:
    reader: Any = read_openmetrics
    families: Any = reader(text + EOF) if is_openmetrics else read_prometheus(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for found in families for s in found.samples}


def table_of(tallies: Tallies, *, is_openmetrics: bool) -> str:
    gathering = Gathering(tallies)
    sums = gathering.read()
    return Table(gathering.places, lambda series: True).text(sums, is_openmetrics=is_openmetrics)


@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_others_read_what_was_counted(is_openmetrics: bool) -> None:
    tallies = Tallies()
    tallies.counter(FILTER_IN, "g", "b").add(3)
    tallies.counter(FILTER_IN, "g", "a").add(1 << 60)
    tallies.gauge(FILTER_RESTING, "g", "a").set(0.25)
    for seconds in (0.001, 0.002, 0.3, 100.0):
        tallies.histogram(HTTP_SECONDS, "/docs", "POST").observe(seconds)
    text = table_of(tallies, is_openmetrics=is_openmetrics)
    found = read(text, is_openmetrics=is_openmetrics)
    of_a, of_b = (("filter", "a"), ("graph", "g")), (("filter", "b"), ("graph", "g"))
    assert found[FILTER_IN.name, of_a] == 1 << 60
    assert found[FILTER_IN.name, of_b] == 3
    assert found[FILTER_RESTING.name, of_a] == 0.25
    route = (("method", "POST"), ("route", "/docs"))
    buckets = {dict(labels)["le"]: value for (name, labels), value in found.items() if name.endswith("_bucket")}
    assert [*map(float, buckets)] == [*HTTP_SECONDS.buckets, float("inf")]
    assert [*buckets.values()] == [1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4]
    assert found[f"{HTTP_SECONDS.name}_count", route] == 4
    assert found[f"{HTTP_SECONDS.name}_sum", route] == pytest.approx(100.303)
    # series of a family stand together and sorted
    assert text.index('filter="a"') < text.index('filter="b"')


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_others_know_the_kind_the_unit_and_the_help_of_every_metric(metric: Metric, is_openmetrics: bool) -> None:
    tallies = Tallies()
    labels = [f"the {label}" for label in metric.labels]
    if metric.kind == "histogram":
        tallies.histogram(metric, *labels).observe(1.0)
    elif metric.kind == "counter":
        tallies.counter(metric, *labels).add(1.0)
    else:
        tallies.gauge(metric, *labels).set(1.0)
    text = table_of(tallies, is_openmetrics=is_openmetrics)
    reader: Any = read_openmetrics
    [found] = reader(text + EOF) if is_openmetrics else read_prometheus(text)
    assert (found.type, found.documentation) == (metric.kind, metric.help)
    assert found.name == metric.name.removesuffix("_total")
    if is_openmetrics:
        assert found.unit == metric.unit


def test_a_family_without_samples_is_left_out() -> None:
    assert family(PROCESS_MEMORY, {}, is_openmetrics=True) == ""
    shown = family(NODE_START, {(): 1.5}, is_openmetrics=False)
    assert shown == head(NODE_START, is_openmetrics=False) + "pypes_node_start_time_seconds 1.5\n"
    assert Table({}, lambda series: True).text(Gathering(Tallies()).read(), is_openmetrics=True) == ""


@given(st.text(max_size=30), st.one_of(st.integers(0, 1 << 70), st.floats(0, 1e300, allow_nan=False)), st.booleans())
def test_labels_and_values_come_back_as_they_were(label: str, value: float, is_openmetrics: bool) -> None:
    shown = family(PROCESS_MEMORY, {(label,): value}, is_openmetrics=is_openmetrics)
    # the readers split lines at more than line feeds
    if label.isprintable():
        assert read(shown, is_openmetrics=is_openmetrics) == {(PROCESS_MEMORY.name, (("process", label),)): float(value)}
    assert shown.count("\n") == head(PROCESS_MEMORY, is_openmetrics=is_openmetrics).count("\n") + 1


def test_series_that_are_not_to_be_shown_are_left_out() -> None:
    gathering = Gathering(Tallies())
    for graph in ("old", "new"):
        gathering.own.counter(FILTER_IN, graph, "a").add()
    sums = gathering.read()
    text = Table(gathering.places, lambda series: series.labels[0] == "new").text(sums, is_openmetrics=False)
    assert [line for line in text.splitlines() if not line.startswith("#")] == [f'{FILTER_IN.name}{{graph="new",filter="a"}} 1']
