"""`/events` on real nodes: what is told, who comes back, and what happens to processes while somebody looks."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from pypes.api.graphs import TIMES
from pypes.testing.node import Node, running, until
from tests.api.asking import GRAPH, Asker
from tests.api.streams import Feeding, Told, Watching

#: A publisher whose destination can be reached while there is a file, and an operator that ends its process.
PARTS = """
import os
from pathlib import Path

from pypes import Packet, Publisher


class Far(Publisher):
    def process(self, packet: Packet) -> None:
        if not Path(os.environ["FAR"]).exists():
            raise ConnectionError("nobody listens there")
"""


def far(name: str = "far") -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "routes": [name],
        "nodes": {"json": {"component": "JSON"}, "far": {"component": "Far"}},
        "wires": [["json.out", "far.in"]],
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("events")
    (base / "parts.py").write_text(PARTS)
    environ = {"FAR": str(base / "there")}
    with running(base, GRAPH, "--load", str(base / "parts.py"), workers=1, instances=1, environ=environ) as node:
        yield node
        assert "Traceback" not in node.log()


def put(node: Node, graph: dict[str, Any], status: int) -> None:
    answer = node.http.request("PUT", f"{node.url}/graphs/{graph['name']}", body=json.dumps(graph).encode())
    assert answer.status == status, answer.data


def changed(value: str) -> dict[str, Any]:
    """The graph in another version."""
    return {**GRAPH, "nodes": {**GRAPH["nodes"], "set": {"component": "SetField", "params": {"field": "seen", "value": value}}}}


def states(told: list[Told], kind: str) -> list[Any]:
    return [event.data["state"] for event in told if event.kind == kind]


def test_a_deployment_and_its_instances_are_told(node: Node) -> None:
    with Watching(node.port, "/events?kind=deployment,instance") as watching:
        put(node, changed("another"), 200)
        told = watching.until(lambda event: event.data["state"] == "switched")
        assert states(told, "deployment") == ["began", "switched"]
        assert {event.data["graph"] for event in told} == {"base"}
        [instance] = node.roles()["instance"]
        instance.kill()
        told += watching.until(lambda event: event.data["state"] == "ready")
        assert states(told, "instance") == ["ended", "ready"]
        assert told[2].data["reason"] == "killed by SIGKILL"
        assert told[2].data["graphs"] == ["base"]
        numbers = [int(event.id.rpartition("-")[2]) for event in told]
        assert numbers == sorted(set(numbers))


def test_a_filter_that_rests_and_goes_on_is_told_with_the_graph(node: Node, tmp_path: Path) -> None:
    put(node, far(), 201)
    with Watching(node.port, "/events?graph=far&kind=breaker") as watching:
        assert node.post(b"{}", "/docs/far").status == 202
        [told] = watching.until(lambda event: True)
        assert (told.kind, told.data["state"], told.data["filter"]) == ("breaker", "resting", "far")
        assert "nobody listens there" in told.data["reason"]
        (node.base / "there").touch()
        [told] = watching.until(lambda event: True)
        assert (told.data["state"], told.data["graph"]) == ("going on", "far")
    node.http.request("DELETE", f"{node.url}/graphs/far")


def test_dead_letters_are_told_in_groups(node: Node) -> None:
    with Watching(node.port, "/events?kind=deadletters") as watching:
        receipts = [node.post(b"%PDF", content_type="application/pdf").json()["receipt"] for _ in range(30)]
        count = 0
        events: list[Told] = []
        while count < len(receipts):
            told = watching.next()
            assert told is not None
            events.append(told)
            count += told.data["count"]
        assert count == len(receipts)
        assert len(events) < len(receipts)
        assert {(event.data["graph"], event.data["filter"], event.data["code"]) for event in events} == {
            ("base", "", "graph.no_adapter")
        }
        assert events[0].data["deadletter"].rpartition("-")[0] in receipts


def test_rates_of_filters_and_wires_come_while_documents_do(node: Node) -> None:
    with Watching(node.port, "/events?kind=counters&graph=base") as watching:
        with Feeding(node):
            seen = watching.until(lambda event: bool(event.data["filters"]))
        data = seen[-1].data
        assert data["filters"]["set"]["in"] > 0
        assert data["wires"]["json.out-set.in"]["packets"] > 0
        assert all(told.kind == "counters" and told.id == seen[0].id for told in seen)
        # when all is at rest, that is told as well
        watching.until(lambda event: not event.data["filters"])


def test_what_waits_for_a_destination_is_told_of_its_wire_and_of_the_queue(node: Node) -> None:
    put(node, far("deep"), 201)
    (node.base / "there").unlink(missing_ok=True)
    with Watching(node.port, "/events?kind=counters,queue&graph=deep") as watching:
        assert node.post(b"[{}, {}, {}]", "/docs/deep").status == 202
        told = watching.until(lambda event: event.kind == "counters" and bool(event.data["wires"].get("json.out-far.in")))
        wire, filters = told[-1].data["wires"]["json.out-far.in"], told[-1].data["filters"]
        assert (wire["depth"], filters["far"]["resting"]) == (3, 1)
        assert wire["bound"] > 3
        told += watching.until(lambda event: event.kind == "queue")
        queue = next(event.data for event in told if event.kind == "queue")
        assert (queue["deliveries"], queue["documents"]) == (1, 3)
        assert queue["oldest_s"] > 0
        (node.base / "there").touch()
        watching.until(lambda event: event.kind == "queue" and not event.data["deliveries"])
        watching.until(lambda event: event.kind == "counters" and not event.data["wires"])
    node.http.request("DELETE", f"{node.url}/graphs/deep")


def test_the_time_of_packets_at_filters_is_told(node: Node) -> None:
    for n in range(5):
        assert node.post(json.dumps({"n": n}).encode(), Prefer="wait=20").json()["published"] == 1
    found = node.get("/graphs/base/times").json()
    jsonschema_rs.validator_for(dict(TIMES)).validate(found)
    assert found["filters"]["set"]["packets"] >= 5
    assert found["filters"]["set"]["seconds"] > 0
    assert sum(found["filters"]["set"]["counts"]) == found["filters"]["set"]["packets"]
    assert node.get("/graphs/none/times").status == 404


def test_warnings_of_the_log_are_events(node: Node) -> None:
    with Watching(node.port, "/events?kind=log&graph=base") as watching:
        assert node.post(b"%PDF", content_type="application/pdf").status == 202
        told = watching.until(lambda event: event.data["event"] == "documents failed")
        assert told[-1].data["level"] == "warning"
        assert told[-1].data["graph"] == "base"
        last = watching.id
    with Watching(node.port, "/events?kind=log", {"Last-Event-ID": last}) as watching:
        assert node.post(b"%PDF", content_type="application/pdf").status == 202
        watching.until(lambda event: event.data["event"] == "documents failed")


def test_who_comes_back_to_a_rolled_worker_misses_nothing(node: Node) -> None:
    with Watching(node.port, "/events?kind=deployment") as watching:
        put(node, changed("before"), 200)
        told = watching.until(lambda event: event.data["state"] == "switched")
        assert node.process is not None
        old = {process.pid for process in node.roles()["worker"]}
        node.process.send_signal(signal.SIGUSR2)
        # it ends at once, though nothing has happened
        assert watching.rest() == []
        last = watching.id
    until(lambda: node.is_ready() and old.isdisjoint(process.pid for process in node.roles()["worker"]), 20, "rolled")
    put(node, changed("while away"), 200)
    with Watching(node.port, "/events?kind=deployment", {"Last-Event-ID": last}) as watching:
        told = watching.until(lambda event: event.data.get("state") == "switched")
        assert [event.kind for event in told] == ["deployment"] * 2
        assert told[0].data["state"] == "began"


def test_an_id_of_another_life_of_the_node_is_a_gap(node: Node) -> None:
    with Watching(node.port, "/events?kind=deployment", {"Last-Event-ID": "abc-7"}) as watching:
        told = watching.next()
        assert told is not None
        assert told.kind == "gap"
        assert "started anew" in told.data["reason"]
        told = watching.next()
        assert told is not None
        assert (told.kind, told.data["graph"]) == ("deployment", "base")


def test_the_last_events_may_come_first(node: Node) -> None:
    with Watching(node.port, "/events?kind=deployment&recent=1") as watching:
        told = watching.next()
        assert told is not None
        assert told.data["state"] in ("switched", "undeployed")


@pytest.mark.parametrize("query", ["kind=nothing", "kind=", "kind=log,,log", "graph=", "recent=-1", "recent=x", "grpah=g"])
def test_what_is_no_filter_is_refused(ask: Asker, query: str) -> None:
    status, problem = ask("GET", f"/events?{query}")
    assert status == 400
    assert problem["where"] == query.partition("=")[0]


def test_a_viewer_that_hangs_up_leaves_nothing_behind(node: Node) -> None:
    [worker] = node.roles()["worker"]
    before = worker.num_fds()
    for _ in range(120):  # more than may look at once
        Watching(node.port, "/events").close()
        with Watching(node.port, "/events") as watching:
            assert watching.status == 200
    until(lambda: worker.num_fds() <= before, 20, "connections of viewers closed")


def test_more_viewers_than_a_worker_takes_are_told_so(node: Node) -> None:
    watching = [Watching(node.port, "/events") for _ in range(100)]
    try:
        assert {each.status for each in watching} == {200}
        with Watching(node.port, "/events") as another:
            assert another.status == 503
            assert json.loads(another.response.read())["code"] == "events.viewers"
    finally:
        for each in watching:
            each.close()
    until(lambda: node.get("/events?kind=nothing").status == 400, 20, "answers")


def test_the_end_of_the_node_ends_streams_at_once(tmp_path: Path) -> None:
    with running(tmp_path, GRAPH, workers=1, instances=1, environ={"PYPES_LIMITS_GRACE_S": "60"}) as node:
        with Watching(node.port, "/events") as watching:
            assert node.stop() == 0
            # what is told meanwhile is no matter: it ends
            watching.rest()
        assert "Traceback" not in node.log()


def test_a_stream_is_behind_the_token(tmp_path: Path) -> None:
    with running(tmp_path, GRAPH, workers=1, instances=1, environ={"PYPES_TOKEN": "t0ken"}) as node:
        with Watching(node.port, "/events") as watching:
            assert watching.status == 401
        with Watching(node.port, "/events", {"Authorization": "Bearer t0ken"}) as watching:
            assert watching.status == 200


def test_a_head_request_is_not_taken(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port)) as client:
        client.sendall(b"HEAD /events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 405 ")
