"""Idempotency keys and order in a fleet: each has one owner, whichever node is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.fleet.nodes import GRAPH, Fleet, fleet


def keyed(node: Node, key: str, path: str = "/docs", **document: Any) -> Any:
    return node.post(json.dumps(document).encode(), path, **{"Idempotency-Key": key})


def receipt(answer: Any) -> str:
    assert answer.status == 202, answer.data
    return str(json.loads(answer.data)["receipt"])


def published(fleet: Fleet, name: str) -> list[list[Any]]:
    """The documents in the files of all nodes."""
    paths = [node.base / "data" / name for node in fleet.nodes]
    lines = [path.read_text().splitlines() if path.exists() else [] for path in paths]
    return [[json.loads(line) for line in some] for some in lines]


def test_a_key_has_one_receipt_whichever_node_it_comes_to(three: Fleet) -> None:
    with ThreadPoolExecutor(6) as pool:
        for number in range(20):
            answers = pool.map(lambda node, number=number: keyed(node, f"once-{number}", number=number), three.nodes * 2)
            assert len({receipt(answer) for answer in answers}) == 1
    other = keyed(three.nodes[0], "once-0", number=1000)
    assert (other.status, json.loads(other.data)["code"]) == (409, "idempotency.mismatch")


def test_a_large_body_comes_to_its_owner(three: Fleet) -> None:
    text = "x" * (3 << 20)
    for number in range(6):
        found = {receipt(keyed(node, f"large-{number}", text=text)) for node in three.nodes}
        assert len(found) == 1
        state = json.loads(three.nodes[0].get(f"/receipts/{found.pop()}?wait=20").data)
        assert (state["state"], state["published"]) == ("done", 1)


def test_documents_of_one_id_keep_their_order(three: Fleet) -> None:
    nodes = cycle(three.nodes)
    for number in range(60):
        receipt(next(nodes).post(json.dumps({"id": "one", "number": number}).encode(), "/docs/ordered"))
    until(lambda: sum(map(len, published(three, "ordered.jsonl"))) == 60, 20, "published")
    [found] = [lines for lines in published(three, "ordered.jsonl") if lines]
    assert [line["number"] for line in found] == [*range(60)]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path, 2) as nodes:
        yield nodes


def test_keys_of_a_node_that_is_away_wait_for_it(pair: Fleet) -> None:
    here, gone = pair.nodes
    before = {f"key-{number}": receipt(keyed(here, f"key-{number}", number=number)) for number in range(20)}
    gone.kill()
    kept = set()
    for number, (key, known) in enumerate(before.items()):
        answer = keyed(here, key, number=number)
        if answer.status == 503:
            assert json.loads(answer.data)["code"] == "fleet.member_away"
            assert answer.headers["Retry-After"]
        else:
            assert receipt(answer) == known
            kept.add(key)
    assert 0 < len(kept) < 20
    gone.start()
    gone.wait_ready()
    pair.wait_whole()
    for number, (key, known) in enumerate(before.items()):
        assert receipt(keyed(gone, key, number=number)) == known


def test_what_a_node_took_before_it_had_a_fleet(tmp_path: Path) -> None:
    with running(tmp_path / "a", GRAPH, workers=1, instances=1) as alone:
        before = {f"key-{number}": receipt(keyed(alone, f"key-{number}", number=number)) for number in range(12)}
        assert alone.stop() == 0
        (tmp_path / "secret").write_text("a-secret-of-the-test-0123")
        listed = tmp_path / "nodes"
        environ = {"PYPES_FLEET_NODES": str(listed), "PYPES_FLEET_SECRET_FILE": str(tmp_path / "secret")}
        with ExitStack() as stack:
            other = Node(tmp_path / "b", GRAPH, workers=1, instances=1, environ=environ)
            stack.callback(other.close)
            listed.write_text(f"{alone.url}\n{other.url}\n")
            alone.environ = {**alone.environ, **environ}
            for node in (alone, other):
                node.start()
                node.wait_ready()
            found = Fleet(tmp_path, [alone, other])
            found.wait_whole()
            for number, (key, known) in enumerate(before.items()):
                assert {receipt(keyed(node, key, number=number)) for node in (other, alone)} == {known}


def test_many_at_once_each_get_their_own_receipt(three: Fleet) -> None:
    def post(number: int) -> str:
        node = three.nodes[number % 3]
        return receipt(node.post(json.dumps({"id": f"many-{number}", "number": number}).encode(), "/docs/ordered"))

    with ThreadPoolExecutor(24) as pool:
        receipts = list(pool.map(post, range(300)))
    assert len(set(receipts)) == 300
    for number in range(0, 300, 37):
        found = json.loads(three.nodes[0].get(f"/receipts/{receipts[number]}/documents").data)["documents"]
        assert [document["id"] for document in found] == [f"many-{number}"]


def test_an_error_is_that_of_its_own_document(three: Fleet) -> None:
    """Of documents that travel together, one is refused and the others are not."""

    def post(number: int) -> tuple[int, str]:
        key = "shared" if number % 2 else f"own-{number}"
        answer = keyed(three.nodes[number % 3], key, number=number)
        return answer.status, json.loads(answer.data).get("code", "")

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(post, range(48)))
    assert all(status == 202 for status, _ in found[::2])
    others = sorted(found[1::2])
    assert others[0] == (202, "")
    assert set(others[1:]) == {(409, "idempotency.mismatch")}


def test_who_restarts_is_waited_for(tmp_path: Path) -> None:
    """No client of the other node is refused while a node stops and starts, whatever of it is needed."""
    with fleet(tmp_path, 2, patience_s=30.0) as nodes:
        here, other = nodes.nodes
        there = receipt(keyed(other, "first", number=0))
        answers: list[Any] = []
        is_over = threading.Event()

        def go_on(begin: int) -> None:
            number = begin
            while not is_over.is_set():
                answers.append(keyed(here, f"key-{number}", number=number))
                answers.append(here.post(json.dumps({"id": "one", "number": number}).encode(), "/docs/ordered"))
                answers.append(here.get(f"/receipts/{there}"))
                number += 1

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(go_on, begin * 1_000_000) for begin in range(4)]
            assert other.stop() == 0
            other.start()
            other.wait_ready()
            count = len(answers)
            until(lambda: len(answers) > count + 20, 20, "answered again")
            is_over.set()
            for each in asking:
                each.result()
        assert {answer.status for answer in answers} == {200, 202}


def requested(node: Node, id: str, **document: Any) -> Any:
    return node.post(json.dumps(document).encode(), "/docs", **{"Pypes-Request-Id": id})


def test_a_request_that_a_balancer_sends_to_several_nodes_is_accepted_once(tmp_path: Path) -> None:
    # none is given up here, however busy the machine is
    with fleet(tmp_path, 2, patience_s=60.0) as pair:
        here, other = pair.nodes
        for number in range(20):
            assert len({receipt(requested(node, f"once-{number}", number=number)) for node in pair.nodes}) == 1
        # keys of clients are others, and count before
        assert receipt(keyed(here, "once-1", number=1)) != receipt(requested(other, "once-1", number=1))
        fields = {"Idempotency-Key": "one-key"}
        found = [receipt(node.post(b"{}", **fields, **{"Pypes-Request-Id": node.url})) for node in pair.nodes]
        assert found[0] == found[1]


def test_a_request_is_taken_by_another_once_its_owner_has_been_given_up(pair: Fleet) -> None:
    """Before, it may be one that the owner has accepted: it waits, and is refused."""
    here, gone = pair.nodes
    gone.kill()
    assert 503 in {requested(here, f"early-{number}", number=number).status for number in range(12)}
    until(lambda: "away" in {member["state"] for member in pair.members(here)}, 20, "missed")
    for number in range(20):
        receipt(requested(here, f"late-{number}", number=number))
    assert 503 in {keyed(here, f"late-{number}", number=number).status for number in range(12)}
