"""The part of a graph that is reached, and what is wrong with it, at the places of the whole."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.cli.catalogue import find_components
from pypes.graph.codec import from_obj
from pypes.graph.model import Graph
from pypes.graph.validation import validate
from pypes.registry import Catalogue
from pypes.runtime.graphs.reached import Part, part_of

NODES = {"json": "JSON", "text": "Text", "one": "SetField", "two": "SetField", "loose": "Gone", "end": "Null"}
WIRES = [["loose.out", "two.in"], ["json.out", "one.in"], ["one.out", "end.in"], ["two.out", "end.in"]]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return find_components(())


def graph(*wires: list[str], **params: Any) -> Graph:
    own = {"field": "f", "value": 1}
    nodes = {
        name: {"component": kind, "params": params.get(name, own if kind == "SetField" else {})} for name, kind in NODES.items()
    }
    return from_obj({"pypes": 1, "name": "g", "nodes": nodes, "wires": [*WIRES, *wires]})


def problems(part: Part, catalogue: Catalogue, *, enters: bool = True) -> set[tuple[str, str]]:
    found = part.problems(lambda own: validate(own, catalogue, {}), enters=enters)
    return {(problem.path, problem.code) for problem in found}


def test_what_adapters_lead_to_is_reached(catalogue: Catalogue) -> None:
    part = part_of(graph(two={"nope": 1}), catalogue)
    assert set(part.graph.nodes) - part.absent == {"json", "one", "end"}
    # another one that leads to the same place stays for its wire
    assert (set(part.absent), part.left_out) == ({"two"}, ("text", "two", "loose"))
    assert [str(wire) for wire in part.graph.wires] == ["json.out -> one.in", "one.out -> end.in", "two.out -> end.in"]
    assert problems(part, catalogue) == set()


def test_adapters_without_wires_count_where_there_are_no_others(catalogue: Catalogue) -> None:
    bare = from_obj({"pypes": 1, "name": "g", "nodes": {"json": {"component": "JSON"}, "one": {"component": "SetField"}}})
    part = part_of(bare, catalogue)
    assert (set(part.graph.nodes), part.left_out) == ({"json"}, ("one",))
    assert problems(part, catalogue) == set()


def test_from_a_filter_only_what_is_behind_it_is_reached(catalogue: Catalogue) -> None:
    part = part_of(graph(one={"nope": 1}), catalogue, "two")
    assert (set(part.graph.nodes) - part.absent, set(part.absent)) == ({"two", "end"}, {"loose", "one"})
    assert problems(part, catalogue, enters=False) == set()


def test_problems_are_told_at_the_places_of_the_whole_graph(catalogue: Catalogue) -> None:
    part = part_of(graph(["one.side", "end.in"], ["gone.out", "one.in"], one={"nope": 1}), catalogue)
    assert problems(part, catalogue) == {
        ("nodes.one.params.nope", "param.unknown"),
        ("wires.4", "graph.unknown_port"),
        ("wires.5", "graph.unknown_node"),
    }
    nothing = from_obj({"pypes": 1, "name": "g", "nodes": {"one": {"component": "Null"}}})
    assert problems(part_of(nothing, catalogue), catalogue) == {("nodes", "graph.no_adapter")}
