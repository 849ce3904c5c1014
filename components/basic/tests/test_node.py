"""Node against a real second node: each document is accepted once there, with its id, route, metadata and order."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from pypes import Packet, Pipeline, Reject, Unreachable
from pypes.component.store import MemoryStore, Stores
from pypes.core.identity import Completed, Identity, Version
from pypes.testing.node import Node as Server
from pypes.testing.node import free_port, running
from pypes_basic.node import Node

from .relay import Relay, relay

COMPONENTS = '''
import pypes


@pypes.component(name="Refuse")
def refuse(packet):
    """Refuse what says so, drop what says so."""
    if packet.get("refuse"):
        raise pypes.Reject("as it says", code="test.refused")
    return None if packet.get("drop") else packet
'''
GRAPH: dict[str, Any] = {
    **{"pypes": 1, "name": "taken", "routes": ["people"]},
    "nodes": {
        "json": {"component": "JSON"},
        "refuse": {"component": "Refuse"},
        "lines": {"component": "JSONLines", "params": {"path": "taken.jsonl", "form": "log"}},
    },
    "wires": [["json.out", "refuse.in"], ["refuse.out", "lines.in"]],
}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The second node."""
    base = tmp_path_factory.mktemp("other")
    (base / "refuse.py").write_text(COMPONENTS)
    with running(base, GRAPH, "--load", str(base / "refuse.py"), workers=1, instances=1) as node:
        yield node


@pytest.fixture
def way(other: Server) -> Iterator[Relay]:
    """The way to it."""
    with relay(other.url) as state:
        yield state


class Kept(Stores):
    """What a filter remembers over the death of its process."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def open(self, graph: str, filter: str, component: str, most: int) -> MemoryStore:
        return self.store


class Filter:
    """The filter of one process, which gets packets turn by turn; without :meth:`close` it dies as by kill -9."""

    def __init__(self, url: str, kept: Kept | None = None, **params: Any) -> None:
        self.node = Node()
        self.node.configure({"url": url, **params})
        self.node._stores = kept or Kept()
        self.node.offload = lambda fn, *args: fn(*args)  # type: ignore[method-assign]
        self.node.setup()

    def turn(self, *packets: Packet, told: list[Completed] | None = None) -> None:
        self.node.process_batch(list(packets))
        self.node.complete(told or [])
        self.node.commit()


@pytest.fixture
def receipt() -> str:
    """A receipt of this node, by which the test also knows its documents on the other one."""
    return uuid.uuid4().hex


def packet(receipt: str, index: int, *, id: str | None = None, **fields: Any) -> Packet:
    meta = {"receipt": receipt, "index": index, "run": 1, "route": "people", "tag": receipt}
    return Packet({"n": index, **fields}, meta if id is None else {**meta, "id": id})


def told(receipt: str, index: int, id: str) -> Completed:
    return Completed(Identity("people", id), Version(receipt, index, 1), is_whole=True)


def arrived(other: Server, tag: str, *, wait: bool = True) -> list[dict[str, Any]]:
    """The documents with a tag that the other node has published, as often as it has."""
    if wait:
        while any(each["state"] in ("queued", "processing") for each in receipts(other)):
            pass
    path = other.base / "data" / "taken.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line.get("meta", {}).get("tag") == tag]


def receipts(other: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = other.get("/receipts?limit=1000").json()["receipts"]
    return found


def numbers(other: Server, tag: str) -> list[int]:
    return [line["fields"]["n"] for line in arrived(other, tag)]


def test_documents_keep_ids_routes_and_metadata(other: Server, way: Relay, receipt: str) -> None:
    Filter(way.url).turn(packet(receipt, 0, id="ada", data=b"\xff", tags=["a", "b"]), packet(receipt, 1, id="eve"))
    found = arrived(other, receipt)
    assert [(line["route"], line["document"], line["meta"]["tag"]) for line in found] == [
        ("people", "ada", receipt),
        ("people", "eve", receipt),
    ]
    assert found[0]["fields"]["tags"] == ["a", "b"]
    assert [line["meta"]["hops"] for line in found] == ["1", "1"]
    assert [(method, path) for method, path, *_ in way.came] == [("POST", "/docs/people")]


def test_a_route_of_the_filter_goes_before_that_of_documents(other: Server, way: Relay, receipt: str) -> None:
    Filter(way.url, route="elsewhere").turn(packet(receipt, 0, id="ada"))
    assert [line["route"] for line in arrived(other, receipt)] == ["elsewhere"]


def test_long_requests_are_compressed_and_split(other: Server, way: Relay, receipt: str) -> None:
    Filter(way.url, batch=10).turn(*(packet(receipt, n, text="x" * 200) for n in range(25)))
    assert numbers(other, receipt) == list(range(25))
    bodies = [body for _, _, headers, body in way.came if headers["content-encoding"] == "gzip"]
    assert [len(json.loads(gzip.decompress(body))) for body in bodies] == [10, 10, 5]


def test_an_answer_that_is_lost_doubles_nothing(other: Server, way: Relay, receipt: str) -> None:
    way.drops = 1
    kept = Kept()
    with pytest.raises(urllib3.exceptions.ProtocolError):
        Filter(way.url, kept).turn(*(packet(receipt, n) for n in range(3)))
    Filter(way.url, kept).turn(*(packet(receipt, n) for n in range(3)))
    first, again = way.keys()
    assert first == again
    assert numbers(other, receipt) == [0, 1, 2]


@pytest.mark.parametrize("drops", [0, 1])
def test_what_travels_otherwise_after_a_kill_is_accepted_once(other: Server, way: Relay, receipt: str, drops: int) -> None:
    """The process died when the other node had accepted the documents, or just before: what comes together differs then."""
    kept = Kept()
    packets = [packet(receipt, n) for n in range(6)]
    if drops:
        way.drops = 1
    else:
        way.answers = [(503, {})]
    with pytest.raises((urllib3.exceptions.ProtocolError, Unreachable)):
        Filter(way.url, kept).turn(*packets[:4])
    after = Filter(way.url, kept)
    for turn in (packets[1:2], packets[3:], packets[:3]):
        after.turn(*turn)
    assert sorted(numbers(other, receipt)) == [0, 1, 2, 3, 4, 5]


def test_a_kill_before_the_commit_is_noted_doubles_nothing(other: Server, way: Relay, receipt: str) -> None:
    kept = Kept()
    Filter(way.url, kept).turn(packet(receipt, 0), packet(receipt, 1))
    Filter(way.url, kept).turn(packet(receipt, 1))
    Filter(way.url, kept).turn(packet(receipt, 0), packet(receipt, 2))
    assert numbers(other, receipt) == [0, 1, 2]


def test_a_deletion_is_handed_over_in_its_place(other: Server, way: Relay, receipt: str) -> None:
    deletion = packet(receipt, 1, id="ada")
    deletion.set_meta("requestmethod", "DELETE")
    Filter(way.url).turn(packet(receipt, 0, id="ada"), deletion, packet(receipt, 2, id="eve"))
    assert [(method, path) for method, path, *_ in way.came] == [
        ("POST", "/docs/people"),
        ("DELETE", "/docs/people/ada"),
        ("POST", "/docs/people"),
    ]
    assert len(set(way.keys())) == 3


@pytest.mark.parametrize("empty", [True, False])
def test_a_document_of_which_nothing_comes_is_deleted_there(way: Relay, receipt: str, empty: bool) -> None:
    node = Filter(way.url, empty=empty)
    node.turn(packet(receipt, 0, id="ada"), told=[told(receipt, 0, "ada"), told(receipt, 1, "eve/1")])
    deleted = [path for method, path, *_ in way.came if method == "DELETE"]
    assert deleted == (["/docs/people/eve%2F1"] if empty else [])


def test_a_document_whose_end_comes_later_stays_there(way: Relay, receipt: str) -> None:
    node = Filter(way.url)
    node.turn(packet(receipt, 0, id="ada"))
    way.answers = [(503, {})]
    with pytest.raises(Unreachable):  # all of the turn comes again
        node.turn(packet(receipt, 1, id="eve"), told=[told(receipt, 0, "ada")])
    node.turn(packet(receipt, 1, id="eve"), told=[told(receipt, 0, "ada")])
    assert {method for method, *_ in way.came} == {"POST"}


def test_parts_of_a_document_are_refused(way: Relay, receipt: str) -> None:
    with pytest.raises(Reject, match="row=1 of a document") as raised:
        Filter(way.url).turn(packet(receipt, 0, id="ada").derive("row", 1, {"n": 1}))
    assert raised.value.code == "node.part"
    assert way.came == []


def test_rows_of_a_document_without_an_id_are_documents(other: Server, way: Relay, receipt: str) -> None:
    table = packet(receipt, 0)
    Filter(way.url).turn(*(table.derive("row", n, {"n": n}) for n in range(3)))
    assert numbers(other, receipt) == [0, 1, 2]


@pytest.mark.parametrize("status", [301, 401, 403, 429, 502, 503, 504, 507])
def test_a_node_that_cannot_now_is_waited_for(other: Server, way: Relay, receipt: str, status: int) -> None:
    way.answers = [(status, {"Retry-After": "7"})]
    node = Filter(way.url)
    with pytest.raises(Unreachable) as raised:
        node.turn(packet(receipt, 0))
    assert raised.value.delay_s == 7.0
    node.turn(packet(receipt, 0))
    assert numbers(other, receipt) == [0]


def test_what_is_refused_is_a_dead_letter_and_no_other(other: Server, way: Relay, receipt: str) -> None:
    node = Node()
    node.configure({"url": way.url})
    way.answers = [(413, {})] * 2  # both together, then the first alone
    with Pipeline(node) as pipeline:
        pipeline.push([packet(receipt, 0), packet(receipt, 1)])
        assert [letter.code for letter in pipeline.dead_letters] == ["node.refused"]
    assert numbers(other, receipt) == [1]


def test_of_what_travels_again_and_is_refused_the_others_are_not_to_blame(other: Server, way: Relay, receipt: str) -> None:
    kept = Kept()
    way.answers = [(503, {}), (413, {})]
    with pytest.raises(Unreachable):
        Filter(way.url, kept).turn(packet(receipt, 0), packet(receipt, 1))
    Filter(way.url, kept).turn(packet(receipt, 1))
    assert numbers(other, receipt) == [1]
    assert len(set(way.keys())) == 2


def test_another_node_of_the_fleet_is_asked_while_one_is_away(other: Server, way: Relay, receipt: str) -> None:
    node = Filter(f"http://127.0.0.1:{free_port()}", others=[way.url])
    node.turn(packet(receipt, 0))
    node.turn(packet(receipt, 1))
    assert numbers(other, receipt) == [0, 1]


def test_what_failed_there_is_a_dead_letter_here(other: Server, way: Relay, receipt: str) -> None:
    node = Filter(way.url, wait="finished")
    packets = [packet(receipt, 0), packet(receipt, 1, refuse=True), packet(receipt, 2, drop=True)]
    with pytest.raises(Reject):
        node.turn(*packets)
    node.turn(packets[0])
    with pytest.raises(Reject) as raised:
        node.turn(packets[1])
    node.turn(packets[2])
    assert raised.value.code == "node.failed"
    (failed,) = [each for each in receipts(other) if each["failed"] and each["accepted"] == 3]
    said = str(raised.value)
    assert f"in filter 'refuse', receipt {failed['receipt']}, dead letter " in said
    assert said.endswith("as it says [test.refused]")
    assert numbers(other, receipt) == [0]
    assert len(way.keys()) == 1


def test_hops_are_counted_and_bounded(other: Server, way: Relay, receipt: str) -> None:
    came = packet(receipt, 0)
    came.set_meta("hops", "7")
    Filter(way.url).turn(came)
    assert [line["meta"]["hops"] for line in arrived(other, receipt)] == ["8"]
    came.set_meta("hops", "8")
    with pytest.raises(Reject) as raised:
        Filter(way.url).turn(came)
    assert raised.value.code == "node.hops"
    answer = other.post(b"{}", **{"Pypes-Hops": "9"})
    assert (answer.status, answer.json()["code"]) == (400, "ingest.too_many_hops")


def test_nodes_that_hand_documents_to_each_other_end(tmp_path: Path) -> None:
    """One node that hands all to itself does what a circle of nodes does."""
    node = Server(tmp_path, {"pypes": 1, "name": "circle", "nodes": {}, "wires": []}, workers=1, instances=1)
    circle = {
        **{"pypes": 1, "name": "circle", "routes": ["circle"]},
        "nodes": {"json": {"component": "JSON"}, "on": {"component": "Node", "params": {"url": node.url}}},
        "wires": [["json.out", "on.in"]],
    }
    node.add(circle)
    try:
        node.start()
        node.wait_ready()
        first = node.post(b'{"id": "ada"}', "/docs/circle").json()["receipt"]
        assert node.get(f"/receipts/{first}?wait=30").json()["state"] == "done"
        found: list[dict[str, Any]] = []
        while not found:
            found = node.get("/deadletters").json()["deadletters"]
        assert [letter["code"] for letter in found] == ["node.hops"]
        assert len(receipts(node)) == 9
        assert node.stop() == 0
    finally:
        node.close()
