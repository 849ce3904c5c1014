"""Composites put into graphs: names, wires, parameters, pools, and every way in which it cannot be done."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.errors import InvalidGraph, Problem
from pypes.graph import codec
from pypes.graph import composite as form
from pypes.graph.expansion import MOST_DEPTH, MOST_FILTERS, Expanded, Found, Use, expand_graph, named, named_in
from pypes.graph.model import Graph

CLEAN: dict[str, Any] = {
    "name": "clean",
    "inputs": {"in": "strip.in"},
    "outputs": {"out": "lower.out"},
    "parameters": {"fields": ["strip.fields", "lower.fields"]},
    "nodes": {
        "strip": {"component": "Strip", "params": {"fields": ["body"], "text": "${SECRET}"}},
        "lower": {"component": "Lower", "timeout_s": 3},
    },
    "wires": [["strip.out", "lower.in"]],
}


class Kept:
    """Composites by name, the versions of each in their order."""

    def __init__(self, *objs: dict[str, Any]) -> None:
        self._versions: dict[str, list[form.Composite]] = {}
        for obj in objs:
            self._versions.setdefault(obj["name"], []).append(form.from_obj({"pypes": 1, **obj}))

    def find(self, name: str, version: int | None) -> Found | None:
        versions = self._versions.get(name, [])
        number = len(versions) if version is None else version
        return Found(versions[number - 1], number) if 0 < number <= len(versions) else None


def graph(nodes: dict[str, Any], wires: list[list[str]] | None = None, **more: Any) -> Graph:
    return codec.from_obj({"pypes": 1, "name": "g", "nodes": nodes, "wires": wires or [], **more})


def expanded(nodes: dict[str, Any], wires: list[list[str]] | None = None, *objs: dict[str, Any], **more: Any) -> Expanded:
    return expand_graph(graph(nodes, wires, **more), Kept(*objs))


def wires_of(found: Expanded) -> list[str]:
    return [str(wire) for wire in found.graph.wires]


def problems(nodes: dict[str, Any], wires: list[list[str]] | None = None, *objs: dict[str, Any]) -> list[Problem]:
    with pytest.raises(InvalidGraph) as raised:
        expanded(nodes, wires, *objs)
    return list(raised.value.problems)


def test_a_graph_without_composites_stays_as_it_is() -> None:
    given = graph({"in": {"component": "Read"}, "out": {"component": "Keep"}}, [["in.out", "out.in"]])

    found = expand_graph(given, Kept(CLEAN))

    assert found.graph is given
    assert found.uses == ()
    assert found.retold(Problem("wires.0", "no")) == Problem("wires.0", "no")


def test_the_filters_of_a_composite_are_called_outer_inner_and_joined_to_the_wires() -> None:
    found = expanded(
        {"in": {"component": "Read"}, "tidy": {"component": "clean"}, "out": {"component": "Keep"}},
        [["in.out", "tidy.in"], ["tidy.out", "out.in"]],
        CLEAN,
    )

    assert list(found.graph.nodes) == ["in", "tidy:strip", "tidy:lower", "out"]
    assert found.graph.nodes["tidy:strip"].name == "tidy:strip"
    assert found.graph.nodes["tidy:lower"].timeout_s == 3
    assert sorted(wires_of(found)) == [
        "in.out -> tidy:strip.in",
        "tidy:lower.out -> out.in",
        "tidy:strip.out -> tidy:lower.in",
    ]
    assert found.uses == (Use("clean", 1, form.from_obj({"pypes": 1, **CLEAN}).digest),)
    assert codec.from_obj(codec.to_obj(found.graph), is_expanded=True).nodes == found.graph.nodes


def test_such_a_name_cannot_be_written() -> None:
    with pytest.raises(InvalidGraph):
        graph({"tidy:strip": {"component": "Strip"}})


def test_parameters_set_those_inside_and_what_is_not_given_stays() -> None:
    given = expanded({"tidy": {"component": "clean", "params": {"fields": ["title"]}}}, None, CLEAN)
    left = expanded({"tidy": {"component": "clean"}}, None, CLEAN)

    assert given.graph.nodes["tidy:strip"].params == {"fields": ["title"], "text": "${SECRET}"}
    assert given.graph.nodes["tidy:lower"].params == {"fields": ["title"]}
    assert left.graph.nodes["tidy:strip"].params["fields"] == ["body"]
    assert left.graph.nodes["tidy:lower"].params == {}


def test_a_composite_may_be_used_twice_and_each_has_filters_of_its_own() -> None:
    found = expanded({"a": {"component": "clean"}, "b": {"component": "clean"}}, [["a.out", "b.in"]], CLEAN)

    assert list(found.graph.nodes) == ["a:strip", "a:lower", "b:strip", "b:lower"]
    assert "a:lower.out -> b:strip.in" in wires_of(found)
    assert len(found.uses) == 1


def test_the_newest_version_is_taken_and_a_pin_names_another() -> None:
    newer = {**CLEAN, "nodes": {**CLEAN["nodes"], "more": {"component": "More"}}}

    assert "t:more" in expanded({"t": {"component": "clean"}}, None, CLEAN, newer).graph.nodes
    pinned = expanded({"t": {"component": "clean@1"}}, None, CLEAN, newer)
    assert "t:more" not in pinned.graph.nodes
    assert [use.version for use in pinned.uses] == [1]
    (problem,) = problems({"t": {"component": "clean@3"}}, None, CLEAN, newer)
    assert (problem.path, problem.code) == ("nodes.t.component", "composite.no_version")
    assert named("clean@12") == ("clean", 12)
    assert named("clean@x") == ("clean@x", None)


def test_composites_are_made_of_composites() -> None:
    whole = {
        "name": "whole",
        "inputs": {"in": "tidy.in"},
        "outputs": {"out": "last.out"},
        "parameters": {"words": "tidy.fields"},
        "nodes": {"tidy": {"component": "clean"}, "last": {"component": "Last"}},
        "wires": [["tidy.out", "last.in"]],
    }
    found = expanded(
        {"in": {"component": "Read"}, "w": {"component": "whole", "params": {"words": ["x"]}}},
        [["in.out", "w.in"]],
        CLEAN,
        whole,
    )

    assert list(found.graph.nodes) == ["in", "w:tidy:strip", "w:tidy:lower", "w:last"]
    assert "in.out -> w:tidy:strip.in" in wires_of(found)
    assert "w:tidy:lower.out -> w:last.in" in wires_of(found)
    assert found.graph.nodes["w:tidy:lower"].params == {"fields": ["x"]}
    assert [use.name for use in found.uses] == ["clean", "whole"]
    told = found.retold(Problem("nodes.w:tidy:strip.params.fields.0", "is wrong", "param.invalid"))
    assert told.path == "nodes.w.params.words.0"
    assert "parameter 'fields' of w:tidy:strip" in told.message


def test_one_input_leads_to_several_and_several_outputs_lead_to_one() -> None:
    fork = {
        "name": "fork",
        "inputs": {"in": ["a.in", "b.in"]},
        "outputs": {"out": ["a.out", "b.out"]},
        "nodes": {"a": {"component": "A"}, "b": {"component": "B"}},
    }
    found = expanded(
        {"in": {"component": "Read"}, "f": {"component": "fork"}, "out": {"component": "Keep"}},
        [["in.out", "f.in"], ["f.out", "out.in"]],
        fork,
    )

    assert sorted(wires_of(found)) == ["f:a.out -> out.in", "f:b.out -> out.in", "in.out -> f:a.in", "in.out -> f:b.in"]


def test_the_error_port_is_that_of_all_filters_inside_that_have_no_wire_for_it() -> None:
    caught = {
        **CLEAN,
        "nodes": {**CLEAN["nodes"], "mend": {"component": "Mend"}},
        "wires": [["strip.out", "lower.in"], ["strip.error", "mend.in"]],
    }
    nodes = {"tidy": {"component": "clean"}, "bad": {"component": "Keep"}}
    found = expanded(nodes, [["tidy.error", "bad.in"]], caught)

    to_bad = [str(wire) for wire in found.graph.wires if wire.target == "bad"]
    assert to_bad == ["tidy:lower.error -> bad.in", "tidy:mend.error -> bad.in"]

    own = {**CLEAN, "outputs": {"out": "lower.out", "error": "strip.error"}}
    found = expanded(nodes, [["tidy.error", "bad.in"]], own)
    assert [str(wire) for wire in found.graph.wires if wire.target == "bad"] == ["tidy:strip.error -> bad.in"]


def test_pools_of_a_composite_are_its_own_and_those_of_the_graph_stay() -> None:
    pooled = {
        **CLEAN,
        "pools": {"two": {"processes": 2}},
        "nodes": {"strip": {"component": "Strip", "pool": "two"}, "lower": {"component": "Lower", "pool": "shared"}},
    }
    found = expanded({"t": {"component": "clean"}}, None, pooled, pools={"shared": {"threads": 2}})

    assert set(found.graph.pools) == {"t:two", "shared"}
    assert found.graph.nodes["t:strip"].pool == "t:two"
    assert found.graph.nodes["t:lower"].pool == "shared"
    told = found.retold(Problem("pools.t:two", "no filter runs in it", "graph.unused_pool"))
    assert told.path == "nodes.t"
    assert "inside, at t, pools.two" in told.message


def test_filters_inside_are_drawn_from_where_the_composite_is() -> None:
    drawn = {**CLEAN, "layout": {"strip": [100, 50], "lower": [300, 80]}}
    found = expanded({"t": {"component": "clean"}}, None, drawn, layout={"t": [10, 20]})

    assert found.graph.layout == {"t:strip": (10, 20), "t:lower": (210, 50)}


def test_a_subgraph_names_a_composite_or_has_it_within() -> None:
    named_one = {"component": "Subgraph", "params": {"graph": "clean@1", "params": {"fields": ["t"]}}}
    within = {"component": "Subgraph", "params": {"graph": {**CLEAN, "name": "any"}, "params": {"fields": ["t"]}}}
    for node in (named_one, within):
        found = expanded({"in": {"component": "Read"}, "s": node}, [["in.out", "s.in"]], CLEAN)
        assert list(found.graph.nodes) == ["in", "s:strip", "s:lower"]
        assert found.graph.nodes["s:lower"].params == {"fields": ["t"]}
        told = found.retold(Problem("nodes.s:strip.params.fields", "is wrong"))
        assert told.path == "nodes.s.params.params.fields"
    assert found.uses == ()
    assert named_in(named_one) == "clean@1"
    assert named_in(within) == ""
    assert named_in({"component": "clean"}) == "clean"


def test_a_subgraph_that_runs_elsewhere_is_no_part_of_this_graph() -> None:
    found = expanded({"s": {"component": "Subgraph", "params": {"graph": "clean", "url": "http://other"}}}, None, CLEAN)

    assert list(found.graph.nodes) == ["s"]


@pytest.mark.parametrize(
    ("params", "path", "code"),
    [
        ({}, "nodes.s.params.graph", "graph.unknown_composite"),
        ({"graph": "none"}, "nodes.s.params.graph", "graph.unknown_composite"),
        ({"graph": "clean", "param": {}}, "nodes.s.params.param", "param.unknown"),
        ({"graph": "clean", "params": 1}, "nodes.s.params.params", "param.invalid"),
        ({"graph": "clean", "params": {"field": []}}, "nodes.s.params.params.field", "param.unknown"),
        ({"graph": {"nodes": {"a": {}}}}, "nodes.s.params.graph.nodes.a.component", "graph.form"),
    ],
)
def test_parameters_of_a_subgraph_that_are_wrong_are_named(params: dict[str, Any], path: str, code: str) -> None:
    found = problems({"s": {"component": "Subgraph", "params": params}}, None, CLEAN)

    assert [(problem.path, problem.code) for problem in found] == [(path, code)]


def test_ports_and_parameters_that_there_are_not_are_named_at_their_places() -> None:
    found = problems(
        {"in": {"component": "Read"}, "tidy": {"component": "clean", "params": {"field": 1}, "pool": "x"}},
        [["in.out", "tidy.inn"], ["tidy.lost", "in.in"]],
        CLEAN,
    )

    assert [(problem.path, problem.code) for problem in found] == [
        ("nodes.tidy.pool", "graph.composite_option"),
        ("nodes.tidy.params.field", "param.unknown"),
        ("wires.0", "graph.unknown_port"),
        ("wires.1", "graph.unknown_port"),
    ]
    assert "did you mean 'fields'?" in found[1].message
    assert "did you mean 'in'?" in found[2].message
    assert "it has out, error" in found[3].message


def test_what_is_wrong_within_a_composite_is_told_of_the_filter_of_the_graph() -> None:
    outer = {
        "name": "outer",
        "inputs": {"in": "tidy.nothing"},
        "nodes": {"tidy": {"component": "clean", "params": {"field": 1}}, "x": {"component": "X"}},
        "wires": [["tidy.lost", "x.in"]],
    }
    found = problems({"o": {"component": "outer"}}, None, CLEAN, outer)

    assert {problem.path for problem in found} == {"nodes.o"}
    told = "\n".join(problem.message for problem in found)
    assert "inside, at o, nodes.tidy.params.field" in told
    assert "inside, at o, wires.0" in told
    assert "inside, at o, inputs: a port of it leads to tidy.nothing" in told


def test_problems_of_wires_are_told_where_they_are_written() -> None:
    found = expanded(
        {"in": {"component": "Read"}, "tidy": {"component": "clean"}, "out": {"component": "Keep"}},
        [["in.out", "tidy.in"], ["tidy.out", "out.inn"]],
        CLEAN,
    )
    by_wire = {str(wire): found.retold(Problem(f"wires.{n}", "is wrong")) for n, wire in enumerate(found.graph.wires)}

    assert by_wire["tidy:lower.out -> out.inn"].path == "wires.1"
    assert by_wire["tidy:strip.out -> tidy:lower.in"] == Problem("nodes.tidy", "inside, at tidy, wires.0: is wrong")
    assert found.retold(Problem("nodes.tidy:lower", "no")) == Problem("nodes.tidy", "inside, at tidy:lower: no")
    assert found.retold(Problem("nodes.in.params.x", "no")) == Problem("nodes.in.params.x", "no")


def test_a_composite_in_itself_is_refused_with_the_way() -> None:
    one = {"name": "one", "nodes": {"x": {"component": "two"}}}
    two = {"name": "two", "nodes": {"y": {"component": "Subgraph", "params": {"graph": {"nodes": {"z": {"component": "one"}}}}}}}
    (problem,) = problems({"o": {"component": "one"}}, None, one, two)

    assert problem.code == "composite.recursive"
    assert "one -> two -> Subgraph -> one" in problem.message


def test_composites_within_each_other_have_a_bound() -> None:
    deep = [{"name": f"c{n}", "nodes": {"x": {"component": f"c{n + 1}"}}} for n in range(MOST_DEPTH)]
    last = {"name": f"c{MOST_DEPTH}", "nodes": {"x": {"component": "X"}}}

    assert len(expanded({"o": {"component": "c1"}}, None, *deep, last).graph.nodes) == 1
    (problem,) = problems({"o": {"component": "c0"}}, None, *deep, last)
    assert problem.code == "composite.too_deep"


def test_a_graph_may_not_grow_without_bound() -> None:
    wide = [{"name": f"c{n}", "nodes": {f"x{i}": {"component": f"c{n + 1}"} for i in range(20)}} for n in range(4)]
    last = {"name": "c4", "nodes": {"x": {"component": "X"}}}

    found = problems({"o": {"component": "c0"}}, None, *wide, last)
    assert found[-1].code == "graph.too_large"
    assert str(MOST_FILTERS) in found[-1].message


def test_a_whole_name_has_a_bound() -> None:
    long = {"name": "long", "nodes": {"y" * 60: {"component": "X"}}}
    outer = {"name": "outer", "nodes": {"x" * 60: {"component": "long"}}}
    most = {"name": "most", "nodes": {"w" * 60: {"component": "outer"}}}

    (problem,) = problems({"v" * 60: {"component": "most"}}, None, long, outer, most)
    assert (problem.path, problem.code) == (f"nodes.{'v' * 60}", "graph.name")


def test_a_composite_that_is_called_like_a_component_is_refused() -> None:
    with pytest.raises(InvalidGraph) as raised:
        expand_graph(graph({"t": {"component": "clean"}}), Kept(CLEAN), {"clean"})

    assert raised.value.problems[0].code == "composite.name_taken"
