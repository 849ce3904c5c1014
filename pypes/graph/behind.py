"""Behind: one digest of everything in a graph that packets of a filter may come to, another one when any of it changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import fields

import msgspec

from pypes.graph.model import Graph, GraphNode
from pypes.graph.ways import reach, ways


def digest_behind(graph: Graph, filter: str, code_of: Callable[[Iterable[str]], str]) -> str:
    """The digest of a filter and of all behind it: code, parameters and options, their wires, and what the graph inherits.

    ``code_of`` gives one digest of the code of some components. Parameters count as they were written: a secret behind
    ``${NAME}`` is not part of it. What lies before the filter does not matter, but for wires that pass by it.
    """
    names = sorted(reach((filter,), ways(graph)))
    nodes = [_written(graph.nodes[name]) for name in names]
    wires = sorted(str(wire) for wire in graph.wires if wire.target in names and wire.target != filter)
    code = code_of(sorted({graph.nodes[name].component for name in names}))
    text = msgspec.json.encode([nodes, wires, sorted(graph.inherit), code], order="deterministic")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _written(node: GraphNode) -> dict[str, object]:
    return {field.name: getattr(node, field.name) for field in fields(node)}
