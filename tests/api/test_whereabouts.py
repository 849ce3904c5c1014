"""Where a document is, over HTTP: asked of all shards by its id or the name of its file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from pypes.api import whereabouts
from pypes.testing.node import Node, running
from tests.api.records import COMPONENTS, finished, get, post


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("whereabouts")
    (base / "refuse.py").write_text(COMPONENTS)
    graph = {
        "pypes": 1,
        "name": "g",
        "nodes": {"json": {"component": "JSON"}, "refuse": {"component": "Refuse"}, "null": {"component": "Null"}},
        "wires": [["json.out", "refuse.in"], ["refuse.out", "null.in"]],
    }
    with running(base, graph, "--load", str(base / "refuse.py"), workers=2, instances=1) as node:
        yield node
        assert "Traceback" not in node.log()


def looked(node: Node, query: str) -> Any:
    found = get(node, f"/documents?{query}")
    jsonschema_rs.validator_for(dict(whereabouts.FOUND)).validate(found)
    return found


def test_all_runs_of_a_document_are_found_in_all_shards(node: Node) -> None:
    receipts = []
    for n in range(6):
        fields = {"id": "ada/1.txt", "n": n, **({"refuse": True} if n == 4 else {"drop": True} if n == 5 else {})}
        receipts.append(post(node, json.dumps([{"id": "other"}, fields]).encode(), "/docs/r").json()["receipt"])
        finished(node, receipts[-1])
    found = looked(node, "id=ada/1.txt")
    assert [each["receipt"] for each in found["documents"]] == receipts[::-1]
    assert [each["outcome"] for each in found["documents"]] == ["dropped", "failed", *["published"] * 4]
    assert {(each["graph"], each["index"], each["id"]) for each in found["documents"]} == {("g", 1, "ada/1.txt")}
    assert (found["documents"][1]["filter"], found["documents"][1]["state"]) == ("refuse", "failed")
    assert found["documents"][-1]["publishers"] == ["null"]
    assert (found["searched"]["since"], found["next"]) == (None, None)
    assert found["searched"]["deliveries"] >= 6
    # a replay is another run, and the two know each other
    letter = found["documents"][1]["deadletter"]
    again = post(node, b'{"from": "filter"}', f"/deadletters/{letter}/replay").json()["receipt"]
    assert finished(node, again)["failed"] == 1
    found = looked(node, "q=ada/1.txt&graph=g")
    assert found["documents"][0]["receipt"] == again
    assert found["documents"][2]["replay"] == {"receipt": again, "index": 0, "outcome": "failed"}
    assert looked(node, "q=ada/1.txt&graph=other")["documents"] == []

    # in pieces: each ends with as many as were asked for, and goes on
    seen: list[str] = []
    after = ""
    while True:
        found = looked(node, f"id=ada/1.txt&limit=2{after}")
        seen += [each["receipt"] for each in found["documents"]]
        if found["next"] is None:
            break
        after = f"&after={found['next']}"
    assert seen == [again, *receipts[::-1]]


def test_a_file_is_found_that_was_not_published(node: Node) -> None:
    name = {"Content_Disposition": 'attachment; filename="people.json"'}
    receipt = post(node, b'{"refuse": true}', "/docs", **name).json()["receipt"]
    assert finished(node, receipt)["failed"] == 1
    for query in ("file=people.json", "q=people.json"):
        [found] = looked(node, query)["documents"]
        assert (found["receipt"], found["file"], found["outcome"]) == (receipt, "people.json", "failed")
    assert looked(node, "id=people.json")["documents"] == []


@pytest.mark.parametrize("query", ["", "q=", "q=a&id=b", "q=a&after=x", "q=a&limit=0", "q=a&nothing=1", "graph=g"])
def test_what_cannot_be_asked_is_refused(node: Node, query: str) -> None:
    assert get(node, f"/documents?{query}", 400)["code"] == "request.invalid"
