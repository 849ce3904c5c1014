"""A graph file that cannot be deployed is shown wherever graphs are, with the POSTs that find no graph for that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, serving, until


def graph(name: str, component: str) -> dict[str, Any]:
    nodes = {"json": {"component": component}, "out": {"component": "Null"}}
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": [["json.out", "out.in"]]}


def undeployed(node: Node) -> set[str]:
    return {each["graph"] for each in json.loads(node.get("/status").data)["undeployed"]}


def test_its_graph_is_not_running_and_posts_for_it_are_named(tmp_path: Path) -> None:
    node = Node(tmp_path, graph("orders", "Nowhere"), workers=1, instances=1)
    node.add(graph("shop", "JSON"))
    with serving(node):
        assert [node.post(b"{}", "/docs/orders").status for _ in range(2)] == [503, 503]
        status = json.loads(node.get("/status").data)
        [concern] = status["concerns"]
        assert (concern["kind"], concern["graph"]) == ("failed", "orders")
        assert concern["text"].startswith("Graph orders is not running: nodes.json.component: ")
        assert "'Nowhere'" in concern["text"]
        assert " 2 POSTs for it were refused with 503 in the last minute." in concern["text"]
        assert str(tmp_path) in concern["text"]
        assert 'pypes_graph_running{graph="orders"} 0' in node.get("/metrics").data.decode()
        page = node.get("/plain?refresh=0").data.decode()
        assert "Graph orders is not running" in page
        assert '<span class="state bad">failed</span>' in page
        # once it is deployed, nothing needs a look
        node.http.request("PUT", f"{node.url}/graphs/orders", body=json.dumps(graph("orders", "JSON")))
        until(lambda: not undeployed(node), 20, "deployed")
        assert node.post(b"{}", "/docs/orders").status == 202
        # nor once an earlier version of it is deployed again, file or not
        node.add(graph("shop", "Nowhere"))
        until(lambda: undeployed(node) == {"shop", "orders"}, 20, "looked at the files again")
        assert node.http.request("POST", f"{node.url}/graphs/shop/rollback", json={"version": 1}).status == 200
        assert undeployed(node) == {"orders"}
