"""Every kind of problem a graph can have, each with its place, its code and what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any

import pytest

from pypes.component import Adapter, Component, Operator, Publisher, Source, Transformer
from pypes.component.parameters import Help, Parameters
from pypes.errors import InvalidInput
from pypes.graph.codec import from_obj
from pypes.graph.spec import ComponentSpec, describe
from pypes.graph.validation import expand, validate


class Read(Adapter):
    """Reads."""


class Change(Transformer):
    """Changes."""

    outputs = {"out": "Changed", "same": "Unchanged"}

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields.")]
        size: Annotated[int, Help("Size.", ge=1)] = 1
        text: str = ""


class Keep(Publisher):
    """Keeps."""

    def process_batch(self, packets: list[Any]) -> None: ...


class Pair(Operator):
    """Pairs."""

    inputs = {"in": "", "in2": ""}

    def process_batch(self, packets: list[Any]) -> None: ...


class Fetch(Transformer):
    """Fetches for itself."""

    inputs = {}


class Pages(Source):
    """Fetches documents."""

    def fetch(self, cursor):  # type: ignore[no-untyped-def]
        yield [], None


CATALOGUE: dict[str, ComponentSpec] = {cls.__name__: describe(cls) for cls in (Read, Change, Keep, Pair, Fetch, Pages)}
CATALOGUE["Crashing"] = ComponentSpec("Crashing", distribution="other", version="2.0", error="killed by SIGABRT")

CATALOGUE["Lacking"] = replace(
    CATALOGUE["Keep"],
    name="Lacking",
    needs={"numpy": "pip install numpy"},
    missing=("numpy",),
    error="it needs numpy, not installed here; run pip install numpy",
)

GOOD: dict[str, Any] = {
    "nodes": {
        "read": {"component": "Read"},
        "change": {"component": "Change", "params": {"fields": ["a"]}},
        "keep": {"component": "Keep"},
    },
    "wires": [["read.out", "change.in"], ["change.out", "keep.in"], ["change.error", "keep.in"]],
}


def problems(environ: dict[str, str] | None = None, **change: Any) -> list[tuple[str, str]]:
    """Paths and codes of the problems of ``GOOD`` with other ``wires``, and ``nodes`` added or (``None``) removed."""
    nodes = {name: node for name, node in {**GOOD["nodes"], **change.get("nodes", {})}.items() if node is not None}
    graph = from_obj({"pypes": 1, "name": "g", "nodes": nodes, "wires": change.get("wires", GOOD["wires"])})
    found = validate(graph, CATALOGUE, environ)
    for problem in found:
        assert re.search(r"[;:?]|must|is ", problem.message), "it does not say what to do"
    return [(p.path, p.code) for p in found]


def messages(**change: Any) -> str:
    graph = from_obj(
        {"pypes": 1, "name": "g", "nodes": {**GOOD["nodes"], **change.get("nodes", {})}, "wires": change.get("wires", [])}
    )
    return "\n".join(p.message for p in validate(graph, CATALOGUE))


def change_node(**params: Any) -> dict[str, Any]:
    return {"change": {"component": "Change", "params": {"fields": ["a"], **params}}}


def test_a_good_graph_has_none() -> None:
    assert problems() == []


def test_unknown_component() -> None:
    assert problems(nodes={"keep": {"component": "keeep"}}) == [("nodes.keep.component", "graph.unknown_component")]
    assert "did you mean 'Keep'?" in messages(nodes={"keep": {"component": "keeep"}})


def test_broken_component() -> None:
    assert problems(nodes={"keep": {"component": "Crashing"}}) == [("nodes.keep.component", "component.broken")]
    assert "of other 2.0 cannot be used: killed by SIGABRT" in messages(nodes={"keep": {"component": "Crashing"}})


def test_a_component_whose_library_is_missing() -> None:
    lacking = {"keep": {"component": "Lacking"}}
    assert problems(nodes=lacking) == [("nodes.keep.component", "component.missing_library")]
    assert "cannot be used: it needs numpy, not installed here; run pip install numpy" in messages(nodes=lacking)


@pytest.mark.parametrize(
    ("params", "path", "code"),
    [
        ({"fields": "a"}, "fields", "param.invalid"),
        ({"fields": ["a", 1]}, "fields.1", "param.invalid"),
        ({"size": 0}, "size", "param.invalid"),
        ({"size": "${SIZE} "}, None, None),
        ({"sise": 1}, "sise", "param.unknown"),
        ({"fields": None}, "fields", "param.invalid"),
    ],
)
def test_bad_parameters(params: dict[str, Any], path: str | None, code: str) -> None:
    expected = [(f"nodes.change.params.{path}", code)] if path else []
    assert problems(nodes=change_node(**params)) == expected


def test_missing_parameter() -> None:
    assert problems(nodes={"change": {"component": "Change"}}) == [("nodes.change.params.fields", "param.missing")]


def test_a_misspelt_parameter_is_guessed() -> None:
    assert "did you mean 'size'?" in messages(nodes=change_node(sise=1))


def test_environment() -> None:
    assert problems({"A": "x"}, nodes=change_node(text="${A}")) == []
    assert problems({}, nodes=change_node(text="${A}")) == [("nodes.change.params.text", "param.environment")]
    assert problems({"A": "x"}, nodes=change_node(size="${A}")) == [("nodes.change.params.size", "param.invalid")]


def test_unknown_filter() -> None:
    wires = [*GOOD["wires"], ["red.out", "keep.in"], ["read.out", "keeper.in"]]
    assert problems(wires=wires) == [("wires.3", "graph.unknown_node"), ("wires.4", "graph.unknown_node")]
    assert "did you mean 'keep'?" in messages(wires=wires)


def test_unknown_port() -> None:
    wires = [["read.outt", "change.in"], ["change.out", "keep.inn"]]
    assert problems(wires=wires) == [("wires.0", "graph.unknown_port"), ("wires.1", "graph.unknown_port")]
    assert "did you mean 'out'?" in messages(wires=wires)
    assert "it has none" not in messages(wires=wires)
    assert ("wires.3", "graph.unknown_port") in problems(wires=[*GOOD["wires"], ["read.out", "change.error"]])


def test_duplicate_wire() -> None:
    assert problems(wires=[*GOOD["wires"], ["read.out", "change.in"]]) == [("wires.3", "graph.duplicate_wire")]


def test_every_cycle_is_spelled_out() -> None:
    nodes = {name: {"component": "Change", "params": {"fields": []}} for name in "abcd"}
    rings = [["a.out", "b.in"], ["b.out", "a.in"], ["c.out", "d.in"], ["d.out", "c.in"], ["change.out", "change.in"]]
    wires = [*GOOD["wires"], *rings, ["change.out", "a.in"], ["change.out", "c.in"]]
    assert problems(nodes=nodes, wires=wires) == [("wires", "graph.cycle")] * 3
    assert "change -> change" in messages(nodes=nodes, wires=wires)
    assert "a -> b -> a" in messages(nodes=nodes, wires=wires)


def test_a_filter_that_nothing_feeds() -> None:
    nodes = {"alone": {"component": "Change", "params": {"fields": []}}}
    assert problems(nodes=nodes, wires=[*GOOD["wires"], ["alone.out", "keep.in"]]) == [("nodes.alone", "graph.unreachable")]


def test_a_component_without_inputs_feeds_itself() -> None:
    assert problems(nodes={"read": {"component": "Fetch"}}) == []


def test_no_adapter() -> None:
    assert problems(nodes={"read": None}, wires=[["change.out", "keep.in"]]) == [("nodes", "graph.no_adapter")]


def test_no_publisher() -> None:
    assert problems(nodes={"keep": None}, wires=[["read.out", "change.in"]]) == [("nodes", "graph.no_publisher")]


def test_an_adapter_that_leads_to_no_publisher() -> None:
    assert problems(nodes={"other": {"component": "Read"}}) == [("nodes.other", "graph.dead_end")]


def test_a_source_without_a_wire_feeds_the_adapters() -> None:
    pages = {"pages": {"component": "Pages"}}
    assert problems(nodes=pages) == []
    # where there is none, and where a wire leads to the only one
    assert problems(nodes={**pages, "read": None}, wires=[["change.out", "keep.in"]]) == [
        ("nodes.change", "graph.unreachable"),
        ("nodes.keep", "graph.unreachable"),
        ("nodes.pages", "graph.dead_end"),
    ]
    assert problems(nodes={**pages, "other": {"component": "Pages"}}, wires=[*GOOD["wires"], ["other.out", "read.in"]]) == [
        ("nodes.pages", "graph.dead_end")
    ]


def test_an_empty_graph() -> None:
    empty = dict.fromkeys(GOOD["nodes"])
    assert problems(nodes=empty, wires=[]) == [("nodes", "graph.no_adapter"), ("nodes", "graph.no_publisher")]


def test_all_at_once() -> None:
    nodes = {"keep": {"component": "Crashing"}, **change_node(size=0, more=1)}
    wires = [["read.nope", "change.in"], ["change.out", "change.in"]]
    assert sorted(problems(nodes=nodes, wires=wires)) == [
        ("nodes.change.params.more", "param.unknown"),
        ("nodes.change.params.size", "param.invalid"),
        ("nodes.keep.component", "component.broken"),
        ("nodes.read", "graph.dead_end"),
        ("wires", "graph.cycle"),
        ("wires.0", "graph.unknown_port"),
    ]


class TestExpand:
    def test_everywhere_in_texts(self) -> None:
        params = {"a": "${X}-${Y_1}", "b": ["${X}", 1, {"c": "${X}"}], "${X}": True, "d": "$X {X} ${1}"}
        assert expand(params, {"X": "x", "Y_1": "y"}) == {"a": "x-y", "b": ["x", 1, {"c": "x"}], "${X}": True, "d": "$X {X} ${1}"}

    def test_values_are_not_expanded_again(self) -> None:
        assert expand({"a": "${X}"}, {"X": "${Y}", "Y": "y"}) == {"a": "${Y}"}

    def test_escape(self) -> None:
        assert expand({"a": "$${X}"}, {}) == {"a": "${X}"}

    def test_what_is_missing_is_named(self) -> None:
        with pytest.raises(InvalidInput, match="not set: A, B") as raised:
            expand({"a": "${A}", "b": ["${B}${A}"]}, {})
        assert raised.value.code == "param.environment"


def test_original_style_parameters_are_checked() -> None:
    class Original(Component):
        __metatype__ = "TRANSFORMER"

        def __init__(self) -> None:
            Component.__init__(self)
            self.set_parameter("case", "lower", ["lower", "upper"])

        def run(self) -> None: ...

    catalogue = {**CATALOGUE, "Original": describe(Original)}
    obj = {"pypes": 1, "name": "g", "nodes": {**GOOD["nodes"], "change": {"component": "Original", "params": {"case": "x"}}}}
    found = validate(from_obj({**obj, "wires": GOOD["wires"]}), catalogue)
    assert [(p.path, p.code) for p in found] == [("nodes.change.params.case", "param.invalid")]


def test_options_of_batches_on_a_component_that_gets_none() -> None:
    change = {"component": "Change", "params": {"fields": ["a"]}, "batch_size": 10, "batch_s": 0}
    assert problems(nodes={"change": change}) == [("nodes.change.batch_size", "graph.no_batches")]
    assert "Change gets no batches" in messages(nodes={"change": change})
    assert "Leave out batch_size, batch_s" in messages(nodes={"change": change})
    assert problems(nodes={"keep": {"component": "Keep", "batch_size": 10, "batch_bytes": 1000, "batch_s": 0.5}}) == []


def test_options_of_batches_on_a_filter_that_gets_one_document_at_a_time() -> None:
    nodes = {"pair": {"component": "Pair", "batch_s": 1.0}}
    wires = [["read.out", "change.in"], ["change.out", "pair.in"], ["pair.out", "keep.in"]]
    assert problems(nodes=nodes, wires=wires) == []
    assert problems(nodes=nodes, wires=[*wires, ["read.out", "pair.in2"]]) == [("nodes.pair.batch_s", "graph.no_batches")]


def test_a_component_whose_schema_is_wrong_is_a_problem_of_its_filter() -> None:
    class Odd(Transformer):
        """Odd."""

        class Params(Parameters):
            text: Annotated[str, Help("Text.", pattern=r"^[^\0]*$")] = ""

    graph = from_obj({"pypes": 1, "name": "g", "nodes": {"odd": {"component": "Odd"}}, "wires": []})
    found = [problem for problem in validate(graph, {"Odd": describe(Odd)}) if problem.code == "component.schema"]
    assert [problem.path for problem in found] == ["nodes.odd.params"]
    assert "is not a" in found[0].message
