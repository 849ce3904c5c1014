"""The dashboard asks for what a node has, shows all of it, and can be taken into any Grafana."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest

from pypes.observe.metrics import CATALOGUE
from tests.deploy.dashboard import BOARD, Query, filled_in, panels, queries
from tests.deploy.settings import SAMPLES, mistakes, names_in

QUERIES = [*queries()]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.panel}: {query.legend}")
def test_a_panel_asks_for_metrics_that_exist(query: Query) -> None:
    assert not mistakes(query.expr)
    assert "$" not in filled_in(query.expr)
    # a label of the legend is one that the query leaves
    for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
        kept = re.findall(r"\bby \(([^)]*)\)", query.expr)
        assert any(label in group for group in kept) or (not kept and label in (*_labels(query.expr), "instance"))


def _labels(expr: str) -> set[str]:
    return {label for name in names_in(expr) for label in SAMPLES[name].labels}


def test_every_metric_is_shown() -> None:
    shown = {SAMPLES[name].name for query in QUERIES for name in names_in(query.expr)}
    assert shown == {metric.name for metric in CATALOGUE}


def test_variables_ask_for_what_there_is() -> None:
    variables = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    assert [*variables] == ["datasource", "job", "instance", "graph"]
    assert variables["datasource"]["type"] == "datasource"
    for name in ("job", "instance", "graph"):
        assert not mistakes(variables[name]["definition"])
        assert variables[name]["definition"] == variables[name]["query"]["query"]


def test_no_data_source_of_somebody_is_named() -> None:
    def sources(value: Any) -> list[Any]:
        if isinstance(value, dict):
            own = [value["datasource"]] if "datasource" in value else []
            return own + [found for each in value.values() for found in sources(each)]
        return [found for each in value for found in sources(each)] if isinstance(value, list) else []

    found = sources(BOARD)
    assert len(found) > len(QUERIES)
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in found)
    assert BOARD.get("id") is None


def test_panels_are_told_apart_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for one, other in combinations((panel["gridPos"] for panel in BOARD["panels"]), 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_below, (one, other)
        assert one["x"] + one["w"] <= 24
