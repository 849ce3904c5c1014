"""Nodes that hand documents to each other, while processes of both die: each document is accepted once on the other node."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, running, until

#: Of each kind: posted one by one, and as lines of one body; with an id, and without.
DOCUMENTS = 60
TAKEN: dict[str, Any] = {
    **{"pypes": 1, "name": "taken", "routes": ["docs"]},
    "nodes": {"json": {"component": "JSON"}, "out": {"component": "Null"}},
    "wires": [["json.out", "out.in"]],
}


def handing(url: str) -> dict[str, Any]:
    params = {"url": url, "wait": "finished", "batch": 7}
    return {
        **{"pypes": 1, "name": "handing", "routes": ["docs"]},
        "nodes": {"json": {"component": "JSON"}, "node": {"component": "Node", "params": params}},
        "wires": [["json.out", "node.in"]],
    }


def accepted(node: Node, graph: str) -> int:
    """Documents that are accepted and finished, by the receipts; -1 while some are not finished."""
    answer = node.get(f"/receipts?graph={graph}&limit=1000")
    if answer.status != 200:
        return -1
    found = answer.json()["receipts"]
    return -1 if any(each["pending"] for each in found) else sum(each["accepted"] for each in found)


def test_processes_of_both_nodes_die(tmp_path: Path) -> None:
    chance = random.Random(3)
    with (
        running(tmp_path / "b", TAKEN, workers=1, instances=1) as other,
        running(tmp_path / "a", handing(other.url), workers=1, instances=2) as node,
    ):
        posted: Counter[str] = Counter()
        for round in range(6):
            for n in range(DOCUMENTS // 6):
                document = {"n": n} if n % 2 else {"n": n, "id": f"{round}-{n}"}
                posted["single"] += node.post(json.dumps(document).encode(), "/docs/docs").status == 202
            lines = b"\n".join(json.dumps({"n": n}).encode() for n in range(DOCUMENTS // 6))
            posted["lines"] += node.post(lines, "/docs/docs", "application/x-ndjson").json()["accepted"]
            if round == 3:
                node.kill()
                until(lambda: not node.leftovers(), 20, "all gone")
                node.start()
                node.wait_ready()
            elif round % 2:
                chance.choice(until(lambda: other.roles()["worker"], 20, "a worker to kill")).kill()
            else:
                chance.choice(until(lambda: node.roles()["instance"], 20, "an instance to kill")).kill()
            until(node.is_ready, 60, "ready again")
        total = 2 * DOCUMENTS
        assert sum(posted.values()) == total
        until(lambda: accepted(node, "handing") == total, 60, "all handed over")
        assert accepted(other, "taken") == total
        assert node.get("/deadletters").json()["deadletters"] == []
