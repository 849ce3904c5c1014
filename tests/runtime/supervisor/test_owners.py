"""Graphs that are taken down: what was accepted is done first, or nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until

PARTS = '''
import time
from pathlib import Path
from typing import Annotated

from pypes import Help, Parameters, Publisher, Transformer


class Gated(Publisher):
    """Writes field n once there is a file ``open``."""

    class Params(Parameters):
        folder: Annotated[str, Help("Where to write, and to look.")]

    def process(self, packet):
        folder = Path(self.params.folder)
        while not (folder / "open").exists():
            self.offload(time.sleep, 0.01)
        with open(folder / "out", "a") as file:
            file.write(f"{packet.get('n')}\\n")


class Keep(Transformer):
    """Lets go of packets when it is told to, and no sooner."""

    holds = True
    max_hold_s = 600.0

    def setup(self):
        self.kept = []

    def process(self, packet):
        self.kept.append(packet)

    def flush(self):
        for packet in self.kept:
            self.send("out", packet)
        self.kept = []
        self.release()
'''


def graph(base: Path, name: str = "gated") -> dict[str, Any]:
    nodes = {
        "json": {"component": "JSON"},
        "keep": {"component": "Keep"},
        "out": {"component": "Gated", "params": {"folder": str(base)}},
    }
    wires = [["json.out", "keep.in"], ["keep.out", "out.in"]]
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": wires}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "other.json").write_text(json.dumps(graph(tmp_path, "other")))
    environ = {"PYPES_LIMITS_GRACE_S": "2"}
    with running(tmp_path, graph(tmp_path), "--load", str(tmp_path / "parts.py"), environ=environ) as node:
        yield node


def post(node: Node, count: int) -> None:
    for n in range(count):
        assert node.post(b'{"n": %d}' % n, "/docs/gated").status == 202


def delete(node: Node, query: str = "") -> Any:
    return node.http.request("DELETE", f"{node.url}/graphs/gated{query}")


def published(base: Path) -> list[int]:
    path = base / "out"
    return sorted(int(line) for line in path.read_text().splitlines()) if path.exists() else []


def test_what_was_accepted_is_done_before_a_graph_goes(node: Node, tmp_path: Path) -> None:
    post(node, 50)
    with ThreadPoolExecutor(1) as threads:
        going: Future[Any] = threads.submit(delete, node)
        until(lambda: node.get("/graphs/gated").json()["state"] == "closing", 10, "it takes no more")
        refused = until(lambda: (answer := node.post(b"{}", "/docs/gated")).status == 503 and answer, 10, "refused")
        assert refused.json()["code"] == "graph.closing"
        assert not going.done()
        (tmp_path / "open").touch()
        assert going.result().status == 204
    # what came before the workers had heard of it has no number
    done = [line for line in (tmp_path / "out").read_text().splitlines() if line != "None"]
    assert sorted(map(int, done)) == list(range(50))
    assert node.get("/graphs/gated").status == 404
    assert not node.get("/deadletters").json()["deadletters"]


def test_what_cannot_be_done_keeps_a_graph_where_it_is(node: Node, tmp_path: Path) -> None:
    post(node, 3)
    answer = delete(node)
    assert (answer.status, answer.json()["code"]) == (409, "graph.not_drained")
    assert "3 deliveries" in answer.json()["detail"]
    assert node.get("/graphs/gated").json()["state"] == "live"
    until(lambda: node.post(b'{"n": 3}', "/docs/gated").status == 202, 10, "it takes documents again")
    (tmp_path / "open").touch()
    # the last one is held for ten minutes, unless the filter is told to let go
    assert delete(node).status == 204
    assert published(tmp_path) == [0, 1, 2, 3]


def test_a_paused_graph_goes_by_force_only_while_it_keeps_something(node: Node) -> None:
    assert node.http.request("POST", f"{node.url}/graphs/gated/pause").status == 200
    post(node, 2)
    answer = delete(node)
    assert answer.status == 409
    assert "2 deliveries are not done: the graph is paused" in answer.json()["detail"]
    assert node.get("/graphs/gated").json()["state"] == "paused"
    assert delete(node, "?force=true").status == 204
    letters = until(lambda: len(found := node.get("/deadletters").json()["deadletters"]) == 2 and found, 20, "dead letters")
    assert {letter["code"] for letter in letters} == {"graph.gone"}


def test_a_paused_graph_without_anything_goes(node: Node) -> None:
    assert node.http.request("POST", f"{node.url}/graphs/gated/pause").status == 200
    assert delete(node).status == 204
