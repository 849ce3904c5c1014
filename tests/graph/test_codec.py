"""Graphs as JSON: round trip, canonical text, and every mistake of form named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.graph_limits import GraphLimits
from pypes.core.pools import LEAST_MEMORY, Pool
from pypes.errors import InvalidGraph
from pypes.graph.codec import dumps, from_obj, loads, to_obj
from pypes.graph.model import Comment, Graph, GraphNode, Wire

names = st.text("abcXYZ019_-", min_size=1, max_size=8)
ports = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=6,
)
processes = st.builds(
    Pool,
    processes=st.integers(1, 64),
    stride=st.none() | st.integers(1, 1024),
    timeout_s=st.none() | st.floats(0.1, 90),
    memory=st.none() | st.integers(LEAST_MEMORY, 2**40),
    python=st.sampled_from(["", "/opt/models/bin/python"]),
)
texts = st.text(st.characters(codec="utf-8"))
places = st.tuples(st.integers(-(2**63), 2**64 - 1), st.floats(0, 999))
sizes = st.tuples(st.integers(1, 999), st.floats(0.5, 999))
pools = processes | st.builds(Pool, threads=st.integers(1, 256))
params = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), json_values, max_size=3)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = draw(st.lists(names, unique=True, min_size=1, max_size=6))
    return Graph(
        name=draw(names),
        nodes={
            n: GraphNode(
                n,
                draw(st.text(st.characters(codec="utf-8"), min_size=1)),
                draw(params),
                draw(st.none() | st.integers(1, 90) | st.floats(0.1, 90)),
                draw(st.none() | st.integers(1, 9)),
                pool=draw(st.none() | names | pools),
            )
            for n in nodes
        },
        wires=tuple(draw(st.lists(st.builds(Wire, st.sampled_from(nodes), ports, st.sampled_from(nodes), ports), max_size=6))),
        description=draw(st.text(st.characters(codec="utf-8"))),
        routes=tuple(draw(st.lists(names, unique=True, max_size=3))),
        order_by=draw(st.sampled_from(["", "id"])),
        inherit=tuple(draw(st.lists(st.sampled_from(["acl", "tenant", "source"]), unique=True))),
        weight=draw(st.integers(1, 10)),
        max_instances=draw(st.none() | st.integers(1, 100)),
        trace=draw(st.sampled_from([0.0, 0.001, 1.0])),
        provenance=draw(st.booleans()),
        limits=draw(
            st.builds(GraphLimits, receipts_s=st.none() | st.floats(0.1, 9e9), disk_bytes=st.none() | st.integers(1, 2**63 - 1))
        ),
        schedule=draw(st.sampled_from(["", "*/5 * * * *"])),
        pools=draw(st.dictionaries(names, pools, max_size=2)),
        missed=draw(st.sampled_from(["once", "skip"])),
        firing=draw(st.sampled_from(["node", "fleet"])),
        layout=draw(st.dictionaries(st.sampled_from(nodes), places, max_size=3)),
        comments=draw(st.dictionaries(names, st.builds(Comment, texts, places, st.none() | sizes), max_size=2)),
        tests=tuple(draw(st.lists(params, max_size=2))),
    )


@given(graphs())
def test_what_was_written_is_read_again(graph: Graph) -> None:
    again = loads(dumps(graph))
    assert (again.name, again.description, dict(again.nodes), dict(again.layout)) == (
        graph.name,
        graph.description,
        dict(graph.nodes),
        dict(graph.layout),
    )
    assert dict(again.comments) == dict(graph.comments)
    assert sorted(map(str, again.wires)) == sorted(map(str, graph.wires))
    assert sorted(again.routes) == sorted(graph.routes)
    assert sorted(again.inherit) == sorted(graph.inherit)
    assert again.tests == graph.tests
    assert from_obj(to_obj(graph)) == again


@given(graphs(), st.randoms())
def test_equal_graphs_give_equal_text(graph: Graph, random: Any) -> None:
    nodes, wires = list(graph.nodes.items()), list(graph.wires)
    random.shuffle(nodes)
    random.shuffle(wires)
    shuffled = replace(graph, nodes=dict(nodes), wires=tuple(wires))
    assert dumps(shuffled) == dumps(graph)
    assert dumps(loads(dumps(graph))) == dumps(graph)


def test_one_line_per_filter_and_wire() -> None:
    graph = Graph(
        "search",
        {"index": GraphNode("index", "SQLiteSearch", {"path": "a.db"}), "html": GraphNode("html", "HTML")},
        (Wire("html", "out", "index", "in"),),
        layout={"html": (80, 120)},
        comments={"b": Comment("slow", (8, 8), (160, 80)), "a": Comment("two\nlines", (0, 0))},
    )
    assert dumps(graph) == (
        '{"pypes": 1,\n'
        ' "name": "search",\n'
        ' "nodes": {\n'
        '  "html": {"component": "HTML", "params": {}},\n'
        '  "index": {"component": "SQLiteSearch", "params": {"path": "a.db"}}\n'
        " },\n"
        ' "wires": [\n'
        '  ["html.out", "index.in"]\n'
        " ],\n"
        ' "layout": {\n'
        '  "html": [80, 120]\n'
        " },\n"
        ' "comments": {\n'
        '  "a": {"at": [0, 0], "text": "two\\nlines"},\n'
        '  "b": {"at": [8, 8], "size": [160, 80], "text": "slow"}\n'
        " }}\n"
    )


def test_order_of_writing_is_kept_in_memory() -> None:
    obj = {"pypes": 1, "name": "g", "nodes": {n: {"component": "C"} for n in "zax"}, "wires": [["z.o", "x.i"], ["a.o", "x.i"]]}
    graph = from_obj(obj)
    assert list(graph.nodes) == ["z", "a", "x"]
    assert graph.wires[0] == Wire("z", "o", "x", "i")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b'{"pypes": 1,\n "name" 2}', "line 2, column 9"),
        (b"", "line 1, column 1"),
        (b'{"a": "\xff"}', "byte 7"),
        (b'{"a": NaN}', ""),
        (b'{"a": "\\ud800"}', ""),
        (b"[" * 100_000, ""),
        (b"[]", ""),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text: bytes, where: str) -> None:
    with pytest.raises(InvalidGraph) as raised:
        loads(text)
    assert raised.value.code == "graph.malformed"
    assert raised.value.where == where


def test_byte_order_mark_is_passed_over() -> None:
    assert loads(b'\xef\xbb\xbf{"pypes": 1, "name": "g", "nodes": {}}').name == "g"


GOOD: dict[str, Any] = {"pypes": 1, "name": "g", "nodes": {"a": {"component": "A"}}, "wires": []}


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"pypes": None}, "pypes", "graph.version"),
        ({"pypes": True}, "pypes", "graph.version"),
        ({"pypes": 2}, "pypes", "graph.version"),
        ({"nods": {}}, "nods", "graph.form"),
        ({"name": "a b"}, "name", "graph.name"),
        ({"name": "x" * 65}, "name", "graph.name"),
        ({"name": None}, "name", "graph.name"),
        ({"description": 1}, "description", "graph.form"),
        ({"routes": "news"}, "routes", "graph.form"),
        ({"routes": ["a", "a/b"]}, "routes.1", "graph.name"),
        ({"routes": ["a", "a"]}, "routes.1", "graph.form"),
        ({"nodes": None}, "nodes", "graph.form"),
        ({"nodes": []}, "nodes", "graph.form"),
        ({"nodes": {"a.b": {"component": "A"}}}, "nodes.a.b", "graph.name"),
        ({"nodes": {"a": 1}}, "nodes.a", "graph.form"),
        ({"nodes": {"a": {}}}, "nodes.a.component", "graph.form"),
        ({"nodes": {"a": {"component": "A", "param": {}}}}, "nodes.a.param", "graph.form"),
        ({"nodes": {"a": {"component": "A", "params": []}}}, "nodes.a.params", "graph.form"),
        *(
            ({"nodes": {"a": {"component": "A", option: value}}}, f"nodes.a.{option}", "graph.form")
            for option, value in (
                ("timeout_s", 0),
                ("max_attempts", 0),
                ("batch_size", 0),
                ("batch_size", 1_000_000),
                ("batch_bytes", "1 MiB"),
                ("batch_s", -1),
                ("batch_s", True),
            )
        ),
        ({"wires": {}}, "wires", "graph.form"),
        ({"wires": [["a.out"]]}, "wires.0", "graph.form"),
        ({"wires": [["a.out", "a"]]}, "wires.0", "graph.form"),
        ({"wires": [["a.out", "a.in", 3]]}, "wires.0", "graph.form"),
        ({"wires": ["a.out"]}, "wires.0", "graph.form"),
        ({"layout": {"a": [1]}}, "layout.a", "graph.form"),
        ({"layout": {"a": [1, True]}}, "layout.a", "graph.form"),
        ({"comments": []}, "comments", "graph.form"),
        ({"comments": {"a b": {"text": "", "at": [0, 0]}}}, "comments.a b", "graph.form"),
        ({"comments": {"a": "text"}}, "comments.a", "graph.form"),
        ({"comments": {"a": {"at": [0, 0]}}}, "comments.a.text", "graph.form"),
        ({"comments": {"a": {"text": "x" * 10_001, "at": [0, 0]}}}, "comments.a.text", "graph.form"),
        ({"comments": {"a": {"text": ""}}}, "comments.a.at", "graph.form"),
        ({"comments": {"a": {"text": "", "at": [0, "0"]}}}, "comments.a.at", "graph.form"),
        ({"comments": {"a": {"text": "", "at": [0, 0], "size": [1]}}}, "comments.a.size", "graph.form"),
        ({"comments": {"a": {"text": "", "at": [0, 0], "size": [1, 0]}}}, "comments.a.size", "graph.form"),
        ({"comments": {"a": {"text": "", "at": [0, 0], "color": "red"}}}, "comments.a.color", "graph.form"),
        ({"tests": [1]}, "tests.0", "graph.form"),
        ({"missed": "twice"}, "missed", "graph.form"),
        ({"firing": "fleets"}, "firing", "graph.form"),
    ],
)
def test_each_mistake_of_form_is_named(change: dict[str, Any], path: str, code: str) -> None:
    with pytest.raises(InvalidGraph) as raised:
        from_obj({**GOOD, **change})
    assert [(p.path, p.code) for p in raised.value.problems] == [(path, code)]


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(InvalidGraph) as raised:
        loads(json.dumps({"name": 1, "nodes": {"a": {}}, "wires": [1, 2], "more": 1}))
    assert [p.path for p in raised.value.problems] == ["pypes", "more", "name", "nodes.a.component", "wires.0", "wires.1"]


def test_a_filter_written_twice_is_named() -> None:
    with pytest.raises(InvalidGraph) as raised:
        loads('{"pypes": 1, "name": "g", "nodes": {"a": {"component": "A"}, "a": {"component": "B"}}}')
    assert [(p.path, p.code) for p in raised.value.problems] == [("a", "graph.form")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weight", 0),
        ("weight", 11),
        ("weight", 1.5),
        ("max_instances", 0),
        ("max_instances", True),
        ("trace", 1.1),
        ("trace", -1),
        ("trace", True),
        ("trace", float("nan")),
        ("provenance", 1),
    ],
)
def test_numbers_out_of_their_range_are_refused(key: str, value: Any) -> None:
    with pytest.raises(InvalidGraph) as refused:
        from_obj({"pypes": 1, "name": "g", "nodes": {}, key: value})
    assert [problem.path for problem in refused.value.problems] == [key]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("acl", "inherit"),
        ([""], "inherit.0"),
        ([7], "inherit.0"),
        (["acl", "acl"], "inherit.1"),
        (["acl", "id"], "inherit.1"),
        (["part"], "inherit.0"),
    ],
)
def test_what_is_inherited_are_names_of_metadata(value: Any, path: str) -> None:
    with pytest.raises(InvalidGraph) as refused:
        from_obj({"pypes": 1, "name": "g", "nodes": {}, "inherit": value})
    assert [problem.path for problem in refused.value.problems] == [path]


def test_what_is_as_without_it_is_not_written() -> None:
    assert to_obj(from_obj({**GOOD, "missed": "once", "firing": "node", "weight": 1})) == {
        **GOOD,
        "nodes": {"a": {"component": "A", "params": {}}},
    }
    assert to_obj(from_obj({**GOOD, "firing": "fleet"}))["firing"] == "fleet"


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "1" * 5000])
def test_a_parameter_of_more_than_64_bits_is_refused(number: str) -> None:
    with pytest.raises(InvalidGraph, match="64 bits"):
        loads(f'{{"pypes": 1, "name": "g", "nodes": {{"a": {{"component": "A", "params": {{"n": {number}}}}}}}, "wires": []}}')


def test_a_uid_is_read_and_is_no_part_of_the_graph() -> None:
    graph = from_obj({"pypes": 1, "name": "g", "nodes": {"a": {"component": "A", "uid": "k3v9_-"}}})
    assert graph == from_obj({"pypes": 1, "name": "g", "nodes": {"a": {"component": "A"}}})
    assert "uid" not in dumps(graph)


@pytest.mark.parametrize("uid", ["", 7, None, "a.b", "x" * 65, ["a"]])
def test_a_uid_has_the_form_of_a_name(uid: Any) -> None:
    with pytest.raises(InvalidGraph) as raised:
        from_obj({"pypes": 1, "name": "g", "nodes": {"a": {"component": "A", "uid": uid}}})
    assert [(p.path, p.code) for p in raised.value.problems] == [("nodes.a.uid", "graph.form")]


def test_no_two_filters_have_one_uid() -> None:
    with pytest.raises(InvalidGraph) as raised:
        from_obj({"pypes": 1, "name": "g", "nodes": {name: {"component": "A", "uid": "x"} for name in "abc"}})
    assert [p.path for p in raised.value.problems] == ["nodes.b.uid", "nodes.c.uid"]


def test_options_of_a_filter_stay_as_they_are() -> None:
    node = {
        "component": "A",
        "params": {},
        "timeout_s": 5,
        "max_attempts": 2,
        "batch_size": 32,
        "batch_bytes": 1000,
        "batch_s": 0,
    }
    graph = from_obj({"pypes": 1, "name": "g", "nodes": {"a": node}})
    assert graph.nodes["a"].batch_size == 32
    assert graph.nodes["a"].batch_s == 0
    assert to_obj(graph)["nodes"]["a"] == node
