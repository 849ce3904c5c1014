"""The part of a graph that a trial needs: what can be reached from where a document enters. The rest need not be valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from pypes.errors import Problem
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec
from pypes.graph.ways import reach, ways

#: Problems of a graph that is not whole yet, which do not matter to a document on its way.
_UNFINISHED = frozenset({"graph.unreachable", "graph.dead_end", "graph.no_publisher", "graph.no_source"})


class Part(NamedTuple):
    """A part of a graph. Its filters are those reached, and the ``absent`` ones before them, which are needed for their wires.

    ``left_out`` are all filters of the graph that are not reached; ``wires`` the places in the graph of the wires of the part.
    """

    graph: Graph
    absent: frozenset[str]
    left_out: tuple[str, ...]
    wires: tuple[int, ...]

    def problems(self, check: Callable[[Graph], list[Problem]], *, enters: bool) -> list[Problem]:
        """Problems that ``check`` finds in it, at the places of the whole graph.

        ``enters``: documents come in by adapters, so that there has to be one.
        """
        unimportant = _UNFINISHED if enters else _UNFINISHED | {"graph.no_adapter"}
        return [
            self._placed(problem)
            for problem in check(self.graph)
            if problem.code not in unimportant and not self._is_absent(problem.path)
        ]

    def _is_absent(self, path: str) -> bool:
        return path.startswith("nodes.") and path.split(".")[1] in self.absent

    def _placed(self, problem: Problem) -> Problem:
        head, _, place = problem.path.partition(".")
        if head != "wires" or not place.isdecimal():
            return problem
        return Problem(f"wires.{self.wires[int(place)]}", problem.message, problem.code)


def part_of(graph: Graph, catalogue: Mapping[str, ComponentSpec], at: str = "") -> Part:
    """The part that is reached from a filter, or else from the adapters; of these, those with a wire, if any has one."""
    specs = {name: catalogue.get(node.component) for name, node in graph.nodes.items()}
    adapters = {name for name, spec in specs.items() if spec is not None and (spec.kind == "ADAPTER" or not spec.inputs)}
    unknown = {name for name, spec in specs.items() if spec is None}
    wired = {wire.source for wire in graph.wires}
    reached = reach({at} if at else adapters & wired or adapters or unknown, ways(graph))
    places = [place for place, wire in enumerate(graph.wires) if wire.target in reached or wire.source in reached]
    wires = tuple(graph.wires[place] for place in places)
    absent = {wire.source for wire in wires} & graph.nodes.keys() - reached
    nodes = {name: node for name, node in graph.nodes.items() if name in reached | absent}
    left_out = tuple(name for name in graph.nodes if name not in reached)
    return Part(replace(graph, nodes=nodes, wires=wires), frozenset(absent), left_out, tuple(places))
