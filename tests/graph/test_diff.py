"""Differences between two versions of a graph."""

from __future__ import annotations

from dataclasses import replace

from pypes.core.graph_limits import GraphLimits
from pypes.core.pools import Pool
from pypes.graph.diff import diff, only_parameters
from pypes.graph.model import Comment, Graph, GraphNode, Wire

OLD = Graph(
    "g",
    {
        "json": GraphNode("json", "JSON"),
        "set": GraphNode("set", "SetField", {"field": "a", "value": 1}),
        "out": GraphNode("out", "Null"),
    },
    (Wire("json", "out", "set", "in"), Wire("set", "out", "out", "in")),
    layout={"json": (0, 0)},
)


def with_set(**changes: object) -> Graph:
    return replace(OLD, nodes={**OLD.nodes, "set": replace(OLD.nodes["set"], **changes)})  # type: ignore[arg-type]


def test_equal_graphs_do_not_differ_wherever_they_are_drawn() -> None:
    assert diff(OLD, replace(OLD, layout={}, wires=OLD.wires[::-1])) == {}
    assert only_parameters(OLD, OLD) == set()


def test_comments_are_compared_and_no_instance_knows_of_them() -> None:
    new = replace(OLD, comments={"a": Comment("slow", (0, 0))})
    assert diff(OLD, new) == {"comments": [{}, {"a": {"text": "slow", "at": [0, 0]}}]}
    assert only_parameters(OLD, new) == set()


def test_filters_wires_and_parameters() -> None:
    new = replace(
        OLD,
        nodes={
            "json": OLD.nodes["json"],
            "set": GraphNode("set", "SetField", {"field": "b", "more": True}, timeout_s=5),
            "file": GraphNode("file", "JSONLines"),
        },
        wires=(OLD.wires[0], Wire("set", "out", "file", "in")),
        routes=("news",),
    )
    assert diff(OLD, new) == {
        "filters": {
            "added": ["file"],
            "removed": ["out"],
            "changed": {
                "set": {"timeout_s": [None, 5], "params": {"field": ["a", "b"], "more": [None, True], "value": [1, None]}},
            },
        },
        "wires": {"added": [["set.out", "file.in"]], "removed": [["set.out", "out.in"]]},
        "routes": [[], ["news"]],
    }


def test_a_parameter_that_becomes_null_is_a_change() -> None:
    assert diff(with_set(params={}), with_set(params={"field": None})) == {
        "filters": {"changed": {"set": {"params": {"field": [None, None]}}}}
    }


def test_only_parameters() -> None:
    assert only_parameters(OLD, with_set(params={"field": "b"})) == {"set"}
    assert only_parameters(OLD, replace(with_set(params={"field": "b"}), description="new", routes=("a",))) == {"set"}
    assert only_parameters(OLD, with_set(component="CopyField")) is None
    assert only_parameters(OLD, with_set(max_attempts=3)) is None
    assert only_parameters(OLD, with_set(batch_s=0.5)) is None
    assert only_parameters(OLD, replace(OLD, wires=())) is None
    assert only_parameters(OLD, replace(OLD, order_by="id")) is None
    assert only_parameters(OLD, replace(OLD, inherit=("acl",))) is None
    assert only_parameters(OLD, replace(OLD, weight=2)) is None
    assert only_parameters(OLD, replace(OLD, max_instances=1)) is None
    assert only_parameters(OLD, replace(OLD, trace=0.5)) is None
    assert only_parameters(OLD, replace(OLD, provenance=True)) is None
    assert only_parameters(OLD, with_set(pool="models")) is None
    assert only_parameters(OLD, replace(OLD, pools={"models": Pool(processes=1)})) is None
    assert only_parameters(OLD, replace(OLD, limits=GraphLimits(keys_kept=1))) == set()
    assert only_parameters(OLD, replace(OLD, schedule="0 * * * *", missed="skip", firing="fleet")) == set()


def test_limits_are_shown_as_they_are_written() -> None:
    new = replace(OLD, limits=GraphLimits(disk_bytes=1, receipts_s=2.0))
    assert diff(OLD, new) == {"limits": [{}, {"receipts_s": 2.0, "disk_bytes": 1}]}


def test_pools_are_shown_as_they_are_written() -> None:
    new = replace(with_set(pool=Pool(threads=8)), pools={"models": Pool(processes=2, memory=1 << 30)})
    assert diff(OLD, new) == {
        "filters": {"changed": {"set": {"pool": [None, {"threads": 8}]}}},
        "pools": [{}, {"models": {"processes": 2, "memory": 1 << 30}}],
    }


def test_what_is_inherited_has_no_order() -> None:
    old, new = replace(OLD, inherit=("acl", "tenant")), replace(OLD, inherit=("tenant", "acl"))
    assert diff(old, new) == {}
    assert diff(old, OLD) == {"inherit": [["acl", "tenant"], []]}


def test_options_of_batches() -> None:
    new = with_set(batch_size=10, batch_bytes=1 << 20, batch_s=0.5)
    assert diff(OLD, new) == {
        "filters": {"changed": {"set": {"batch_size": [None, 10], "batch_bytes": [None, 1 << 20], "batch_s": [None, 0.5]}}}
    }
