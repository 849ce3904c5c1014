"""The node under test: two graphs with two publishers each, one of them ordered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pypes.testing.node import Node
from tests.faults.operations import components
from tests.faults.operations.authors import UNCHANGED
from tests.faults.operations.model import LOG_POISON, POISON, Splitter
from tests.faults.operations.readers import index_path, log_path

GRAPHS: Final = ("plain", "ordered")
#: How the chunkers are set, one after the other.
SPLITTERS: Final = (Splitter(3), Splitter(4), Splitter(3, is_declared=False), Splitter(7))


@dataclass(frozen=True)
class Folders:
    """``mended`` has a file for each token that is mended, ``logs`` those of the second publisher: a gigabyte in a long run."""

    mended: Path
    logs: Path


def graph(name: str, folders: Folders, splitter: Splitter) -> dict[str, Any]:
    """Tables and texts that are split, a filter that refuses some parts, and another one before the second publisher alone.

    In one of the graphs, texts that are posted again as they are are held back; tables and records come past that.
    """
    mended = str(folders.mended)
    nodes: dict[str, dict[str, Any]] = {
        "csv": {"component": "CSV"},
        "text": {"component": "Text"},
        "json": {"component": "JSON"},
        "chunks": {"component": "Chunks", "params": {"size": splitter.size, "declared": splitter.is_declared}},
        "look": {"component": "Mended", "params": {"folder": mended, "mark": POISON, "slow": 300}},
        "half": {"component": "Mended", "params": {"folder": mended, "mark": LOG_POISON, "slow": 200}},
        "index": {"component": "SQLiteSearch", "params": {"path": index_path(Path(), name).name}},
        "log": {"component": "JSONLines", "params": {"path": str(log_path(folders.logs, name)), "form": "log"}},
    }
    if name == "ordered":
        nodes["look"] |= {"component": "MendedMany", "batch_size": 32, "batch_s": 0.01}
    wires = [["csv.out", "look.in"], ["json.out", "look.in"], ["chunks.out", "look.in"]]
    if name == UNCHANGED:
        nodes["unchanged"] = {"component": "Unchanged"}
        wires += [["text.out", "unchanged.in"], ["unchanged.out", "chunks.in"]]
    else:
        wires += [["text.out", "chunks.in"]]
    wires += [["look.out", "index.in"], ["look.out", "half.in"], ["half.out", "log.in"]]
    order = {"order_by": "id"} if name == "ordered" else {}
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": wires, **order}


def node_in(base: Path, folders: Folders, *, workers: int, instances: int, **settings: str) -> Node:
    """A node with both graphs, not started."""
    first, *others = (graph(name, folders, SPLITTERS[0]) for name in GRAPHS)
    flags = ("--load", str(components.__file__), "--grace", "5", "--log-format", "json")
    environ = {"PYPES_LIMITS_SPOOL_BYTES": "64KiB", **settings}
    node = Node(base, first, *flags, workers=workers, instances=instances, environ=environ)
    for other in others:
        node.add(other)
    return node
