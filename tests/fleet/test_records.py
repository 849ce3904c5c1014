"""Receipts and dead letters of any node, asked of any node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, until
from tests.fleet.nodes import Fleet, fleet


def posted(node: Node, **document: Any) -> str:
    answer = node.post(json.dumps(document).encode())
    assert answer.status == 202, answer.data
    return str(json.loads(answer.data)["receipt"])


def ask(node: Node, path: str, status: int = 200) -> Any:
    answer = node.get(path)
    assert answer.status == status, answer.data
    return json.loads(answer.data)


def test_any_node_answers_for_a_receipt(three: Fleet) -> None:
    for owner in three.nodes:
        receipt = posted(owner, text="hello")
        for node in three.nodes:
            found = ask(node, f"/receipts/{receipt}?wait=10")
            assert (found["state"], found["published"]) == ("done", 1)
            assert ask(node, f"/receipts/{receipt}/documents")["documents"][0]["outcome"] == "published"


def test_lists_are_gathered_in_pages(three: Fleet) -> None:
    made = {posted(node, number=number) for number in range(5) for node in three.nodes}
    found: list[str] = []
    after = ""
    while True:
        page = ask(three.nodes[1], f"/receipts?limit=4&after={after}")
        found += [receipt["receipt"] for receipt in page["receipts"]]
        if (after := page["next"]) is None:
            break
    assert made <= set(found)
    assert found == sorted(set(found), reverse=True)


def test_a_node_that_was_never_there(three: Fleet) -> None:
    found = ask(three.nodes[0], "/receipts/018f0000-0000-7000-8000-000000000000", 404)
    assert found["code"] == "receipt.other_node"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path, 2) as nodes:
        yield nodes


def test_a_node_that_is_away(pair: Fleet) -> None:
    here, gone = pair.nodes
    receipt, own = posted(gone, text="there"), posted(here, text="here")
    ask(here, f"/receipts/{receipt}?wait=10")
    gone.kill()
    name = gone.url.removeprefix("http://")
    answer = here.get(f"/receipts/{receipt}")
    assert answer.status == 503
    assert answer.headers["Retry-After"]
    assert (json.loads(answer.data)["code"], name in json.loads(answer.data)["detail"]) == ("fleet.member_away", True)
    found = ask(here, "/receipts")
    assert found["unanswered"] == [name]
    assert own in [each["receipt"] for each in found["receipts"]]
    gone.start()
    gone.wait_ready()
    until(lambda: here.get(f"/receipts/{receipt}").status == 200, 20, "known again")
