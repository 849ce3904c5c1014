"""Validation and dry runs over HTTP, on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.api.asking import GRAPH, Asker

COUNT = '''
from pypes import Transformer

class CountRows(Transformer):
    """Counts rows, which must be a list."""

    def process(self, packet):
        packet.set("count", len(packet.get("rows")))
        return packet
'''


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("trials")
    (folder / "count.py").write_text(COUNT)
    with running(folder, GRAPH, "--load", str(folder / "count.py"), workers=1, instances=1) as node:
        yield node


def test_a_graph_is_validated_without_being_deployed(node: Node, ask: Asker) -> None:
    template = "/graphs/{name}/validate"
    other = {**GRAPH, "name": "other"}
    assert ask("POST", "/graphs/other/validate", other, template=template) == (200, {"valid": True, "errors": []})
    bad = {**other, "wires": [["json.out", "nul.in"]]}
    status, found = ask("POST", "/graphs/other/validate", bad, template=template)
    assert (status, found["valid"]) == (200, False)
    assert "wires.0" in {error["path"] for error in found["errors"]}
    assert ask("POST", "/graphs/other/validate", [1], template=template)[1]["valid"] is False
    assert node.get("/graphs/other").status == 404


def test_a_dry_run_shows_what_each_filter_made(ask: Asker) -> None:
    template = "/graphs/{name}/dryrun"
    wanted: dict[str, Any] = {"content_type": "application/json", "body": '{"title": "a"}'}
    status, found = ask("POST", "/graphs/base/dryrun", wanted, template=template)
    assert status == 200
    assert [step["filter"] for step in found["steps"]] == ["json", "set", "null"]
    assert found["steps"][1]["out"]["out"][0]["fields"] == {"title": "a", "seen": "yes"}
    assert found["published"] == 1
    changed = {**GRAPH, "nodes": {**GRAPH["nodes"], "set": {"component": "SetField", "params": {"field": "n", "value": 5}}}}
    status, found = ask("POST", "/graphs/base/dryrun", {**wanted, "graph": changed}, template=template)
    assert found["steps"][2]["in"][0]["fields"] == {"title": "a", "n": 5}


DRYRUN, TEST = "/graphs/{name}/dryrun", "/graphs/{name}/test"


def test_a_sample_is_a_file_with_its_names(ask: Asker) -> None:
    wanted = {
        "content_type": "application/json",
        "body": {"base64": "eyJ0aXRsZSI6ICJhIn0="},
        "filename": "a.json",
        "id": "a",
        "route": "news",
    }
    status, found = ask("POST", "/graphs/base/dryrun", wanted, template=DRYRUN)
    assert status == 200
    meta = found["steps"][2]["in"][0]["meta"]
    assert (meta["filename"], meta["id"], meta["route"]) == ("a.json", "a", "news")
    assert ask("POST", "/graphs/base/dryrun", {"body": {"title": "a"}}, template=DRYRUN)[1]["published"] == 1


def test_a_packet_enters_where_it_was_seen(ask: Asker) -> None:
    packet = {"fields": {"title": "a"}, "meta": {"id": "d"}}
    status, found = ask("POST", "/graphs/base/dryrun", {"packet": packet, "at": "set"}, template=DRYRUN)
    assert (status, found["left_out"]) == (200, ["json"])
    assert [(step["filter"], step["in"][0]["fields"]) for step in found["steps"]] == [
        ("set", {"title": "a"}),
        ("null", {"title": "a", "seen": "yes"}),
    ]
    assert found["steps"][1]["origins"] == [{"port": "in", "filter": "set", "out": "out", "index": 0}]


def test_a_draft_need_not_be_whole(ask: Asker) -> None:
    nodes = {"json": {"component": "JSON"}, "set": GRAPH["nodes"]["set"], "later": {"component": "NotThere"}}
    draft = {"nodes": nodes, "wires": [["json.out", "set.in"]], "pypes": 1}
    status, found = ask("POST", "/graphs/new/dryrun", {"body": {"t": 1}, "graph": draft}, template=DRYRUN)
    assert (status, found["left_out"], found["dropped"]) == (200, ["later"], 1)
    # the end of it shows what would go on
    assert found["steps"][-1]["out"]["out"][0]["fields"] == {"t": 1, "seen": "yes"}
    draft = {**draft, "wires": [["json.out", "set.in"], ["set.out", "later.in"], ["json.nowhere", "set.in"]]}
    status, problem = ask("POST", "/graphs/new/dryrun", {"body": {"t": 1}, "graph": draft}, template=DRYRUN)
    assert (status, {error["path"] for error in problem["errors"]}) == (422, {"nodes.later.component", "wires.2"})


def test_a_test_is_made_of_a_sample_and_passes(ask: Asker) -> None:
    wanted = {"body": {"title": "a"}, "record": "a title"}
    status, found = ask("POST", "/graphs/base/dryrun", wanted, template=DRYRUN)
    assert (status, found["no_test"]) == (200, "")
    graph = {**GRAPH, "tests": [found["test"]]}
    at = {"packet": {"fields": {"title": "b"}}, "at": "set", "record": "at a filter", "graph": graph}
    graph = {**graph, "tests": [found["test"], ask("POST", "/graphs/base/dryrun", at, template=DRYRUN)[1]["test"]]}
    status, found = ask("POST", "/graphs/base/test", {"graph": graph}, template=TEST)
    assert (status, found["passed"], found["failed"]) == (200, 2, 0)
    assert [(test["name"], test["index"]) for test in found["tests"]] == [("a title", 0), ("at a filter", 1)]


def test_the_tests_of_a_graph_are_run(ask: Asker) -> None:
    tests = [
        {"name": "wrong", "post": {"body": {"title": "a"}}, "expect": [{"node": "null", "fields": {"seen": "no"}}]},
        {"name": "right", "post": {"body": {"title": "a"}}, "expect": [{"node": "null", "fields": {"seen": "yes"}}]},
    ]
    graph = {**GRAPH, "name": "tested", "routes": ["tested"], "tests": tests}
    assert ask("PUT", "/graphs/tested", graph, template="/graphs/{name}")[0] == 201
    status, found = ask("POST", "/graphs/tested/test", template=TEST)
    assert (status, found["passed"], found["failed"]) == (200, 1, 1)
    [failure] = found["tests"][0]["failures"]
    assert failure["filter"] == "null"
    assert failure["text"].startswith('no packet at null has {"fields": {"seen": "no"}}')
    assert failure["received"][0]["fields"] == {"title": "a", "seen": "yes"}
    status, found = ask("POST", "/graphs/tested/test", {"tests": ["right"]}, template=TEST)
    assert [(test["name"], test["index"], test["passed"]) for test in found["tests"]] == [("right", 1, True)]
    assert ask("POST", "/graphs/tested/test", {"tests": ["none"]}, template=TEST)[0] == 404
    assert ask("POST", "/graphs/tested/test", {"tests": "right"}, template=TEST)[0] == 400
    assert ask("POST", "/graphs/none/test", template=TEST)[0] == 404
    bad = {**graph, "tests": [{"post": {"body": "{}"}, "expect": [{"node": "gone"}]}]}
    status, problem = ask("POST", "/graphs/tested/test", {"graph": bad}, template=TEST)
    assert (status, [error["path"] for error in problem["errors"]]) == (422, ["tests.0.expect.0.node"])


def test_a_dead_letter_is_tried_where_it_failed(node: Node, ask: Asker) -> None:
    graph = {
        **GRAPH,
        "name": "failing",
        "routes": ["failing"],
        "nodes": {**GRAPH["nodes"], "set": {"component": "CountRows"}},
    }
    assert ask("PUT", "/graphs/failing", graph, template="/graphs/{name}")[0] == 201
    assert node.post(b'{"rows": 3, "password": "open sesame"}', "/docs/failing").status == 202
    [letter] = until(lambda: node.get("/deadletters?graph=failing").json()["deadletters"], 20, "it has failed")
    status, found = ask("POST", "/graphs/failing/dryrun", {"letter": letter["id"]}, template=DRYRUN)
    assert (status, found["failures"][0]["filter"], found["failures"][0]["in"]) == (200, "set", 0)
    assert found["steps"][0]["in"][0]["fields"] == {"rows": 3, "password": "(hidden)"}
    # edited as it is shown, what is hidden stays what it was
    edited = {"fields": {"rows": [1, 2], "password": "(hidden)"}}
    mended = ask("POST", "/graphs/failing/dryrun", {"letter": letter["id"], "packet": edited}, template=DRYRUN)[1]
    assert mended["failures"] == []
    assert ask("POST", "/graphs/failing/dryrun", {"letter": "none"}, template=DRYRUN)[0] == 404
    assert ask("POST", "/graphs/failing/dryrun", {"letter": letter["id"], "body": "x"}, template=DRYRUN)[0] == 400


@pytest.mark.parametrize(
    ("path", "wanted", "status"),
    [
        ("base", {"content_type": "application/json", "body": "{"}, 400),
        ("base", {"content_type": "application/json", "body": 3}, 400),
        ("base", {"content_type": "application/json"}, 400),
        ("base", {"body": "{}", "colour": 1}, 400),
        ("base", {"packet": {"fields": {}}}, 400),
        ("base", {"packet": {"fields": {}}, "at": "none"}, 400),
        ("base", {"packet": {"fields": {}}, "at": "set.none"}, 400),
        ("base", {"packet": {"fields": 3}, "at": "set"}, 400),
        ("base", {"body": "{}", "record": 3}, 400),
        ("none", {"content_type": "application/json", "body": "{}"}, 404),
        ("base", {"content_type": "application/json", "body": "{}", "graph": {"nodes": {}}}, 422),
    ],
)
def test_what_cannot_be_tried(ask: Asker, path: str, wanted: dict[str, Any], status: int) -> None:
    assert ask("POST", f"/graphs/{path}/dryrun", wanted, template="/graphs/{name}/dryrun")[0] == status
