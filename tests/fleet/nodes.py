"""Nodes of one fleet, under test."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, until

GRAPH = {
    "pypes": 1,
    "name": "copy",
    "nodes": {
        "json": {"component": "JSON"},
        "out": {"component": "JSONLines", "params": {"path": "out.jsonl"}},
    },
    "wires": [["json.out", "out.in"]],
}

#: As it, with order, for documents of the route ``ordered``.
ORDERED = {
    **GRAPH,
    "name": "ordered",
    "routes": ["ordered"],
    "order_by": "id",
    "nodes": {
        "json": {"component": "JSON"},
        "out": {"component": "JSONLines", "params": {"path": "ordered.jsonl"}},
    },
}


class Fleet:
    """Nodes that know each other, by a list of their addresses in a file."""

    def __init__(self, base: Path, nodes: list[Node]) -> None:
        self.base = base
        self.nodes = nodes

    def members(self, node: Node) -> list[dict[str, Any]]:
        """The members of the fleet as a node knows them."""
        found = json.loads(node.get("/fleet").data)
        assert "members" in found, found
        return list(found["members"])

    def wait_whole(self, nodes: Sequence[Node] = ()) -> None:
        """Wait until each node knows that all are ready."""
        for node in nodes or self.nodes:
            until(lambda node=node: self._is_whole(node), 60.0, f"a whole fleet: {self.members(node)}")

    def _is_whole(self, node: Node) -> bool:
        members = self.members(node)
        return len(members) == len(self.nodes) and all(member["state"] == "ready" for member in members)


def listing(base: Path, patience_s: float) -> tuple[Path, dict[str, str]]:
    """The file for the list of nodes, which is empty, and the environment of a node that reads it."""
    secret, listed = base / "secret", base / "nodes"
    secret.write_text(secrets.token_hex(16))
    listed.touch()
    return listed, {
        "PYPES_FLEET_NODES": str(listed),
        "PYPES_FLEET_SECRET_FILE": str(secret),
        "PYPES_FLEET_PATIENCE_S": str(patience_s),
    }


@contextmanager
def fleet(
    base: Path,
    count: int = 3,
    graph: dict[str, Any] = GRAPH,
    flags: Sequence[str] = (),
    *,
    patience_s: float = 1.0,
    **options: Any,
) -> Iterator[Fleet]:
    """A fleet of so many nodes, each of which knows all."""
    listed, environ = listing(base, patience_s)
    with ExitStack() as stack:
        nodes = [
            Node(base / f"n{number}", graph, *flags, workers=1, instances=1, environ=environ, **options)
            for number in range(count)
        ]
        listed.write_text("\n".join(node.url for node in nodes))
        for node in nodes:
            node.add(ORDERED)
        for node in nodes:
            stack.callback(node.close)
            node.start()
            # one after the other: the first finds out what components there are, and the others know it from it
            until(node.is_ready, 60, "ready")
        found = Fleet(base, nodes)
        found.wait_whole()
        yield found
