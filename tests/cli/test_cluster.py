"""pypes cluster, against a server of its own that answers as it is told."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_records import Server, run, server

__all__ = ["server"]

HEADS = {
    "a:1": {"version": "2.7", "digest": "d1", "is_paused": False},
    "b:1": {"version": "1.7", "digest": "", "is_paused": True},
}
FLEET = {
    "node": 7,
    "members": [
        {"name": "a:1", "url": "http://a:1", "number": 7, "state": "ready", "reason": "", "version": "2.0", "is_here": True},
        {"name": "b:1", "url": "http://b:1", "number": 8, "state": "away", "reason": "gone", "version": "2.0", "is_here": False},
    ],
    "graphs": {"shop": {"differs": True, "members": HEADS}},
    "unanswered": ["b:1"],
}
GRAPH = {"pypes": 1, "name": "shop", "nodes": {"json": {"component": "JSON"}}, "wires": []}


def test_nodes_are_shown_and_graphs_that_differ(server: Server) -> None:
    server.answers["GET", "/fleet"] = 200, FLEET
    heading, first, second, graphs, unanswered = run(server, "cluster", "status").output.splitlines()
    assert heading.split() == ["name", "state", "number", "version", "reason"]
    assert first.split() == ["a:1", "ready", "7", "2.0"]
    assert second.split() == ["b:1", "away", "8", "2.0", "gone"]
    assert graphs == "graphs: 1, not the same on all nodes: shop; see pypes cluster versions"
    assert unanswered == "did not tell of their graphs: b:1"
    assert json.loads(run(server, "cluster", "status", "--json").output) == FLEET
    server.answers["GET", "/fleet"] = 200, {"node": 7, "members": [], "graphs": {}, "unanswered": []}
    assert run(server, "cluster", "status").output == "the node is in no fleet\n"


def test_versions_are_shown_by_node(server: Server) -> None:
    server.answers["GET", "/fleet"] = 200, FLEET
    lines = run(server, "cluster", "versions").output.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["shop", "a:1", "2.7", "d1"],
        ["shop", "b:1", "1.7", "not", "deployed", "paused"],
    ]
    assert json.loads(run(server, "cluster", "versions", "other", "--json").output) == {}


def test_graphs_are_applied_until_one_cannot_be(server: Server, tmp_path: Path) -> None:
    for name in ("shop", "wrong", "never"):
        (tmp_path / f"{name}.json").write_text(json.dumps({**GRAPH, "name": name}))
    fleet = {"version": "3.7", "switched": ["b:1"], "away": ["c:1"]}
    server.answers["PUT", "/graphs/shop"] = 200, {"name": "shop", "version": 5, "fleet": fleet}
    server.answers["PUT", "/graphs/wrong"] = (
        422,
        {"status": 422, "title": "Unprocessable", "detail": "it is wrong", "code": "graph"},
    )
    shop = str(tmp_path / "shop.json")
    result = run(server, "cluster", "apply", shop, str(tmp_path / "wrong.json"), str(tmp_path / "never.json"))
    assert result.exit_code == 1
    told = "shop is live on 2 nodes, version 3.7 of the fleet; away, and to take it later: c:1"
    assert result.output.splitlines()[0] == f"{shop}: {told}"
    assert "it is wrong" in result.output
    server.answers["PUT", "/graphs/shop"] = 200, {"name": "shop", "version": 5}
    assert run(server, "cluster", "apply", shop).output == f"{shop}: shop is live, version 5\n"
    (tmp_path / "bad.json").write_text("{}")
    assert "bad.json" in run(server, "cluster", "apply", str(tmp_path / "bad.json")).output
