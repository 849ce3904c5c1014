"""A graph at work in the editor: drawn, walked by keyboard, and what passes on its wires."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.browser.chromium import PHONE, Seen, expect, looking, violations
from tests.browser.editor.drafting import deployed
from tests.browser.nodes import graph, judging, load, post
from tests.browser.test_session import OWN, make

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("watch")) as node:
        yield node


@pytest.fixture
def traffic(node: Node) -> Iterator[None]:
    """Documents come all the time, and one of five fails."""
    over = threading.Event()

    def post() -> None:
        number = 0
        while not over.is_set():
            documents = [
                {"id": f"d{number}-{each}", "title": "loom", **({"bad": "torn"} if each == 0 else {})} for each in range(5)
            ]
            assert node.post(json.dumps(documents).encode(), "/docs/shop").status == 202
            number += 1
            over.wait(0.05)

    thread = threading.Thread(target=post)
    thread.start()
    yield
    over.set()
    thread.join()


def filter_of(page: Any, name: str) -> Any:
    return page.locator(f'.react-flow__node[data-id="{name}"]')


def wire_of(page: Any, source: str, target: str) -> Any:
    return page.locator(f'.react-flow__edge[data-id="{source} {target}"]')


def test_the_graph_is_drawn_and_arrows_lead_through_it(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    for name in ("json", "judge", "null"):
        filter_of(page, name).wait_for()
    assert "Filter judge, component Judge" in filter_of(page, "judge").get_attribute("aria-label")
    assert "Wire from json.out to judge.in" in wire_of(page, "json.out", "judge.in").get_attribute("aria-label")
    filter_of(page, "json").focus()
    page.keyboard.press("ArrowRight")
    page.locator('.react-flow__node[data-id="judge"]:focus').wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.locator('.react-flow__node[data-id="judge"].selected').wait_for()


def posting(page: Any) -> Any:
    """The dialog in which a document is posted, with the keyboard."""
    page.get_by_role("button", name="Post a document").wait_for()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").press_sequentially("post a doc")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Post a document to shop")
    dialog.locator("textarea:focus").wait_for()
    return dialog


def test_a_document_is_posted_and_leads_to_what_becomes_of_it(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    dialog = posting(page)
    page.keyboard.type('{"title": "a loom"}')
    expect(dialog.get_by_label("Content type")).to_have_value("application/json")
    dialog.get_by_label("Id", exact=True).fill("tour 7/ä")
    dialog.get_by_text("The same in a shell").click()
    line = dialog.locator("pre").inner_text()
    assert line.startswith("curl -H 'Content-Type: application/json'")
    assert line.endswith(f"'{node.url}/docs/shop'")
    dialog.get_by_label("Id", exact=True).press("Enter")
    dialog.get_by_text("1 document is accepted.").wait_for()
    # a shell posts the same
    answer = json.loads(subprocess.run(shlex.split(line), capture_output=True, text=True, check=True).stdout)
    until(lambda: node.get(f"/receipts/{answer['receipt']}?wait=5").json()["state"] == "done", 20, "it is done")
    dialog.get_by_role("link", name="Follow what becomes of it").click()
    page.get_by_role("heading", name="Follow").wait_for()
    page.get_by_text("tour 7/ä").first.wait_for()
    assert len(node.get("/documents?id=tour+7%2F%C3%A4").json()["documents"]) == 2


def test_what_was_before_anybody_looked_is_told(seen: Seen, node: Node) -> None:
    post(node, {"title": "loom"}, {"title": "torn", "bad": "torn"})
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    for word in ("accepted", "published", "failed"):
        figure = page.locator(".figure:not(.chart)", has_text=word.capitalize()).filter(has_text="in all")
        expect(figure).to_contain_text(re.compile(r"[1-9]\d* in all"))


def test_a_filter_at_work_leads_to_its_parameters(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop?filter=judge")
    page.get_by_role("complementary", name="judge").get_by_role("link", name="Change its parameters").click()
    page.locator('.compose .react-flow__node.selected[data-id="judge"]').wait_for()


def test_a_file_is_posted_under_its_name(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    dialog = posting(page)
    bad = {"name": "naïve's.json", "mimeType": "application/json", "buffer": b'[{"title": "a"}, {"bad": "torn"}]'}
    dialog.get_by_label("Choose a file").set_input_files(bad)
    dialog.get_by_text("naïve's.json").first.wait_for()
    dialog.get_by_role("button", name="Post a document").click()
    dialog.get_by_text("2 documents are accepted.").wait_for()
    receipt = dialog.get_by_role("link", name="Follow what becomes of it").get_attribute("href").partition("q=")[2]
    until(lambda: node.get(f"/receipts/{receipt}?wait=5").json()["state"] in ("done", "failed"), 20, "it is done")
    [letter] = node.get(f"/deadletters?receipt={receipt}").json()["deadletters"]
    assert letter["document"]["file"] == "naïve's.json"


#: A file from the desktop is let go of over an element.
DROP = """(element, [name, type, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name, {type}));
  for (const kind of ['dragover', 'drop'])
    element.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
}"""


def test_a_file_that_is_dropped_is_posted_as_a_file(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    dialog = posting(page)
    dialog.get_by_label("Text or JSON").evaluate(DROP, ["loom.json", "application/json", '{"bad": "torn"}'])
    dialog.get_by_text("loom.json").first.wait_for()
    expect(dialog.get_by_label("Content type")).to_have_value("application/json")
    dialog.get_by_role("button", name="Post a document").click()
    dialog.get_by_text("1 document is accepted.").wait_for()
    until(lambda: node.get("/deadletters?file=loom.json").json()["deadletters"], 20, "it is known by its name")
    # and a text can be written in its place
    dialog.get_by_role("button", name="Type a text instead").click()
    dialog.get_by_label("Text or JSON").wait_for()


def test_a_graph_to_which_no_route_leads_says_so(seen: Seen, node: Node) -> None:
    deployed(node, graph("aside", routes=[]))
    page = seen.page
    page.goto(f"{node.url}/#/graphs/aside")
    page.get_by_role("button", name="Post a document").click(force=True)
    page.get_by_text("No document can be posted to it").wait_for()
    assert page.get_by_role("dialog").count() == 0


def test_who_may_not_post_is_told_why(browser: Any, tmp_path: Path) -> None:
    with running(tmp_path, graph(), *load(tmp_path), workers=1, instances=1, environ={"PYPES_TOKEN": OWN}) as node:
        node.headers["Authorization"] = f"Bearer {OWN}"
        for scopes, accepted in ((("read",), False), (("read", "ingest"), True)):
            secret = make(node, f"who-{len(scopes)}", *scopes)
            with looking(browser) as seen:
                page = seen.page
                page.goto(node.url)
                page.get_by_label("Token").fill(secret)
                page.get_by_role("button", name="Sign in").click()
                page.goto(f"{node.url}/#/graphs/shop")
                if accepted:
                    dialog = posting(page)
                    page.keyboard.type('{"title": "loom"}')
                    dialog.get_by_text("The same in a shell").click()
                    assert '"Authorization: Bearer $PYPES_TOKEN"' in dialog.locator("pre").inner_text()
                    page.get_by_label("Text or JSON").press("Control+Enter")
                    dialog.get_by_text("1 document is accepted.").wait_for()
                else:
                    page.get_by_role("button", name="Post a document").click(force=True)
                    page.get_by_text("This needs a token with the scope ingest").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            seen.page.goto(f"{node.url}/#/graphs/shop?filter=judge")
            seen.page.get_by_role("complementary", name="judge").get_by_text("It has none.").wait_for()
            assert violations(seen.page) == []
            seen.page.get_by_role("complementary", name="judge").get_by_role("button", name="Close").click()
            posting(seen.page).get_by_label("Text or JSON").fill("A loom")
            seen.page.get_by_text("The same in a shell").click()
            assert violations(seen.page) == []
            seen.page.keyboard.press("Tab")
            seen.page.get_by_role("dialog").get_by_role("button", name="Post a document").click()
            seen.page.get_by_text("1 document is accepted.").wait_for()
            assert seen.page.get_by_role("dialog").evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
            assert seen.complaints == []


@pytest.mark.usefixtures("traffic")
def test_counters_move_on_wires_and_filters(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    rate = wire_of(page, "json.out", "judge.in").locator(".wire-rate")
    expect(rate).to_have_text(re.compile(r"^\d+/s$"))
    expect(wire_of(page, "json.out", "judge.in")).to_have_attribute("aria-label", re.compile(r": \d+ packets per second"))
    expect(filter_of(page, "judge").locator(".live-failures")).to_have_text(re.compile(r"^✕ [\d.]+/s$"))
    expect(filter_of(page, "judge")).to_have_attribute("aria-label", re.compile("failures per second"))
    expect(page.locator(".figure:not(.chart)", has_text="Published").locator("dd")).not_to_contain_text(re.compile(r"^0/s"))


@pytest.mark.usefixtures("traffic")
def test_a_wire_shows_its_last_packets(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    wire_of(page, "json.out", "judge.in").focus()
    page.keyboard.press("Enter")
    side = page.get_by_role("complementary", name="json.out → judge.in")
    side.locator("summary", has_text="title: loom").first.wait_for()
    side.get_by_role("button", name="Hold").click()
    side.get_by_role("button", name="Go on").wait_for()
    side.locator("summary").first.click()
    side.locator("details[open] dt", has_text="mimetype").wait_for()
    side.get_by_role("button", name="Close").click()
    side.wait_for(state="detached")


@pytest.mark.usefixtures("traffic")
def test_a_filter_shows_what_it_does_and_how_it_is_set(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    filter_of(page, "judge").click()
    side = page.get_by_role("complementary", name="judge")
    expect(side.locator(".side-facts > div", has_text="Fails").locator("dd")).to_have_text(re.compile("/s$"))
    side.get_by_text("It has none.").wait_for()
    side.get_by_role("img", name=re.compile("^Packets by the time they take: half of them ≤")).wait_for()
    expect(side.locator(".side-facts > div", has_text="Share of the graph").locator("dd")).to_have_text(re.compile("%$"))
    # the address leads to it again
    assert page.url.endswith("#/graphs/shop?filter=judge")
    page.reload()
    side.wait_for()
    side.get_by_role("button", name="Close").press("Escape")
    side.wait_for(state="detached")


def test_a_graph_is_paused_and_resumed(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/graphs/shop")
    for command, state in (("Pause the graph", "Paused"), ("Resume the graph", "Live")):
        page.get_by_role("button", name="More of this graph").click()
        page.get_by_role("menuitem", name=command).click()
        page.locator(".graph-head .state", has_text=state).wait_for()
