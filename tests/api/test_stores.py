"""What Unchanged remembers on a real node: shared by two instances, kept over a restart and deployments, listed, cleared."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, running
from tests.api.asking import Asker

OWN = """
from pathlib import Path
from pypes import Help, Parameters, Transformer


class Costly(Transformer):
    def process(self, packet):
        if packet.get("text") == "bad":
            raise ValueError("bad")
        with open(Path(self.data_dir, "calls"), "a") as calls:
            calls.write(f"{packet.id}\\n")
        return packet
"""
COUNT = 40
LISTING, ONE = "/graphs/{name}/stores", "/graphs/{name}/stores/{filter}"


def graph(value: str = "1", *, has_filter: bool = True) -> dict[str, Any]:
    middle = {"changed": {"component": "Unchanged", "params": {"omit": ["seen"]}}} if has_filter else {}
    nodes: dict[str, Any] = {
        "json": {"component": "JSON"},
        **middle,
        "costly": {"component": "Costly"},
        "set": {"component": "SetField", "params": {"field": "value", "value": value}},
        "null": {"component": "Null"},
    }
    names = [*nodes]
    wires = [[f"{one}.out", f"{other}.in"] for one, other in pairwise(names)]
    return {"pypes": 1, "name": "shop", "nodes": nodes, "wires": wires}


class Corpus:
    """Documents that are posted one by one; tells how many of them were worked on."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._calls = Path(node.base, "data", "calls")
        self._posts = 0
        self.texts = {str(n): f"text {n}" for n in range(COUNT)}

    def post(self) -> int:
        before, self._posts = self._count(), self._posts + 1
        answers = []
        for id, text in self.texts.items():
            answer = self._node.post(json.dumps({"id": id, "text": text, "seen": self._posts}).encode())
            assert answer.status == 202, answer.data
            answers.append(answer.json()["receipt"])
        for receipt in answers:
            found = self._node.get(f"/receipts/{receipt}?wait=30").json()
            assert found["pending"] == 0, found
        return self._count() - before

    def _count(self) -> int:
        return len(self._calls.read_text().splitlines()) if self._calls.exists() else 0


def test_a_node_works_on_what_changed(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    with running(tmp_path, graph(), "--load", str(tmp_path / "own.py"), workers=2, instances=2) as node:
        story(node, Asker(node, node.get("/openapi.json").json()))


def story(node: Node, ask: Asker) -> None:
    corpus = Corpus(node)
    assert ask("GET", "/graphs/shop/stores", template=LISTING)[1][0]["entries"] == 0
    assert corpus.post() == COUNT
    assert corpus.post() == 0
    corpus.texts["7"] = "another"
    corpus.texts["8"] = "bad"
    assert corpus.post() == 1
    corpus.texts["8"] = "text 8"
    assert corpus.post() == 1
    (store,) = ask("GET", "/graphs/shop/stores", template=LISTING)[1]
    assert store.pop("bytes") > 0
    assert store == {"filter": "changed", "component": "Unchanged", "entries": COUNT, "most": 1_000_000}

    # other parameters behind it, which are taken up in place
    assert ask("PUT", "/graphs/shop", graph("2"), template="/graphs/{name}")[0] == 200
    assert corpus.post() == COUNT
    assert corpus.post() == 0

    node.stop()
    node.start()
    node.wait_ready()
    assert corpus.post() == 0

    assert ask("DELETE", "/graphs/shop/stores/changed", template=ONE) == (200, {"filter": "changed", "cleared": COUNT})
    assert corpus.post() == COUNT
    assert corpus.post() == 0

    # what is published by a version without the filter is not known to it
    for wanted, worked in ((graph("2", has_filter=False), COUNT), (graph("2"), COUNT)):
        assert ask("PUT", "/graphs/shop", wanted, template="/graphs/{name}")[0] == 200
        assert corpus.post() == worked
        assert len(ask("GET", "/graphs/shop/stores", template=LISTING)[1]) == ("changed" in wanted["nodes"])

    for path, template in (("none/stores", LISTING), ("shop/stores/set", ONE), ("none/stores/changed", ONE)):
        assert ask("GET" if template is LISTING else "DELETE", f"/graphs/{path}", template=template)[0] == 404
    assert ask("DELETE", "/graphs/shop", template="/graphs/{name}")[0] == 204
    assert not [*Path(node.base, "data", "stores").glob("shop/*.db")]
