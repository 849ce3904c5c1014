"""Composites in their JSON form: read with everything that is wrong named, and written in one canonical way."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.errors import InvalidGraph
from pypes.graph import composite as form
from pypes.graph.composite import CompositeParameter, End

CLEAN: dict[str, Any] = {
    "pypes": 1,
    "name": "clean",
    "description": "Texts in one form",
    "inputs": {"in": "strip.in"},
    "outputs": {"out": "lower.out", "rest": ["strip.rest", "lower.rest"]},
    "parameters": {"fields": ["strip.fields", "lower.fields"], "case": {"sets": "lower.case", "description": "Case."}},
    "nodes": {"lower": {"component": "Lower", "params": {}}, "strip": {"component": "Strip", "params": {"fields": ["a"]}}},
    "wires": [["strip.out", "lower.in"]],
    "layout": {"strip": [0, 0]},
}


def test_one_is_read_and_written_in_the_same_form() -> None:
    read = form.from_obj(CLEAN)

    assert read.name == "clean"
    assert read.inputs == {"in": (End("strip", "in"),)}
    assert read.outputs["rest"] == (End("strip", "rest"), End("lower", "rest"))
    assert read.parameters["case"] == CompositeParameter((End("lower", "case"),), "Case.")
    assert form.to_obj(read) == CLEAN
    assert form.loads(form.dumps(read)) == read
    assert list(form.to_obj(read))[:6] == ["pypes", "name", "description", "inputs", "outputs", "parameters"]


def test_a_digest_tells_what_it_is_made_of_and_not_how_it_is_drawn_or_described() -> None:
    read = form.from_obj(CLEAN)

    assert form.from_obj({**CLEAN, "layout": {"strip": [9, 9]}, "description": ""}).digest == read.digest
    assert form.from_obj({**CLEAN, "inputs": {"into": "strip.in"}}).digest != read.digest


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"routes": ["docs"]}, "routes", "unknown key; a composite has pypes, name"),
        ({"inputs": {"in": "strap.in"}}, "inputs.in", "there is no filter 'strap' inside"),
        ({"inputs": {"in": "strip"}}, "inputs.in", 'must be "filter.name"'),
        ({"inputs": {"in": []}}, "inputs.in", 'must be "filter.name"'),
        ({"inputs": {"a b": "strip.in"}}, "inputs.a b", "is no name"),
        ({"inputs": "strip.in"}, "inputs", "must be an object"),
        ({"outputs": {"out": ["lower.out", "lower.out"]}}, "outputs.out", "listed twice"),
        ({"parameters": {"case": {"sets": "lower.case", "type": "text"}}}, "parameters.case.type", "unknown key"),
        ({"parameters": {"case": {"description": "Case."}}}, "parameters.case.sets", 'must be "filter.name"'),
        ({"parameters": {"case": {"sets": "lower.case", "description": 1}}}, "parameters.case.description", "must be text"),
        ({"nodes": {"a:b": {"component": "Strip"}}, "inputs": {}, "outputs": {}, "parameters": {}}, "nodes.a:b", "is no name"),
        ({"nodes": {}, "inputs": {}, "outputs": {}, "parameters": {}}, "nodes", "without filters"),
        ({"name": "a b"}, "name", "needs a name"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(InvalidGraph) as raised:
        form.from_obj({**CLEAN, **change})

    assert any(problem.path == path and said in problem.message for problem in raised.value.problems), raised.value


def test_what_is_no_object_and_keys_that_occur_twice_are_refused() -> None:
    with pytest.raises(InvalidGraph, match="JSON object"):
        form.from_obj([])
    with pytest.raises(InvalidGraph) as raised:
        form.loads('{"pypes": 1, "name": "a", "nodes": {"x": {"component": "X"}, "x": {"component": "Y"}}}')
    assert raised.value.problems[0].path == "x"
