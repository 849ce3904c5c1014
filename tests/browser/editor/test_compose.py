"""Composing a graph in a browser: by mouse and by keyboard, by one and by two, through reloads and restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.browser.chromium import PHONE, Seen, looking, violations
from tests.browser.editor.desk import DEMO, Desk, plain
from tests.browser.editor.drafting import deployed
from tests.browser.nodes import graph, judging, load
from tests.browser.test_session import OWN, REFUSED, make

pytestmark = pytest.mark.browser

WIDE = {"width": 1600, "height": 1000}
#: The browser notes in its console that a draft was saved elsewhere meanwhile.
CHANGED = "error: Failed to load resource: the server responded with a status of 412 (Precondition Failed)"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("compose")) as node:
        yield node


def expected(name: str) -> dict[str, Any]:
    """The graph of the demonstration under another name, with a route of its own."""
    return plain({**DEMO, "name": name, "routes": [name]})


def settle_graph(desk: Desk) -> None:
    """Give the graph itself the settings of the demonstration."""
    desk.settings.get_by_label("Description").fill(DEMO["description"])
    for title, name in (("Routes", desk.graph), ("Inherited metadata", DEMO["inherit"][0])):
        box = desk.settings.get_by_role("textbox", name=f"New name in {title}")
        box.fill(name)
        box.press("Enter")


def runs(desk: Desk) -> None:
    """Post files, and see them counted at the end of the graph."""
    page, node = desk.page, desk.node
    page.get_by_role("dialog").get_by_role("link", name="Watch it at work").click()
    page.locator('.react-flow__node[data-id="index"]').wait_for()
    counted = page.locator('.react-flow__node[data-id="index"][aria-label*="packets per second"]')

    def posted() -> bool:
        """The first may be through before the page hears of it."""
        answer = node.post(b"# Looms\n\nA hole in the card lifts the thread.", f"/docs/{desk.graph}", "text/markdown")
        assert answer.status == 202, answer.data
        state = node.get(f"/receipts/{answer.json()['receipt']}?wait=5").json()["state"]
        return bool(state == "done" and counted.count())

    until(posted, 60, "the counter moves")


def test_the_demonstration_composed_by_mouse_runs(browser: Any, node: Node) -> None:
    with looking(browser, viewport=WIDE) as seen:
        desk = Desk(seen.page, node, "by-mouse").open()
        seen.page.get_by_role("heading", name="Nothing is here yet").wait_for()
        for at, (name, filter) in enumerate(DEMO["nodes"].items()):
            desk.drag(filter["component"], 420 + 250 * (at % 4), 240 + 220 * (at // 4))
            desk.settings.get_by_role("heading", name=filter["component"], exact=True).wait_for()
            desk.name.fill(name)
            desk.name.press("Enter")
            desk.filter(name).wait_for()
            for param, value in filter["params"].items():
                desk.fill(f"params.{param}", value)
        for source, target in DEMO["wires"]:
            desk.draw(source, target)
            desk.wire(source, target).wait_for(state="attached")
        seen.page.keyboard.press("Escape")
        settle_graph(desk)
        desk.wait_draft(lambda graph: plain(graph) == expected("by-mouse"), "all of it is saved")
        desk.deploy("composed by mouse")
        assert node.get("/graphs/by-mouse/versions").json()[0]["note"] == "composed by mouse"
        runs(desk)
        assert seen.complaints == []


def test_the_demonstration_composed_by_keyboard_runs(browser: Any, node: Node) -> None:
    with looking(browser, viewport=WIDE) as seen:
        desk = Desk(seen.page, node, "by-keys").open()
        keyboard = seen.page.keyboard
        for name, filter in DEMO["nodes"].items():
            desk.add(filter["component"])
            desk.rename(name)
        for source, target in DEMO["wires"]:
            desk.filter(source.split(".")[0]).focus()
            keyboard.press("Enter")
            desk.connect(source, target)
        for name, filter in DEMO["nodes"].items():
            if filter["params"]:
                desk.filter(name).focus()
                keyboard.press("Enter")
                for param, value in filter["params"].items():
                    desk.fill(f"params.{param}", value)
        desk.filter("index").focus()
        keyboard.press("Escape")
        settle_graph(desk)
        desk.wait_draft(lambda graph: plain(graph) == expected("by-keys"), "all of it is saved")
        desk.filter("index").focus()
        keyboard.press("t")
        keyboard.press("Control+Enter")
        seen.page.get_by_role("dialog").wait_for()
        keyboard.type("composed by keyboard")
        keyboard.press("Enter")
        desk.wait_live()
        assert node.get("/graphs/by-keys/versions").json()[0]["note"] == "composed by keyboard"
        runs(desk)
        assert seen.complaints == []


def test_what_is_dropped_stays_where_it_was_dropped(browser: Any, node: Node) -> None:
    with looking(browser, viewport={"width": 1400, "height": 900}) as seen:
        desk = Desk(seen.page, node, "dropped").open()
        seen.page.get_by_role("heading", name="Nothing is here yet").wait_for()
        # the first at the edge, the last onto another one
        points = {"json": (340, 300), "null": (800, 300), "batch": (600, 600), "batch2": (600, 600)}
        for name, (x, y) in points.items():
            desk.drag({"json": "JSON", "null": "Null"}.get(name, "Batch"), x, y)
            seen.page.locator(f'.compose .react-flow__node[data-id="{name}"]:focus').wait_for()
        json, null, batch, other = (desk.filter(name).bounding_box() for name in points)
        for box, (x, y) in zip((json, null, batch), points.values(), strict=False):
            assert box["x"] <= x <= box["x"] + box["width"], (box, x)
            assert box["y"] <= y <= box["y"] + box["height"], (box, y)
        assert other["y"] >= batch["y"] + batch["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    for viewport in (WIDE, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            desk = Desk(seen.page, node, "shop")
            seen.page.goto(f"{node.url}/#/graphs/shop/compose")
            desk.filter("judge").wait_for()
            assert violations(seen.page) == []
            desk.filter("judge").focus()
            seen.page.keyboard.press("Enter")
            desk.name.wait_for()
            assert violations(seen.page) == []
            seen.page.keyboard.press("c")
            seen.page.get_by_role("combobox").wait_for()
            assert violations(seen.page) == []
            seen.page.keyboard.press("Escape")
            seen.page.keyboard.press("p")
            seen.page.get_by_role("region", name="Problems").wait_for()
            assert violations(seen.page) == []
            assert seen.complaints == []


def test_what_was_done_survives_a_reload_in_the_middle_and_can_be_undone(seen: Seen, node: Node) -> None:
    desk = Desk(seen.page, node, "shop").open()
    desk.filter("judge").wait_for()
    desk.add("Batch")
    seen.page.reload()
    desk.filter("batch").wait_for()
    seen.page.keyboard.press("Control+z")
    desk.filter("batch").wait_for(state="detached")
    seen.page.reload()
    desk.filter("judge").wait_for()
    assert desk.filter("batch").count() == 0
    seen.page.keyboard.press("Control+Shift+z")
    desk.filter("batch").wait_for()
    desk.wait_draft(lambda graph: "batch" in graph["nodes"], "what was done again is saved")
    desk.discard()


def test_gestures_wait_for_a_node_that_restarts_under_the_page(browser: Any, tmp_path: Path) -> None:
    with judging(tmp_path) as node, looking(browser) as seen:
        desk = Desk(seen.page, node, "shop").open()
        desk.filter("judge").wait_for()
        desk.add("Batch")
        desk.wait_saved()
        assert node.stop() == 0
        desk.add("Route")
        seen.page.locator(".saving", has_text="Not saved").wait_for()
        node.start()
        node.wait_ready()
        desk.wait_saved()
        assert {"batch", "route"} <= set(desk.draft()["nodes"])
        # the stream of events that broke off, and what was asked meanwhile
        assert all("ERR_" in each for each in seen.complaints), seen.complaints


def test_a_reader_sees_all_and_is_told_why_nothing_can_be_changed(browser: Any, tmp_path: Path) -> None:
    environ = {"PYPES_TOKEN": OWN}
    with running(tmp_path, graph(), *load(tmp_path), workers=1, instances=1, environ=environ) as node, looking(browser) as seen:
        node.headers["Authorization"] = f"Bearer {OWN}"
        seen.page.goto(node.url)
        seen.page.get_by_label("Token").fill(make(node, "reader", "read"))
        seen.page.get_by_role("button", name="Sign in").click()
        seen.page.get_by_role("link", name="shop").first.wait_for()
        desk = Desk(seen.page, node, "shop").open()
        desk.filter("judge").wait_for()
        refusal = "This needs a token with the scope edit."
        assert refusal in seen.page.locator(".compose-note").inner_text()
        seen.page.get_by_role("button", name="Tidy").click(force=True)
        desk.notice(refusal).wait_for()
        desk.filter("judge").click()
        assert desk.name.get_attribute("readonly") is not None
        seen.page.keyboard.press("Delete")
        seen.page.keyboard.press("/")
        seen.page.keyboard.type("batch")
        seen.page.keyboard.press("Enter")
        assert desk.filter("judge").count() == 1
        assert desk.filter("batch").count() == 0
        # and the node itself would refuse
        assert node.get("/drafts").json() == []
        # the form to sign in is the answer to who is not
        assert {*seen.complaints} <= REFUSED


def test_a_version_that_is_deployed_meanwhile_is_in_the_draft_and_said(seen: Seen, node: Node) -> None:
    desk = Desk(seen.page, node, "shop").open()
    desk.filter("judge").wait_for()
    desk.add("Batch")
    desk.wait_saved()
    live = node.get("/graphs/shop").json()
    changed = {**live["graph"], "description": "deployed elsewhere"}
    answer = node.http.request("PUT", f"{node.url}/graphs/shop", json=changed, headers=node.headers)
    assert answer.status == 200, answer.data
    desk.notice(f"Version {live['version'] + 1} was deployed meanwhile").wait_for()
    draft = desk.wait_draft(lambda graph: graph.get("description") == "deployed elsewhere", "its changes are in the draft")
    assert "batch" in draft["nodes"]
    assert node.get("/graphs/shop/draft").json()["base"] == live["version"] + 1
    desk.discard()


def test_a_number_that_browsers_round_is_not_saved_as_another_one(seen: Seen, node: Node) -> None:
    digits = "12345678901234567890"
    document = graph(
        "digits", tests=[{"name": "one", "post": {"body": {"n": 0}, "content_type": "application/json"}, "expect": []}]
    )
    body = json.dumps(document).replace('"n": 0', f'"n": {digits}').encode()
    headers = {"Content-Type": "application/json"}
    answer = node.http.request("PUT", f"{node.url}/graphs/digits", body=body, headers=headers)
    assert answer.status == 201, answer.data
    seen.page.goto(f"{node.url}/#/graphs/digits/compose")
    alert = seen.page.get_by_role("alert").filter(has_text=digits)
    alert.wait_for()
    assert "tests.0.post.body.n" in alert.inner_text()
    assert digits in node.get("/graphs/digits").data.decode()
    assert node.get("/graphs/digits/draft").status == 404


def test_a_page_that_cannot_be_shown_says_so_and_gives_the_draft_away(seen: Seen, node: Node) -> None:
    deployed(node, graph("broken"))
    desk = Desk(seen.page, node, "broken")
    page = desk.page
    # the canvas can be drawn as long as there is no such mark
    page.add_init_script("""
      const Real = ResizeObserver;
      window.ResizeObserver = class extends Real {
        constructor(call) {
          if (window.isBroken) throw new Error("planted");
          super(call);
        }
      };
    """)
    desk.open().add("Batch")
    desk.wait_saved()
    page.evaluate("isBroken = true")
    for tab in ("Watch", "Compose"):
        page.get_by_role("link", name=tab, exact=True).click()
        page.get_by_role("heading", name="This page could not be shown").wait_for()
        page.get_by_text("planted").wait_for()
    page.get_by_role("main").get_by_role("link", name="To the graphs").last.wait_for()
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the draft as a file").click()
    kept = json.loads(Path(download.value.path()).read_text())
    assert [each["component"] for each in kept["nodes"].values()].count("Batch") == 1
    page.evaluate("isBroken = false")
    page.get_by_role("button", name="Try again").click()
    desk.filter("batch").wait_for()
    page.evaluate("isBroken = true")
    page.get_by_role("link", name="Watch", exact=True).click()
    page.get_by_role("link", name="Compose", exact=True).click()
    page.get_by_role("button", name="Discard draft").click()
    page.evaluate("isBroken = false")
    page.get_by_role("dialog").get_by_role("button", name="Discard draft").click()
    page.locator(".saving", has_text="As deployed").wait_for()
    assert node.get("/graphs/broken/draft").status == 404
    seen.complaints[:] = [each for each in seen.complaints if "planted" not in each]


def test_a_graph_that_is_taken_down_meanwhile_keeps_its_draft(browser: Any, node: Node) -> None:
    deployed(node, graph("taken"))
    with looking(browser) as seen:
        desk = Desk(seen.page, node, "taken").open()
        desk.filter("judge").wait_for()
        desk.add("Batch")
        desk.wait_saved()
        assert node.http.request("DELETE", f"{node.url}/graphs/taken", headers=node.headers).status < 300
        desk.notice("The graph was taken down meanwhile").wait_for()
        assert not desk.notice("was deployed").count()
        assert {"batch", "judge"} <= set(desk.draft()["nodes"])
    # the frame may ask for the graph once more before it hears of it
    assert all("404 (Not Found)" in each for each in seen.complaints)
