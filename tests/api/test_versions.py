"""Versions of a graph over HTTP, on a real node: made, compared, rolled back, guarded by entity tags."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.api.asking import GRAPH, Asker

OWN = """
from pypes import Transformer


class Own(Transformer):
    def process(self, packet):
        return packet
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("versions")
    (folder / "own.py").write_text(OWN)
    with running(folder, GRAPH, "--load", str(folder / "own.py"), workers=1, instances=1) as node:
        yield node


def graph(name: str, value: str, **more: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "nodes": {
            "json": {"component": "JSON", "params": {}},
            "set": {"component": "SetField", "params": {"field": "seen", "value": value}},
            "null": {"component": "Null", "params": {}},
        },
        "wires": [["json.out", "set.in"], ["set.out", "null.in"]],
        **more,
    }


def put(node: Node, obj: dict[str, Any], query: str = "", **headers: str) -> Any:
    path = f"{node.url}/graphs/{obj['name']}{query}"
    return node.http.request("PUT", path, body=json.dumps(obj), headers={"Content-Type": "application/json", **headers})


def test_versions_are_kept_compared_and_rolled_back(node: Node, ask: Asker) -> None:
    assert put(node, graph("a", "1"), "?by=ann&note=first").status == 201
    assert put(node, graph("a", "2", routes=["news"])).status == 200
    status, versions = ask("GET", "/graphs/a/versions", template="/graphs/{name}/versions")
    assert status == 200
    assert [(v["version"], v["by"], v["note"], v["state"]) for v in versions] == [
        (2, "127.0.0.1", "", "live"),
        (1, "ann", "first", "retired"),
    ]
    one = "/graphs/{name}/versions/{version}"
    assert ask("GET", "/graphs/a/versions/1", template=one)[1]["graph"]["nodes"]["set"]["params"]["value"] == "1"
    assert ask("GET", "/graphs/a/versions/1...2", template=one)[1] == {
        "from": 1,
        "to": 2,
        "diff": {"filters": {"changed": {"set": {"params": {"value": ["1", "2"]}}}}, "routes": [[], ["news"]]},
    }
    status, rolled = ask("POST", "/graphs/a/rollback", {"version": 1}, template="/graphs/{name}/rollback")
    assert (status, rolled["version"], rolled["graph"]["nodes"]["set"]["params"]["value"]) == (200, 3, "1")
    newest = ask("GET", "/graphs/a/versions", template="/graphs/{name}/versions")[1][0]
    assert (newest["version"], newest["note"], newest["state"]) == (3, "rollback to version 1", "live")
    for path, expected in (("9", 404), ("x", 400), ("1...", 400), ("1...9", 404)):
        assert ask("GET", f"/graphs/a/versions/{path}", template=one)[0] == expected
    assert ask("GET", "/graphs/none/versions", template="/graphs/{name}/versions")[0] == 404
    for body, expected in (({"version": 9}, 404), ({"version": "1"}, 400), ([], 400)):
        assert ask("POST", "/graphs/a/rollback", body, template="/graphs/{name}/rollback")[0] == expected


def test_nobody_overwrites_what_somebody_else_deployed(node: Node) -> None:
    made = put(node, graph("b", "1"), **{"If-None-Match": "*"})
    assert (made.status, made.headers["etag"]) == (201, '"1"')
    again = put(node, graph("b", "2"), **{"If-None-Match": "*"})
    assert (again.status, again.json()["code"]) == (412, "graph.changed")
    assert put(node, graph("b", "2"), **{"If-Match": '"1"'}).headers["etag"] == '"2"'
    lost = put(node, graph("b", "3"), **{"If-Match": '"1"'})
    assert lost.status == 412
    assert "version 2 is live" in lost.json()["detail"]
    assert put(node, graph("b", "3"), **{"If-Match": '"1", W/"2"'}).status == 200
    assert put(node, graph("b", "4"), **{"If-Match": "*"}).status == 200
    assert put(node, graph("none", "4"), **{"If-Match": "*"}).status == 412
    assert put(node, graph("b", "5"), **{"If-Match": "yesterday"}).status == 400
    assert node.get("/graphs/b").headers["etag"] == '"4"'


def test_every_change_of_a_graph_takes_a_precondition(node: Node) -> None:
    assert put(node, graph("d", "1")).status == 201
    value = {"params": {"field": "seen", "value": "2"}}
    changes: list[tuple[str, str, Any]] = [
        ("PUT", "/filters/d.set", value),
        ("DELETE", "/filters/d.set", None),
        ("POST", "/graphs/d/rollback", {"version": 1}),
        ("DELETE", "/graphs/d", None),
    ]

    def ask(method: str, path: str, body: Any, tag: str) -> int:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", "If-Match": tag}
        return int(node.http.request(method, node.url + path, body=data, headers=headers).status)

    for method, path, body in changes:
        assert ask(method, path, body, '"9"') == 412
    assert ask("PUT", "/filters/d.set?by=ann&note=louder", value, '"1"') == 200
    newest = node.get("/graphs/d/versions").json()[0]
    assert (newest["version"], newest["by"], newest["note"]) == (2, "ann", "louder")
    assert ask("POST", "/graphs/d/rollback", {"version": 1}, '"2"') == 200
    assert ask("DELETE", "/graphs/d", None, '"3"') == 204


def test_a_version_tells_what_code_it_ran_with_and_a_rollback_that_it_is_another(node: Node, ask: Asker) -> None:
    whole = graph("own", "1")
    whole["nodes"]["set"]["component"], whole["nodes"]["set"]["params"] = "Own", {}
    assert put(node, whole).status == 201
    listed = "/graphs/{name}/versions"
    (first,) = ask("GET", "/graphs/own/versions", template=listed)[1]
    assert [part["name"] for part in first["code"]["parts"]] == ["own.py", "pypes-basic"]
    assert "other_code" not in first
    assert node.get("/graphs/own").json()["code"] == first["code"]["digest"]
    (node.folder / "own.py").write_text(OWN + "\n# another\n")
    assert put(node, {**whole, "weight": 2}).status == 200
    second, first_now = ask("GET", "/graphs/own/versions", template=listed)[1]
    assert first_now["code"] == first["code"] != second["code"]
    (told,) = first_now["other_code"]
    assert told.startswith("own.py has other content now")
    rolled = ask("POST", "/graphs/own/rollback", {"version": 1}, template="/graphs/{name}/rollback")
    assert (rolled[0], rolled[1]["other_code"], rolled[1]["code"]) == (200, [told], second["code"]["digest"])
    assert "other_code" not in ask("GET", "/graphs/own/versions", template=listed)[1][0]


def test_filters_of_one_graph_are_changed_at_the_same_time(node: Node) -> None:
    """Each change is a whole new graph: none may be made of a version that is not live any more."""
    nodes = {f"set{n}": {"component": "SetField", "params": {"field": f"f{n}", "value": "old"}} for n in range(6)}
    order = ["json", *nodes, "null"]
    whole = {
        "pypes": 1,
        "name": "e",
        "nodes": {"json": {"component": "JSON"}, **nodes, "null": {"component": "Null"}},
        "wires": [[f"{source}.out", f"{target}.in"] for source, target in pairwise(order)],
    }
    assert put(node, whole).status == 201

    def change(n: int) -> int:
        body = json.dumps({"params": {"field": f"f{n}", "value": "new"}})
        headers = {"Content-Type": "application/json"}
        return int(node.http.request("PUT", f"{node.url}/filters/e.set{n}", body=body, headers=headers).status)

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(change, range(6))) == {200}
    live = node.get("/graphs/e").json()["graph"]["nodes"]
    assert [live[f"set{n}"]["params"]["value"] for n in range(6)] == ["new"] * 6


def test_a_paused_graph_keeps_what_comes(node: Node, ask: Asker) -> None:
    assert put(node, graph("c", "1", routes=["kept"])).status == 201
    assert ask("POST", "/graphs/c/pause", template="/graphs/{name}/pause")[1]["state"] == "paused"
    receipts = [node.post(b'{"id": "%d"}' % n, "/docs/kept").json()["receipt"] for n in range(20)]
    other = node.post(b'{"id": "other"}').json()["receipt"]
    assert node.get(f"/receipts/{other}?wait=10").json()["state"] == "done"
    assert {node.get(f"/receipts/{receipt}").json()["state"] for receipt in receipts} == {"queued"}
    assert ask("POST", "/graphs/c/resume", template="/graphs/{name}/resume")[1]["state"] == "live"
    until(lambda: all(node.get(f"/receipts/{r}").json()["state"] == "done" for r in receipts), 10, "run after the pause")
    assert ask("POST", "/graphs/none/pause", template="/graphs/{name}/pause")[0] == 404
