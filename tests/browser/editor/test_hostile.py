"""What a document, a component or a graph says is text in the editor, whatever it looks like."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from pypes.testing.node import Node, running
from tests.browser.chromium import PHONE, Seen, looking
from tests.browser.editor.hostile import COMPONENTS, MARK, NUL, TEXTS, failing, graph, harm, missed, named

pytestmark = pytest.mark.browser

#: Statuses of answers to addresses of nothing, which the browser notes in its console.
EXPECTED = ("404", "400")

BOOKS = {
    "pypes": 1,
    "name": "books",
    "routes": ["books"],
    "nodes": {
        "json": {"component": "JSON"},
        "index": {"component": "SQLiteSearch", "params": {"path": "books.db", "fields": ["title", "text"]}},
    },
    "wires": [["json.out", "index.in"]],
}


def send(node: Node, documents: Any, route: str, **headers: str) -> str:
    """The receipt of documents that have come to an end."""
    answer = node.post(json.dumps(documents).encode(), f"/docs/{route}?trace=1", **headers)
    assert answer.status == 202, answer.data
    receipt: str = answer.json()["receipt"]
    assert node.get(f"/receipts/{receipt}?wait=30").json()["pending"] == 0
    return receipt


def everything(**fields: Any) -> dict[str, Any]:
    """A document with each text as the name and value of a field, and within lists and objects."""
    return {**named(TEXTS), "nul": NUL, NUL: 1, "deep": [named(TEXTS), *TEXTS], **fields}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("hostile")
    (base / "hostile.py").write_text(COMPONENTS)
    (base / "graphs").mkdir()
    for each in (graph("vain", "Vain"), BOOKS):
        (base / "graphs" / f"{each['name']}.json").write_text(json.dumps(each))
    shop = graph("shop", "Hostile", tests=failing())
    with running(base, shop, "--load", str(base / "hostile.py"), workers=1, instances=1) as node:
        again = {**shop, "description": TEXTS[0]}
        assert node.http.request("PUT", f"{node.url}/graphs/shop?note={quote(TEXTS[2])}", json=again).status == 200
        for text in TEXTS:
            name = f"attachment; filename*=UTF-8''{quote(text)}"
            send(node, {"id": text, "title": text, "bad": text}, "shop", **{"Content-Disposition": name})
            send(node, {"id": text, "title": f"weft {text}", "text": f"warp {text}"}, "books", **{"Content-Disposition": name})
        yield node


@pytest.fixture(scope="module")
def receipt(node: Node) -> str:
    """A delivery with all texts in one document, of which one goes through and one fails."""
    return send(node, [everything(id="well"), everything(id="ill", bad="\n".join(TEXTS))], "shop")


@pytest.fixture
def page(browser: Any, node: Node) -> Iterator[Any]:
    with looking(browser) as seen:
        yield seen.page
        check(seen, node)


def check(seen: Seen, node: Node) -> None:
    """The browser has asked for nothing of another place, and complained of nothing but what is not there."""
    assert [each for each in seen.requests if not each.startswith((f"{node.url}/", "data:image/svg", "blob:"))] == []
    assert [each for each in seen.complaints if not any(status in each for status in EXPECTED)] == []


def test_the_graphs(page: Any, node: Node) -> None:
    page.goto(node.url)
    page.locator(".graph-card", has_text="vain").get_by_text("Cannot run", exact=True).wait_for()
    page.locator(".graph-card", has_text="shop").locator('a[href*="code="]').first.wait_for()
    assert harm(page) == []
    page.set_viewport_size(PHONE)
    assert harm(page) == []


def test_a_graph_at_work(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs/shop?filter=hostile")
    side = page.get_by_role("complementary", name="hostile")
    side.locator(".log-lines li").first.wait_for()
    assert missed(page) == []
    assert harm(page) == []
    over = threading.Event()

    def post() -> None:
        while not over.is_set():
            node.post(json.dumps(everything()).encode(), "/docs/shop")
            over.wait(0.2)

    thread = threading.Thread(target=post)
    thread.start()
    try:
        page.locator('.react-flow__edge[data-id="json.out hostile.in"]').focus()
        page.keyboard.press("Enter")
        page.get_by_role("complementary", name="json.out → hostile.in").locator("summary").first.wait_for()
    finally:
        over.set()
        thread.join()
    page.get_by_role("button", name="Hold").click()
    page.locator("details.packet summary, .packets summary").first.click()
    assert missed(page) == []
    assert harm(page) == []
    page.goto(f"{node.url}/#/graphs/vain")
    page.get_by_text("cannot run", exact=False).first.wait_for()
    assert harm(page) == []


def test_composing(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs/shop/compose")
    page.locator('.react-flow__node[data-id="hostile"]').wait_for()
    page.locator(".react-flow__node-comment").nth(len(TEXTS) - 1).wait_for(state="attached")
    assert missed(page) == []
    assert harm(page) == []
    page.locator('.react-flow__node[data-id="hostile"]').focus()
    page.keyboard.press("Enter")
    page.get_by_role("complementary", name="Settings").get_by_label("Name", exact=True).wait_for()
    assert missed(page) == []
    assert harm(page) == []


def test_a_draft_with_names_that_no_graph_may_have(page: Any, node: Node) -> None:
    nodes = {
        text: {"component": "Hostile", "params": {"text": text, text: text}, "uid": f"u{at}"} for at, text in enumerate(TEXTS)
    }
    nodes |= {f"c{at}": {"component": text} for at, text in enumerate(TEXTS)}
    draft = {
        **graph("sketch", "Hostile", tests=failing()),
        "routes": list(TEXTS),
        "inherit": list(TEXTS),
        "nodes": nodes,
        "wires": [*([f"{text}.out", f"{text}.in"] for text in TEXTS), *([text, text] for text in TEXTS)],
        "layout": {text: [0, 120 * at] for at, text in enumerate(TEXTS)},
        MARK: TEXTS[0],
    }
    answer = node.http.request(
        "PUT", f"{node.url}/graphs/sketch/draft", json={"base": 0, "graph": draft}, headers={"If-None-Match": "*"}
    )
    assert answer.status in (200, 201), answer.data
    page.goto(f"{node.url}/#/graphs/sketch/compose")
    page.locator(".react-flow__node").first.wait_for(state="attached")
    # as if nobody had said where they stand
    page.get_by_role("button", name="Tidy").click()
    page.locator('.react-flow__node[data-id="__proto__"]').wait_for(state="attached")
    assert missed(page) == []
    assert harm(page) == []
    page.keyboard.press("p")
    page.get_by_role("region", name="Problems").get_by_role("button").first.wait_for()
    assert harm(page) == []
    page.goto(node.url)
    page.get_by_role("link", name="sketch").wait_for()
    assert harm(page) == []


def test_stepping(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs/shop/step")
    text = page.get_by_label("Text or JSON")
    text.fill(json.dumps([everything(bad=TEXTS[2])]))
    text.press("Control+Enter")
    page.get_by_role("region", name="Step", exact=True).wait_for()
    text.fill("")
    text.blur()
    assert missed(page) == []
    assert harm(page) == []
    page.keyboard.press("ArrowRight")
    page.get_by_role("region", name="Failure").get_by_text(TEXTS[2]).first.wait_for()
    assert missed(page) == []
    assert harm(page) == []
    page.get_by_role("tab", name=f"Tests ({len(TEXTS)})").click()
    page.get_by_role("button", name="Run the tests").click()
    page.get_by_role("list", name="Tests").get_by_text("no packet at null has").nth(len(TEXTS) - 1).wait_for(state="attached")
    assert missed(page) == []
    assert harm(page) == []


def test_versions(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs/shop/versions")
    page.get_by_role("region", name="Difference").wait_for()
    page.get_by_text(TEXTS[2]).first.wait_for()
    assert harm(page) == []
    page.goto(f"{node.url}/#/graphs/sketch/versions")
    page.get_by_role("region", name="Difference").wait_for()
    page.locator(".react-flow__node").first.wait_for(state="attached")
    assert missed(page) == []
    assert harm(page) == []


def test_dead_letters(page: Any, node: Node, receipt: str) -> None:
    page.goto(f"{node.url}/#/repair?graph=shop")
    page.get_by_role("link", name=TEXTS[0]).first.wait_for()
    assert missed(page) == []
    assert harm(page) == []
    page.set_viewport_size(PHONE)
    assert harm(page) == []
    for letter in node.get("/deadletters?graph=shop&limit=100").json()["deadletters"]:
        page.goto(f"{node.url}/#/repair/{letter['id']}")
        page.locator("h1", has_text="Dead letter").wait_for()
        page.get_by_role("tab", name="Form").wait_for()
        assert harm(page) == []


def test_a_dead_letter_with_everything(page: Any, node: Node, receipt: str) -> None:
    [letter] = node.get(f"/deadletters?receipt={receipt}").json()["deadletters"]
    page.goto(f"{node.url}/#/repair/{letter['id']}")
    for tab in ("Form", "JSON", "Differences"):
        page.get_by_role("tab", name=tab).click()
        page.get_by_role("tabpanel", name=tab).wait_for()
        if tab == "Differences":
            page.get_by_role("button", name="Show what is the same").first.click()
        assert missed(page) == []
        assert harm(page) == []
    # written as it came, if nobody has changed it
    page.get_by_role("tab", name="Form").click()
    page.get_by_label("Value of id", exact=True).fill("changed")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    fields = node.get(f"/deadletters/{letter['id']}").json()["packet"]["fields"]
    assert {name: fields[name] for name in TEXTS} == named(TEXTS)
    assert fields["deep"] == [named(TEXTS), *TEXTS]


def test_following(page: Any, node: Node, receipt: str) -> None:
    page.goto(f"{node.url}/#/follow?q={receipt}")
    page.get_by_role("button", name="Next step").click()
    page.get_by_text("Step 2 of").wait_for()
    assert missed(page) == []
    assert harm(page) == []
    for text in TEXTS:
        page.goto(f"{node.url}/#/follow?q={quote(text, safe='')}")
        page.get_by_role("main").get_by_text("failed in hostile").first.wait_for()
        assert harm(page) == []


def test_searching(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/answer?q=warp&graph=books")
    hits = page.locator(".hits h3")
    for shown in (10, 20):
        hits.nth(shown - 1).wait_for()
        page.get_by_role("button", name="More hits").click()
    hits.nth(len(TEXTS) - 1).wait_for()
    assert missed(page) == []
    assert harm(page) == []


def test_addresses(page: Any, node: Node) -> None:
    for text in (*TEXTS, NUL):
        part = quote(text, safe="")
        for address in (
            part,
            f"graphs/{part}",
            f"graphs/{part}/compose",
            f"graphs/shop?filter={part}",
            f"repair/{part}",
            f"repair?code={part}",
            f"answer?q={part}",
            f"answer?q=x&graph={part}",
        ):
            page.goto(f"{node.url}/#/{address}")
            page.locator("main :is(h1, h2)").first.wait_for()
            assert harm(page) == []
