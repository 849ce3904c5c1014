"""Graphs that are to be deployed side by side: a name, and a route, belong to one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pypes.errors import Problem
from pypes.graph.model import Graph


def route_problems(routes: Sequence[str], owners: Mapping[str, str]) -> list[Problem]:
    """The routes of a graph that others have: ``owners`` is their description, by route."""
    return [
        Problem(f"routes.{i}", f"route {route!r} belongs to {owners[route]}; remove it from one of them", "graph.route_taken")
        for i, route in enumerate(routes)
        if route in owners
    ]


class Beside:
    """Graphs of several files, in the order in which they are given: what one of them claims, no later one may."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._routes: dict[str, str] = {}

    def add(self, graph: Graph, file: str) -> list[Problem]:
        """The claims of this graph that an earlier one has made, with its file; without any, its own are kept."""
        if graph.name in self._files:
            message = f"{self._files[graph.name]} has a graph of the same name {graph.name!r}; rename one of them"
            return [Problem("name", message, "graph.name_taken")]
        problems = route_problems(graph.routes, self._routes)
        if not problems:
            self._files[graph.name] = file
            self._routes |= dict.fromkeys(graph.routes, f"graph {graph.name!r} ({file})")
        return problems
