"""The node under test: two graphs with two publishers each, one of them ordered."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pypes.testing.node import Node
from tests.faults.operations import components
from tests.faults.operations.model import LOG_POISON, POISON, Splitter

GRAPHS: Final = ("plain", "ordered")
#: How the chunkers are set, one after the other.
SPLITTERS: Final = (Splitter(3), Splitter(4), Splitter(3, is_declared=False), Splitter(7))


def graph(name: str, mended: Path, splitter: Splitter) -> dict[str, Any]:
    """Tables and texts that are split, a filter that refuses some parts, and another one before the second publisher alone."""
    nodes = {
        "csv": {"component": "CSV"},
        "text": {"component": "Text"},
        "json": {"component": "JSON"},
        "chunks": {"component": "Chunks", "params": {"size": splitter.size, "declared": splitter.is_declared}},
        "look": {"component": "Mended", "params": {"folder": str(mended), "mark": POISON, "slow": 300}},
        "half": {"component": "Mended", "params": {"folder": str(mended), "mark": LOG_POISON, "slow": 200}},
        "index": {"component": "Keep", "params": {"path": f"{name}.index.db"}},
        "log": {"component": "Keep", "params": {"path": f"{name}.log.db"}},
    }
    wires = [["csv.out", "look.in"], ["json.out", "look.in"], ["text.out", "chunks.in"], ["chunks.out", "look.in"]]
    wires += [["look.out", "index.in"], ["look.out", "half.in"], ["half.out", "log.in"]]
    order = {"order_by": "id"} if name == "ordered" else {}
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": wires, **order}


def node_in(base: Path, mended: Path, *, workers: int, instances: int, **settings: str) -> Node:
    """A node with both graphs, not started."""
    first, *others = (graph(name, mended, SPLITTERS[0]) for name in GRAPHS)
    load = [flag for module in (components,) for flag in ("--load", str(module.__file__))]
    keep = ["--load", str(Path(__file__).with_name("keep.py"))]
    flags = (*load, *keep, "--grace", "5", "--log-format", "json")
    environ = {"PYPES_LIMITS_SPOOL_BYTES": "64KiB", **settings}
    node = Node(base, first, *flags, workers=workers, instances=instances, environ=environ)
    for other in others:
        node.add(other)
    return node
