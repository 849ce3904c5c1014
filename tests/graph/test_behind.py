"""The digest of what lies behind a filter: another one when any of it changes, the same whatever changes elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from pypes.graph.behind import digest_behind
from pypes.graph.model import Comment, Graph, GraphNode, Wire

GRAPH = Graph(
    "g",
    {name: GraphNode(name, name.title(), {"size": 1}) for name in ("json", "case", "same", "chunk", "index", "log")},
    (
        Wire("json", "out", "case", "in"),
        Wire("case", "out", "same", "in"),
        Wire("same", "out", "chunk", "in"),
        Wire("chunk", "out", "index", "in"),
        Wire("case", "out", "log", "in"),
    ),
    inherit=("acl",),
)


def code_of(components: Iterable[str]) -> str:
    return " ".join(components)


def node(name: str, **changes: Any) -> Callable[[Graph], Graph]:
    return lambda graph: replace(graph, nodes={**graph.nodes, name: replace(graph.nodes[name], **changes)})


def wires(*more: Wire) -> Callable[[Graph], Graph]:
    return lambda graph: replace(graph, wires=(*more, *graph.wires))


CHANGES: dict[str, Callable[[Graph], Graph]] = {
    "parameters": node("chunk", params={"size": 2}),
    "own parameters": node("same", params={"size": 2}),
    "component": node("index", component="Other"),
    "option": node("index", batch_size=5),
    "inherit": lambda graph: replace(graph, inherit=("acl", "tenant")),
    "wire": wires(Wire("same", "out", "index", "in")),
    "branch": wires(Wire("same", "out", "log", "in")),
    "way past it": wires(Wire("case", "out", "index", "in")),
}
ELSEWHERE: dict[str, Callable[[Graph], Graph]] = {
    "before": node("case", params={"size": 2}),
    "beside": node("log", component="Other"),
    "wire to it": wires(Wire("json", "out", "same", "in")),
    "order of wires": lambda graph: replace(graph, wires=graph.wires[::-1]),
    "layout": lambda graph: replace(graph, layout={"same": (1.0, 2.0)}, description="x", weight=3),
    "comments": lambda graph: replace(graph, comments={"a": Comment("slow", (0, 0))}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_another_one_after(change: str) -> None:
    assert digest_behind(CHANGES[change](GRAPH), "same", code_of) != digest_behind(GRAPH, "same", code_of)


@pytest.mark.parametrize("change", ELSEWHERE)
def test_it_is_the_same_after(change: str) -> None:
    assert digest_behind(ELSEWHERE[change](GRAPH), "same", code_of) == digest_behind(GRAPH, "same", code_of)


def test_the_code_of_what_lies_behind_counts() -> None:
    asked: list[list[str]] = []

    def digest(code: str) -> str:
        def code_of(names: Iterable[str]) -> str:
            asked.append([*names])
            return code

        return digest_behind(GRAPH, "same", code_of)

    assert digest("1") != digest("2")
    assert asked == [["Chunk", "Index", "Same"]] * 2
