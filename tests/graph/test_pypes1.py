"""Projects of the original Pypes become graphs, and what cannot be carried over is reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pypes.errors import InvalidGraph
from pypes.graph.model import GraphNode, Wire
from pypes.graph.pypes1 import from_obj, loads
from pypes.graph.spec import ComponentSpec

CATALOGUE = {
    "JSON": ComponentSpec("JSON", "ADAPTER", inputs={"in": ""}, outputs={"out": ""}),
    "SetField": ComponentSpec(
        "SetField", "TRANSFORMER", inputs={"in": ""}, outputs={"out": ""}, schema={"properties": {"field": {}, "value": {}}}
    ),
    "Null": ComponentSpec("Null", "PUBLISHER", inputs={"in": ""}),
}

PROJECT: dict[str, Any] = {
    "containers": [
        {"filterName": "JSON", "type": "Adapters", "cid": "a1", "params": {}, "name": "JSON", "position": [10, 20]},
        {
            "filterName": "SetField",
            "type": "Transformers",
            "cid": "b2",
            "params": {"field": ["title", []], "value": ["x", ["x", "y"]], "gone": [1, []]},
            "name": "Set the title",
            "config": {"position": [110, 20]},
        },
        {"filterName": "Solr", "type": "Publishers", "cid": "c3", "params": {"url": "http://x"}, "name": "Solr"},
    ],
    "wires": [
        {"src": {"moduleId": 0, "termid": "out"}, "tgt": {"moduleId": 1, "termid": "in"}},
        {"src": {"moduleId": "b2", "termid": "out"}, "tgt": {"moduleId": "c3", "termid": "in"}},
        {"src": {"moduleId": 1, "termid": "original"}, "tgt": {"moduleId": 2, "termid": "in"}},
        {"src": {"moduleId": 7, "termid": "out"}, "tgt": {"moduleId": 2, "termid": "in"}},
    ],
}


def test_a_project_becomes_a_graph() -> None:
    imported = loads(json.dumps(PROJECT), "news", CATALOGUE)
    graph = imported.graph
    assert graph.name == "news"
    assert graph.nodes == {
        "json": GraphNode("json", "JSON"),
        "set-the-title": GraphNode("set-the-title", "SetField", {"field": "title", "value": "x"}),
        "solr": GraphNode("solr", "Solr", {"url": "http://x"}),
    }
    assert graph.wires[:2] == (Wire("json", "out", "set-the-title", "in"), Wire("set-the-title", "out", "solr", "in"))
    assert graph.layout == {"json": (10, 20), "set-the-title": (110, 20)}
    assert {(problem.path, problem.code) for problem in imported.report} == {
        ("nodes.set-the-title.params.gone", "pypes1.unknown_parameter"),
        ("nodes.solr", "pypes1.unknown_component"),
        ("wires.2", "pypes1.unknown_port"),
        ("wires.3", "pypes1.no_wire"),
    }


def test_filters_of_one_name_are_told_apart() -> None:
    twice = {"containers": [{"filterName": "Null"}, {"filterName": "Null"}, {"filterName": ""}], "wires": [None], "extra": 1}
    imported = from_obj(twice, "g", CATALOGUE)
    assert list(imported.graph.nodes) == ["null", "null-2"]
    assert [problem.code for problem in imported.report] == ["pypes1.no_filter", "pypes1.no_wire", "pypes1.left_out"]


@pytest.mark.parametrize("text", ["[", "[]", "{}", '{"containers": 1}'])
def test_what_is_no_project_is_refused(text: str) -> None:
    with pytest.raises(InvalidGraph):
        loads(text, "g", CATALOGUE)


def test_many_of_one_name_are_numbered_in_a_moment() -> None:
    containers = [{"filterName": "JSON", "name": "x"}] * 20_000 + [{"filterName": "JSON", "name": "x-7"}]
    names = list(from_obj({"containers": containers}, "n", CATALOGUE).graph.nodes)
    assert (names[:3], names[-2:]) == (["x", "x-2", "x-3"], ["x-20000", "x-7-2"])


@pytest.mark.parametrize("name", ["\u00fc", "\ud800", "///", "\x00"])
def test_a_component_of_which_no_name_can_be_made_is_a_filter(name: str) -> None:
    imported = from_obj({"containers": [{"filterName": name}, {"filterName": name}]}, "n", CATALOGUE)
    assert list(imported.graph.nodes) == ["filter", "filter-2"]


@pytest.mark.parametrize("position", [[float("nan"), 1], [float("inf"), 1], [10**400, 1], [True, 1]])
def test_a_place_that_is_none_is_left_out(position: list[float]) -> None:
    assert from_obj({"containers": [{"filterName": "JSON", "position": position}]}, "n", CATALOGUE).graph.layout == {}


def test_a_project_that_is_nested_without_end_is_none() -> None:
    with pytest.raises(InvalidGraph, match="nested too deeply"):
        loads("[" * 100_000, "n", CATALOGUE)
