"""In which order a graph runs: a stable topological order, the ancestors of each filter, and wires that forbid one or repeat."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping

from pypes.graph.model import Graph, Wire


class Plan:
    """Order and ancestry of an acyclic graph, each filter before those it leads to.

    Among filters that could come next the one written first goes first, so equal graphs run equally. Raises
    ``ValueError`` for a cycle; wires to filters that do not exist are for validation to find first.
    """

    order: tuple[str, ...]
    ancestors: Mapping[str, frozenset[str]]

    def __init__(self, graph: Graph) -> None:
        names = list(graph.nodes)
        place = {name: index for index, name in enumerate(names)}
        before: dict[str, set[str]] = {name: set() for name in names}
        after: dict[str, set[str]] = {name: set() for name in names}
        for wire in graph.wires:
            before[wire.target].add(wire.source)
            after[wire.source].add(wire.target)
        missing = {name: len(sources) for name, sources in before.items()}
        ready = [place[name] for name in names if not missing[name]]
        order: list[str] = []
        ancestors: dict[str, frozenset[str]] = {}
        while ready:
            name = names[heapq.heappop(ready)]
            order.append(name)
            ancestors[name] = frozenset(before[name]).union(*(ancestors[source] for source in before[name]))
            for target in after[name]:
                missing[target] -= 1
                if not missing[target]:
                    heapq.heappush(ready, place[target])
        if len(order) < len(names):
            raise ValueError(f"the wires close a cycle: {' -> '.join(find_cycle(graph) or ())}")
        self.order = tuple(order)
        self.ancestors = ancestors


def find_cycle(graph: Graph) -> list[str] | None:
    """The filters of one cycle in the order of its wires, the first again at the end; ``None`` if there is none."""
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for wire in graph.wires:
        if wire.source in after and wire.target in after:
            after[wire.source].append(wire.target)
    done: set[str] = set()
    for start in graph.nodes:
        if start in done:
            continue
        # depth first with an explicit stack, since a long chain must not exhaust Python's
        path = {start: iter(after[start])}
        while path:
            name = next(reversed(path))
            step = next(path[name], None)
            if step is None:
                del path[name]
                done.add(name)
            elif step in path:
                names = list(path)
                return [*names[names.index(step) :], step]
            elif step not in done:
                path[step] = iter(after[step])
    return None


def repeated(wires: Iterable[Wire]) -> Iterator[tuple[int, Wire]]:
    """The wires, with their places, that there are already before: all that is sent would go on twice."""
    seen: set[Wire] = set()
    for place, wire in enumerate(wires):
        if wire in seen:
            yield place, wire
        seen.add(wire)
