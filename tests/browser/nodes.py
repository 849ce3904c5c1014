"""Nodes that a browser looks at: the components of their graphs, and documents that come to different ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, running, serving, until

#: A code and a text that would be a script if anybody took them for HTML.
HOSTILE_CODE = "<script>alert(1)</script>"
HOSTILE_TEXT = '"><img src=x onerror=alert(2)><script>alert(3)</script>'

COMPONENTS = f"""
from pypes import Parameters, Publisher, Reject, Transformer


class Judge(Transformer):
    def process(self, packet):
        if packet.get("bad") == "hostile":
            raise Reject("rejected", code={HOSTILE_CODE!r})
        if packet.get("bad"):
            raise ValueError(packet.get("bad"))
        return packet


class Strict(Transformer):
    class Params(Parameters):
        years: str = "arabic"

    def process(self, packet):
        if self.params.years == "arabic":
            packet.set("century", year_of(packet) // 100 + 1)
        return packet


def year_of(packet):
    return int(packet.get("year"))


class Absent(Transformer):
    class Params(Parameters):
        reason: str = ""

    def setup(self):
        if self.params.reason:
            raise RuntimeError(self.params.reason)

    def process(self, packet):
        return packet
"""


def graph(name: str = "shop", **parts: Any) -> dict[str, Any]:
    """A graph that takes JSON and judges it; ``parts`` are more of its file."""
    nodes = {"json": {"component": "JSON"}, "judge": {"component": "Judge"}, "null": {"component": "Null"}}
    return {
        "pypes": 1,
        "name": name,
        "routes": [name],
        "nodes": nodes,
        "wires": [["json.out", "judge.in"], ["judge.out", "null.in"]],
        **parts,
    }


def load(base: Path) -> list[str]:
    """Flags with which a node knows the components."""
    path = base / "judging.py"
    path.write_text(COMPONENTS)
    return ["--load", str(path)]


@contextmanager
def judging(base: Path, *graphs: dict[str, Any], **options: Any) -> Iterator[Node]:
    """A node with these graphs, or with one."""
    first, *others = graphs or (graph(),)
    (base / "graphs").mkdir()
    for other in others:
        (base / "graphs" / f"{other['name']}.json").write_text(json.dumps(other))
    with running(base, first, *load(base), workers=1, instances=1, **options) as node:
        yield node


@contextmanager
def empty(base: Path) -> Iterator[Node]:
    """A node without any graph."""
    node = Node(base, graph(), workers=1, instances=1)
    (base / "graphs" / "shop.json").unlink()
    place = node.command.index("--default")
    node.command = [*node.command[:place], *node.command[place + 2 :]]
    with serving(node):
        yield node


def post(node: Node, *documents: dict[str, Any], route: str = "shop") -> None:
    """Post documents, and wait until all have come to an end."""
    answer = node.post(json.dumps(documents).encode(), f"/docs/{route}")
    assert answer.status == 202, answer.data
    receipt = answer.json()["receipt"]
    until(lambda: node.get(f"/receipts/{receipt}?wait=5").json()["state"] in ("done", "failed"), 20, "all are at an end")
