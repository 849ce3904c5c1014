"""Ways: the filters that wires of a graph lead to."""

from __future__ import annotations

from collections.abc import Collection

from pypes.graph.model import Graph


def ways(graph: Graph) -> set[tuple[str, str]]:
    """The pairs of filters between which there is a wire, source and target, whichever ports it has."""
    return {(wire.source, wire.target) for wire in graph.wires}


def reach(starts: Collection[str], wires: Collection[tuple[str, str]]) -> set[str]:
    """The filters that wires, pairs of filters, lead to from ``starts``, these included."""
    after: dict[str, list[str]] = {}
    for source, target in wires:
        after.setdefault(source, []).append(target)
    reached = set(starts)
    waiting = list(starts)
    while waiting:
        for target in after.get(waiting.pop(), ()):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached
