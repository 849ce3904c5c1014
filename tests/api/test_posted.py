"""What was posted for a dead letter, and the history of causes, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jsonschema_rs
import pytest

from pypes.api import letters
from pypes.ingest.deadletter import STEPS
from pypes.testing.node import Node, running
from tests.api.records import COMPONENTS, finished, get, post


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("posted")
    (base / "refuse.py").write_text(COMPONENTS)
    (base / "pypes.ini").write_text("[observe]\nredact = password\n")
    graph = {
        "pypes": 1,
        "name": "g",
        "nodes": {
            "json": {"component": "JSON"},
            "text": {"component": "Text"},
            "upper": {"component": "NormalizeCase", "params": {"fields": ["title"], "case": "upper"}},
            "refuse": {"component": "Refuse"},
            "null": {"component": "Null"},
        },
        "wires": [["json.out", "upper.in"], ["text.out", "null.in"], ["upper.out", "refuse.in"], ["refuse.out", "null.in"]],
    }
    with running(base, graph, "--load", str(base / "refuse.py"), workers=2, instances=1) as node:
        yield node
        assert "Traceback" not in node.log()


def test_the_document_is_shown_as_it_was_posted(node: Node) -> None:
    lines = [{"id": "a", "title": "One"}, {"id": "b", "title": "Two", "refuse": True, "password": "geheim"}]
    body = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    answer = post(node, body, "/docs/r", "application/x-ndjson", Content_Disposition='attachment; filename="x.ndjson"')
    receipt = answer.json()["receipt"]
    assert finished(node, receipt)["failed"] == 1
    [letter] = get(node, f"/deadletters?receipt={receipt}")["deadletters"]
    found = get(node, f"/deadletters/{letter['id']}/posted")
    jsonschema_rs.validator_for(dict(letters.POSTED)).validate(found)
    assert found["packet"]["fields"] == {"id": "b", "title": "Two", "refuse": True, "password": "(hidden)"}
    assert {name: found[name] for name in ("index", "id", "file", "route")} == letter["document"]
    assert (found["content_type"], found["bytes"], found["reason"]) == ("application/x-ndjson", len(body), "")
    failed = get(node, f"/deadletters/{letter['id']}")["packet"]
    assert failed["fields"]["title"] == "TWO"

    # a replay that fails again began with the packet as it was edited
    node.http.request("PUT", f"{node.url}/deadletters/{letter['id']}", json={"packet": {"fields": {"refuse": True, "n": 1}}})
    replay = post(node, b'{"from": "filter"}', f"/deadletters/{letter['id']}/replay").json()["receipt"]
    assert finished(node, replay)["failed"] == 1
    [again] = get(node, f"/deadletters?receipt={replay}")["deadletters"]
    found = get(node, f"/deadletters/{again['id']}/posted")
    assert (found["start"], found["packet"]["fields"]) == ("refuse", {"refuse": True, "n": 1})
    assert get(node, f"/deadletters/{letter['id']}/posted", 404)["code"] == "deadletters.not_found"


def test_a_large_body_is_read_from_its_file(node: Node) -> None:
    lines = [json.dumps({"pad": "x" * 1000, "n": n, "refuse": n == 1999, "code": "test.large"}) for n in range(2000)]
    receipt = post(node, "\n".join(lines).encode(), "/docs", "application/x-ndjson").json()["receipt"]
    assert finished(node, receipt)["failed"] == 1
    [letter] = get(node, f"/deadletters?receipt={receipt}")["deadletters"]
    # asked more than once, for another worker may own the shard
    for _ in range(4):
        assert get(node, f"/deadletters/{letter['id']}/posted")["packet"]["fields"]["n"] == 1999


def test_causes_have_a_history(node: Node) -> None:
    for n in range(5):
        receipt = post(node, json.dumps({"refuse": True, "code": "test.history", "n": n}).encode()).json()["receipt"]
        finished(node, receipt)
    found = get(node, "/deadletters?group=code&code=test.history&history=3600")
    [group] = found["groups"]
    jsonschema_rs.validator_for(dict(letters.GROUP)).validate(group)
    assert found["history"]["step_s"] == 60.0
    assert found["history"]["since"] < group["latest"] < found["history"]["until"]
    # all of them are of late, and may lie on both sides of a step
    assert (len(group["history"]), group["history"][-2] + group["history"][-1]) == (STEPS, 5)
    assert "history" not in get(node, "/deadletters?group=code")
    for query in ("history=3600", "group=code&history=1", "group=code&history=x"):
        assert get(node, f"/deadletters?{query}", 400)["where"] == "history"
