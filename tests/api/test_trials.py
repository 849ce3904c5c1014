"""Validation and dry runs over HTTP, on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.api.asking import GRAPH, Asker


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("trials"), GRAPH, workers=1, instances=1) as node:
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


@pytest.mark.parametrize(
    ("path", "wanted", "status"),
    [
        ("base", {"content_type": "application/json", "body": "{"}, 400),
        ("base", {"content_type": "application/json", "body": 3}, 400),
        ("base", {"body": "{}"}, 400),
        ("none", {"content_type": "application/json", "body": "{}"}, 404),
        ("base", {"content_type": "application/json", "body": "{}", "graph": {"nodes": {}}}, 422),
    ],
)
def test_what_cannot_be_tried(ask: Asker, path: str, wanted: dict[str, Any], status: int) -> None:
    assert ask("POST", f"/graphs/{path}/dryrun", wanted, template="/graphs/{name}/dryrun")[0] == status
