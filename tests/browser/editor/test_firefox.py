"""The editor in Firefox: every page opens without a complaint, and a graph is composed by keyboard and by mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.testing.node import Node, until
from tests.browser.firefox import firefox
from tests.browser.nodes import judging, post

pytestmark = pytest.mark.browser

PAGES = {
    "/graphs": "shop",
    "/graphs/shop?filter=judge": "Time per packet",
    "/graphs/shop/compose": "Search components",
    "/graphs/shop/step": "Send a sample through the graph",
    "/graphs/shop/versions": "Both are the same.",
    "/repair": "component.raised",
    "/follow": "Newest receipts",
    "/answer": "No graph publishes to an index.",
}
ENTER = "\ue007"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with judging(tmp_path) as node:
        yield node


def test_pages_open_and_a_graph_is_composed(node: Node) -> None:
    post(node, {"title": "loom"}, {"bad": "torn"})
    with firefox() as browser:
        for place, text in PAGES.items():
            browser.open("about:blank")
            browser.open(f"{node.url}/#{place}")
            if text.startswith("Search"):
                browser.wait_for(f'main [placeholder^="{text}"], main [aria-label="{text}"]')
            else:
                browser.wait_for("main", text)
        browser.open("about:blank")
        browser.open(f"{node.url}/#/graphs/shop/compose")
        browser.wait_for('.react-flow__node[data-id="judge"]')
        browser.type("/")
        browser.type("Batch")
        browser.type(ENTER)
        browser.wait_for('.react-flow__node[data-id="batch"]')
        port = '.react-flow__node[data-id="{}"] .react-flow__handle[data-handleid="{}"]'
        browser.drag(port.format("json", "out"), port.format("batch", "in"))
        browser.wait_for('.react-flow__edge[data-id="json.out batch.in"]')
        wire = ["json.out", "batch.in"]
        until(
            lambda: wire in (node.get("/graphs/shop/draft").json().get("graph") or {}).get("wires", []), 20, "the draft is saved"
        )
        assert browser.complaints == []
