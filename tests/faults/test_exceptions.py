"""Exceptions and return values that would mean something to the machinery, on a real node: exactly their documents fail."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.runtime.scheduler.exceptions import RAISING

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a node needs unix sockets")

PARTS = """
from pypes import Adapter, Publisher, Reject, Retry, Source, Transformer, component
from pypes.registry.loading import load_file

RAISING = load_file(__import__("pathlib").Path(EXCEPTIONS)).RAISING


def do(packet):
    kind = packet.get("kind")
    if kind in RAISING:
        RAISING[kind]()
    if kind == "retry text":
        raise Retry("service is down")
    if kind == "retry nan":
        raise Retry(float("nan"))
    if kind == "reject object":
        raise Reject(ValueError("no price"))
    if kind == "a list":
        return [packet]
    return packet


class In(Adapter):
    accepts = ("application/json",)

    def process(self, packet):
        return packet


class Odd(Transformer):
    max_attempts = 2

    def process(self, packet):
        return do(packet) if packet.get("place") == "process" else packet


class OddApart(Transformer):
    isolated = True
    max_attempts = 2

    def process(self, packet):
        return do(packet) if packet.get("place") == "isolated" else packet


@component
def odd_function(packet):
    return do(packet) if packet.get("place") == "function" else packet


class Out(Publisher):
    class Params(Publisher.Params):
        file: str = ""

    def setup(self):
        self.open = []

    def process(self, packet):
        self.open.append(packet)

    def commit(self):
        taken, self.open = self.open, []
        for packet in taken:
            if packet.get("place") == "commit":
                do(packet)
        with open(self.params.file, "a") as file:
            file.writelines(f"{packet.get('n')}\\n" for packet in taken)


class Fetching(Source):
    def fetch(self, cursor):
        RAISING["KeyboardInterrupt"]()
        yield [], None
"""

#: What is returned or raised besides, and what the dead letter says.
STEERING = {
    "retry text": "service is down",
    "retry nan": "retry requested",
    "reject object": "ValueError: no price",
    "a list": "process returned a list",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("exceptions")
    path = Path(__file__).parents[1] / "runtime/scheduler/exceptions.py"
    (folder / "parts.py").write_text(PARTS.replace("EXCEPTIONS", repr(str(path))))
    nodes: dict[str, Any] = {
        "in": {"component": "In"},
        "odd": {"component": "Odd"},
        "apart": {"component": "OddApart"},
        "function": {"component": "odd_function", "max_attempts": 1},
        "out": {"component": "Out", "params": {"file": str(folder / "out")}},
        "source": {"component": "Fetching"},
    }
    names = ["in", "odd", "apart", "function", "out"]
    wires = [[f"{a}.out", f"{b}.in"] for a, b in pairwise(names)]
    graph = {"pypes": 1, "name": "g", "nodes": nodes, "wires": [*wires, ["source.out", "odd.in"]]}
    with running(folder, graph, "--load", str(folder / "parts.py"), workers=1, instances=1) as started:
        yield started


@pytest.mark.parametrize("place", ["process", "isolated", "function", "commit"])
def test_exactly_those_documents_fail(node: Node, tmp_path: Path, place: str) -> None:
    pids = {process.pid for process in node.roles()["instance"]}
    kinds = [*RAISING, *([kind for kind in STEERING if place != "commit"])]
    documents = []
    for number, kind in enumerate(kinds):
        documents += [{"n": f"{place} {number}"}, {"n": kind, "place": place, "kind": kind}]
    documents.append({"n": f"{place} last"})
    answer = node.post(json.dumps(documents).encode())
    receipt = json.loads(answer.data)["receipt"]

    def finished() -> Any:
        found = json.loads(node.get(f"/receipts/{receipt}").data)
        return found if found["state"] in ("done", "failed") else None

    found = until(finished, 40.0, f"finished\n{node.log()}")
    assert (found["published"], found["dropped"], found["failed"]) == (len(kinds) + 1, 0, len(kinds))
    fates = json.loads(node.get(f"/receipts/{receipt}/documents?limit=200").data)["documents"]
    assert [fate["outcome"] for fate in fates] == [*["published", "failed"] * len(kinds), "published"]
    listed = json.loads(node.get("/deadletters?limit=200").data)["deadletters"]
    filter = {"process": "odd", "isolated": "apart", "commit": "out"}.get(place, place)
    letters = [letter for letter in listed if letter["receipt"] == receipt and letter["filter"] == filter]
    assert len(letters) == len(kinds)
    if place != "commit":
        for kind, reason in STEERING.items():
            assert any(reason in letter["error"] for letter in letters), kind
    lines = (node.folder / "out").read_text().splitlines()
    expected = {document["n"] for document in documents if "kind" not in document}
    assert [line for line in lines if line in expected] == [d["n"] for d in documents if "kind" not in d]
    assert not set(lines) & set(kinds)
    assert {process.pid for process in node.roles()["instance"]} == pids


def test_a_source_that_raises_ends_its_run_and_nothing_else(node: Node) -> None:
    answer = node.http.request("POST", f"{node.url}/graphs/g/trigger", body=b"")
    assert answer.status == 202

    def said() -> bool:
        return any(json.loads(line).get("event") == "fetching failed" for line in node.log().splitlines() if line[:1] == "{")

    until(said, 20.0, "the run has ended")
    assert node.is_ready()
