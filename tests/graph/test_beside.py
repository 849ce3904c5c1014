"""Graphs that are to be deployed side by side."""

from __future__ import annotations

from pypes.graph.beside import Beside
from pypes.graph.model import Graph


def graph(name: str, *routes: str) -> Graph:
    return Graph(name, {}, routes=routes)


def test_a_route_belongs_to_the_first_that_names_it() -> None:
    beside = Beside()
    assert beside.add(graph("one", "a", "b"), "1.json") == []
    (problem,) = beside.add(graph("two", "c", "b"), "2.json")
    assert (problem.path, problem.code) == ("routes.1", "graph.route_taken")
    assert "graph 'one' (1.json)" in problem.message
    # what is refused takes nothing
    assert beside.add(graph("three", "c"), "3.json") == []


def test_a_name_is_taken_once() -> None:
    beside = Beside()
    assert beside.add(graph("one", "a"), "1.json") == []
    (problem,) = beside.add(graph("one", "a"), "2.json")
    assert (problem.path, problem.code) == ("name", "graph.name_taken")
    assert "1.json" in problem.message
