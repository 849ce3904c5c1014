"""Composites described as components are, and checked before they are kept."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from pypes.component import Adapter, Publisher, Transformer
from pypes.component.parameters import Help, Parameters
from pypes.errors import Problem
from pypes.graph import composite as form
from pypes.graph.composite_spec import problems_of, spec_of
from pypes.graph.expansion import Found, Overlaid
from pypes.graph.spec import describe
from pypes.graph.validation import validate


class Read(Adapter):
    """Reads."""


class Change(Transformer):
    """Changes."""

    outputs = {"out": "Changed", "same": "Unchanged"}

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields.")]
        size: Annotated[int, Help("Size.", ge=1)] = 1


class Keep(Publisher):
    """Keeps."""

    privileged = True

    def process_batch(self, packets: list[Any]) -> None: ...


CATALOGUE = {cls.__name__: describe(cls) for cls in (Read, Change, Keep)}
TWICE: dict[str, Any] = {
    "pypes": 1,
    "name": "twice",
    "description": "Changes twice",
    "inputs": {"in": "a.in"},
    "outputs": {"out": "b.out", "same": ["a.same", "b.same"], "error": "a.error"},
    "parameters": {"fields": ["a.fields", "b.fields"], "size": {"sets": "b.size", "description": "How much."}},
    "nodes": {"a": {"component": "Change"}, "b": {"component": "Change", "params": {"size": 7}}},
    "wires": [["a.out", "b.in"]],
}


class Kept:
    """Composites that are kept."""

    def __init__(self, *objs: dict[str, Any]) -> None:
        self._kept = {obj["name"]: form.from_obj(obj) for obj in objs}

    def find(self, name: str, version: int | None) -> Found | None:
        return Found(self._kept[name], 1) if name in self._kept and version in (None, 1) else None


def problems(obj: dict[str, Any], *others: dict[str, Any]) -> list[Problem]:
    composite = form.from_obj(obj)
    library = Overlaid(composite, Kept(*others))
    return problems_of(composite, library, CATALOGUE, lambda graph: validate(graph, CATALOGUE))


def test_ports_and_parameters_are_those_inside() -> None:
    spec = spec_of(Found(form.from_obj(TWICE), 3), Kept(), CATALOGUE)

    assert (spec.name, spec.kind, spec.version, spec.doc) == ("twice", "COMPOSITE", "3", "Changes twice")
    assert dict(spec.inputs) == {"in": "Default input port"}
    assert dict(spec.outputs) == {"out": "Changed", "same": "Unchanged"}
    assert spec.schema["required"] == ["fields"]
    assert spec.schema["properties"]["fields"]["type"] == "array"
    assert spec.schema["properties"]["size"] == {"type": "integer", "minimum": 1, "default": 7, "description": "How much."}
    assert not spec.privileged


def test_those_of_composites_inside_count_too() -> None:
    outer = {
        "pypes": 1,
        "name": "outer",
        "inputs": {"in": "t.in"},
        "outputs": {"same": "s.same"},
        "parameters": {"size": "t.size", "words": "s.fields"},
        "nodes": {
            "t": {"component": "twice", "params": {"fields": ["x"]}},
            "s": {"component": "Subgraph", "params": {"graph": {key: TWICE[key] for key in TWICE if key != "name"}}},
            "k": {"component": "Keep"},
        },
        "wires": [["t.out", "s.in"], ["s.out", "k.in"]],
    }
    spec = spec_of(Found(form.from_obj(outer)), Kept(TWICE), CATALOGUE)

    assert dict(spec.outputs) == {"same": "Unchanged"}
    assert spec.schema["properties"]["size"]["default"] == 7
    assert spec.schema["required"] == ["words"]
    assert spec.privileged
    assert problems(outer, TWICE) == []


def test_what_is_given_from_outside_may_be_missing_and_nothing_has_to_come_in_or_go_out() -> None:
    assert problems(TWICE) == []


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"name": "Change"}, "name", "composite.name_taken"),
        ({"name": "Subgraph"}, "name", "composite.name_taken"),
        ({"parameters": {}}, "nodes.a.params.fields", "param.missing"),
        ({"inputs": {"in": "a.inn"}}, "inputs.in", "graph.unknown_port"),
        ({"outputs": {"out": "a.lost"}}, "outputs.out", "graph.unknown_port"),
        ({"parameters": {**TWICE["parameters"], "x": "a.no"}}, "parameters.x", "param.unknown"),
        ({"wires": [["a.out", "b.in"], ["b.out", "a.in"]]}, "wires", "graph.cycle"),
        ({"nodes": {**TWICE["nodes"], "c": {"component": "None"}}}, "nodes.c.component", "graph.unknown_component"),
        ({"nodes": {**TWICE["nodes"], "c": {"component": "twice"}}}, "nodes.c.component", "composite.recursive"),
        (
            {"nodes": {**TWICE["nodes"], "b": {"component": "Change", "params": {"size": 0}}}},
            "nodes.b.params.size",
            "param.invalid",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: dict[str, Any], path: str, code: str) -> None:
    found = problems({**TWICE, **change})

    assert (path, code) in [(problem.path, problem.code) for problem in found], found
