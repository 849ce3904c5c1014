"""Packets on wires of real nodes, and what happens to processes while somebody looks."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.api.asking import Asker
from tests.api.streams import Feeding, Told, Watching

TEMPLATE = "/graphs/{name}/taps"

#: A graph with a chain that is run in one go, a filter of the original style, and a branch.
GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "g",
    "nodes": {
        "json": {"component": "JSON"},
        "set": {"component": "SetField", "params": {"field": "seen", "value": "${TAP_SECRET}"}},
        "loop": {"component": "Loop"},
        "other": {"component": "Null"},
        "end": {"component": "Null"},
    },
    "wires": [["json.out", "set.in"], ["set.out", "loop.in"], ["loop.out", "end.in"], ["json.out", "other.in"]],
}
WIRES = ["entry-json.in", "json.out-other.in", "json.out-set.in", "loop.out-end.in", "set.out-loop.in"]

PARTS = """
from pypes import Operator


class Loop(Operator):
    def run(self):
        while True:
            for packet in self.receive_all("in"):
                self.send("out", packet)
            self.yield_ctrl()
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("taps")
    (base / "parts.py").write_text(PARTS)
    (base / "pypes.ini").write_text("[observe]\nredact = password, *_token\n")
    environ = {"TAP_SECRET": "0pen-sesame-now"}
    with running(base, GRAPH, "--load", str(base / "parts.py"), workers=1, instances=2, environ=environ) as node:
        yield node
        assert "Traceback" not in node.log()


def taps(node: Node, query: str) -> Any:
    answer = node.get(f"/graphs/g/taps?{query}")
    assert answer.status == 200, answer.data
    return answer.json()


def put(node: Node, graph: dict[str, Any]) -> None:
    answer = node.http.request("PUT", f"{node.url}/graphs/{graph['name']}", body=json.dumps(graph).encode())
    assert answer.status == 200, answer.data


def packets(told: list[Told]) -> list[Any]:
    return [event.data["packet"]["fields"]["n"] for event in told if event.kind == "packet"]


def instances(node: Node) -> set[int]:
    """Those that are ready, by their numbers."""
    return {each["id"] for each in node.get("/status").json()["instances"] if each["state"] == "ready"}


@pytest.mark.parametrize("wire", WIRES)
def test_the_next_packets_of_every_wire(node: Node, ask: Asker, wire: str) -> None:
    with Feeding(node):
        status, found = ask("GET", f"/graphs/g/taps?wire={wire}&n=5&wait=30", template=TEMPLATE)
    assert status == 200
    assert found["wire"] == wire
    assert len(found["packets"]) == 5
    fields = found["packets"][0]["packet"]["fields"]
    # a secret of the node is not shown, wherever it has come to
    assert fields.get("seen") == ("${TAP_SECRET}" if wire.startswith(("set", "loop")) else None)
    numbers = [each["packet"]["fields"]["n"] for each in found["packets"]]
    assert len(set(numbers)) == 5


def test_what_is_hidden_and_what_is_long(node: Node) -> None:
    found: list[Any] = []
    looking = threading.Thread(target=lambda: found.append(taps(node, "wire=json.out-set.in&n=1&wait=30")))
    looking.start()
    document = {"password": "hunter2", "user": {"api_token": "abc", "name": "ada"}, "text": "x" * 100_000, "many": [0] * 1000}
    while looking.is_alive():
        assert node.post(json.dumps(document).encode()).status == 202
        looking.join(0.05)
    [seen] = found[0]["packets"]
    text = json.dumps(seen)
    assert "hunter2" not in text
    assert "abc" not in text
    assert "ada" in text
    assert len(text) < 16 << 10


def test_without_packets_the_time_is_over(node: Node, ask: Asker) -> None:
    assert ask("GET", "/graphs/g/taps?wire=entry-json.in&wait=0.1", template=TEMPLATE) == (
        200,
        {"wire": "entry-json.in", "missed": 0, "packets": []},
    )


def test_a_client_that_knows_no_wire_is_told_which_there_are(node: Node, ask: Asker) -> None:
    assert ask("GET", "/graphs/g/taps", template=TEMPLATE) == (200, {"wires": WIRES})
    status, problem = ask("GET", "/graphs/g/taps?wire=json.out-nobody.in", template=TEMPLATE)
    assert (status, problem["code"], problem["where"]) == (404, "wire.not_found", "json.out-nobody.in")
    assert all(wire in problem["detail"] for wire in WIRES)
    status, problem = ask("GET", "/graphs/nobody/taps?wire=json.out-set.in", template=TEMPLATE)
    assert (status, problem["code"]) == (404, "graph.not_found")


@pytest.mark.parametrize("query", ["n=0", "n=1001", "wait=x", "wire=", "wirre=a"])
def test_what_is_no_tap_is_refused(ask: Asker, query: str) -> None:
    status, problem = ask("GET", f"/graphs/g/taps?wire=entry-json.in&{query}", template=TEMPLATE)
    assert (status, problem["where"]) == (400, query.partition("=")[0])


def test_a_stream_goes_on_and_short_cuts_are_taken_again_behind_it(node: Node) -> None:
    with Feeding(node), Watching(node.port, "/graphs/g/taps?wire=set.out-loop.in&n=3") as watching:
        told = watching.rest()
    assert [event.kind for event in told] == ["packet"] * 3 + ["end"]
    assert len(packets(told)) == 3


def test_more_than_is_shown_is_counted(node: Node) -> None:
    with Watching(node.port, "/graphs/g/taps?wire=entry-json.in") as watching:
        body = b"\n".join(b'{"n": %d}' % n for n in range(1000))
        assert node.post(body, content_type="application/x-ndjson").status == 202
        with Feeding(node):
            told = watching.until(lambda event: event.data["missed"] > 0)
    assert len(told) < 1000


def test_a_stream_outlives_the_instance_and_its_generation(node: Node) -> None:
    with Feeding(node), Watching(node.port, "/graphs/g/taps?wire=entry-json.in") as watching:
        watching.until(lambda event: True)
        before = instances(node)
        for process in node.roles()["instance"]:
            process.kill()
        others = until(
            lambda: (found := instances(node)) and len(found) == 2 and before.isdisjoint(found) and found, 20, "others"
        )
        watching.until(lambda event: event.data["instance"] in others)
        # another component takes another generation
        put(node, {**GRAPH, "nodes": {**GRAPH["nodes"], "set": {"component": "NormalizeCase"}}})
        watching.until(lambda event: event.data["instance"] > max(others))
    put(node, GRAPH)


def test_a_stream_ends_when_the_wire_is_gone(node: Node) -> None:
    with Watching(node.port, "/graphs/g/taps?wire=json.out-other.in") as watching:
        put(node, {**GRAPH, "nodes": {k: v for k, v in GRAPH["nodes"].items() if k != "other"}, "wires": GRAPH["wires"][:3]})
        told = watching.rest()[-1]
        assert (told.kind, told.data) == ("end", {"reason": "the graph has no wire json.out-other.in any more"})
    put(node, GRAPH)


def test_several_who_look_at_one_wire_see_the_same(node: Node) -> None:
    streams = [Watching(node.port, "/graphs/g/taps?wire=entry-json.in&n=5") for _ in range(3)]
    try:
        with Feeding(node):
            found = [packets(each.rest()) for each in streams]
    finally:
        for each in streams:
            each.close()
    assert found[0] == found[1] == found[2]


def test_a_stream_ends_with_its_worker_and_leaves_nothing_in_the_instance(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    with running(tmp_path, GRAPH, "--load", "parts.py", workers=1, instances=1, environ={"TAP_SECRET": "x"}) as node:
        with Watching(node.port, "/graphs/g/taps?wire=entry-json.in") as watching:
            assert node.process is not None
            old = {process.pid for process in node.roles()["worker"]}
            node.process.send_signal(signal.SIGUSR2)
            assert watching.rest() == []
        until(lambda: node.is_ready() and old.isdisjoint(process.pid for process in node.roles()["worker"]), 20, "rolled")
        with Watching(node.port, "/graphs/g/taps?wire=entry-json.in&n=1") as watching:
            [worker] = node.roles()["worker"]
            worker.kill()
            with pytest.raises((OSError, AssertionError)):
                watching.until(lambda event: event.kind == "packet")
        until(lambda: node.is_ready() and worker.pid not in [p.pid for p in node.roles()["worker"]], 20, "another worker")
        with Watching(node.port, "/graphs/g/taps?wire=entry-json.in&n=1") as watching:
            assert node.post(b'{"n": 7}').status == 202
            assert packets(watching.rest()) == [7]
        with Watching(node.port, "/graphs/g/taps?wire=entry-json.in") as watching:
            assert node.stop() == 0
            assert watching.rest() == []
        assert "Traceback" not in node.log()
