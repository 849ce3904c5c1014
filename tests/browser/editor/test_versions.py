"""Versions of a graph in the editor: how they differ, deploying a draft, rolling back, and the file in the folder of graphs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, until
from tests.browser.chromium import PHONE, Seen, looking, violations
from tests.browser.editor.drafting import CONFLICT, deployed, draft_of, drafted, excused, live, lower, send
from tests.browser.nodes import HOSTILE_TEXT, graph, judging, post

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("versions")) as node:
        yield node


def opened(seen: Seen, node: Node, name: str, params: str = "") -> Any:
    seen.page.goto(f"{node.url}/#/graphs/{name}/versions{params}")
    seen.page.get_by_role("region", name="Difference").wait_for()
    return seen.page


def test_a_draft_is_compared_with_what_is_live_in_colours_and_in_words(seen: Seen, node: Node) -> None:
    name = deployed(node, lower("compared", "title", "text"))
    draft = lower(name, "title")
    del draft["nodes"]["judge"]
    draft["nodes"]["check"] = {"component": "Judge", "timeout_s": 5}
    draft["wires"] = [["json.out", "lower.in"], ["lower.out", "check.in"], ["check.out", "null.in"]]
    drafted(node, draft, 1)
    page = opened(seen, node, name)
    page.get_by_role("status").filter(has_text="7 changes").wait_for()
    for filter, mark in (("judge", "removed"), ("check", "added"), ("lower", "changed")):
        card = page.locator(f'.react-flow__node.mark-{mark}[data-id="{filter}"]')
        assert mark in card.get_attribute("aria-label")
    assert page.locator(".react-flow__edge.mark-added").count() == 2
    removed = page.locator('.react-flow__edge.mark-removed[data-id="judge.out null.in"]')
    assert removed.get_attribute("aria-label").endswith("removed")
    row = page.get_by_role("table", name="Parameters of lower").get_by_role("row", name="fields")
    assert row.locator("del").inner_text() == ', "text"'
    # what is chosen in words is chosen on the canvas
    page.get_by_role("region", name="Changes").get_by_role("button", name="check", exact=True).click()
    page.locator('.react-flow__node.selected[data-id="check"]').wait_for()
    page.get_by_role("button", name="Swap before and after").click()
    page.locator('.react-flow__node.mark-added[data-id="judge"]').wait_for()


def test_a_draft_is_deployed_and_its_way_told(seen: Seen, node: Node) -> None:
    name = deployed(node, graph("launched"))
    drafted(node, lower(name, "title"), 1)
    page = opened(seen, node, name)
    page.get_by_role("button", name="Deploy").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("4 changes").wait_for()
    dialog.get_by_label("What was changed").fill("titles in small letters")
    page.keyboard.press("Enter")
    progress = dialog.get_by_role("list", name="Progress")
    for text in ("Version 2 is being set up.", "Documents go to version 2", "Version 2 is live."):
        progress.get_by_text(text).wait_for()
    assert progress.get_by_text("is ready, after").count() >= 1
    page.get_by_role("dialog").locator("footer").get_by_role("button", name="Close").click()
    # the history has it, and what it changed is shown
    page.get_by_text("titles in small letters").wait_for()
    page.locator('.react-flow__node.mark-added[data-id="lower"]').wait_for()
    assert live(node, name)["version"] == 2
    assert page.get_by_role("combobox", name="Before").input_value() == "1"


def test_a_draft_that_cannot_be_set_up_says_why(seen: Seen, node: Node) -> None:
    name = deployed(node, graph("sick"))
    draft = graph(name)
    draft["nodes"]["judge"] = {"component": "Absent", "params": {"reason": HOSTILE_TEXT}}
    drafted(node, draft, 1)
    page = opened(seen, node, name)
    page.get_by_role("button", name="Deploy").click()
    page.get_by_role("dialog").get_by_role("button", name="Deploy").click()
    page.get_by_role("alert").filter(has_text=HOSTILE_TEXT).wait_for()
    page.get_by_text("Version 1 goes on as before.").wait_for()
    assert page.get_by_role("link", name="Open Compose to mend it").get_attribute("href").endswith("?filter=judge")
    assert live(node, name)["version"] == 1
    assert page.locator("main img").count() == 0
    excused(seen, CONFLICT)


def test_an_earlier_version_is_rolled_back_to_after_a_question(seen: Seen, node: Node) -> None:
    name = deployed(node, graph("back"), lower("back", "title"), note="small%20letters")
    page = opened(seen, node, name)
    page.get_by_role("button", name="Roll back Version 1").click()
    dialog = page.get_by_role("dialog", name="Roll back to version 1?")
    dialog.get_by_role("button", name="Cancel").click()
    assert live(node, name)["version"] == 2
    page.get_by_role("button", name="Roll back Version 1").click()
    dialog.get_by_text("4 changes").wait_for()
    dialog.get_by_role("button", name="Roll back").click()
    dialog.get_by_text("Version 3 is live.").wait_for()
    assert "lower" not in live(node, name)["graph"]["nodes"]


def test_any_two_versions_are_compared_and_each_is_a_file(seen: Seen, node: Node) -> None:
    name = deployed(node, graph("many"), lower("many", "title"), lower("many", "title", "text"))
    page = opened(seen, node, name)
    page.get_by_role("button", name="Version 2: show what it changed").click()
    page.get_by_role("status").filter(has_text="4 changes").wait_for()
    page.get_by_role("combobox", name="After").select_option("3")
    page.get_by_role("status").filter(has_text="4 changes").wait_for()
    page.get_by_role("combobox", name="Before").select_option("2")
    page.get_by_role("status").filter(has_text="1 change").wait_for()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download version 2 as a file").click()
    assert downloading.value.suggested_filename == "many.json"
    assert json.loads(downloading.value.path().read_text())["nodes"]["lower"]["params"] == {"fields": ["title"]}


def test_a_file_that_was_changed_in_the_folder_is_compared_and_taken_into_the_draft(seen: Seen, tmp_path: Path) -> None:
    with judging(tmp_path, environ={"PYPES_SERVER_WATCH": "no"}) as node:
        file = node.graphs / "shop.json"
        file.write_text(json.dumps(lower("shop", "title", description="of Git")))
        page = opened(seen, node, "shop")
        page.get_by_text("Changed in the folder, and not deployed").wait_for()
        page.locator('.react-flow__node.mark-added[data-id="lower"]').wait_for()
        assert page.get_by_role("combobox", name="After").input_value() == "file"
        take = page.get_by_role("button", name="Take into the draft")
        take.click()
        page.get_by_text("The draft has what the file says.").wait_for()
        page.get_by_role("button", name="Draft: compare with what is live").wait_for()
        assert draft_of(node, "shop")["graph"]["nodes"]["lower"]["params"] == {"fields": ["title"]}
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Draft: compare with what is live").wait_for(state="detached")
        assert node.get("/graphs/shop/draft").status == 404
        # a draft keeps what it has besides; where both changed the same, it is the file's
        drafted(node, graph("shop", description="of the draft", provenance=True), 1)
        page.get_by_role("button", name="Draft: compare with what is live").wait_for()
        take.click()
        page.get_by_text("Where both had changed the same, once, it is the file's.").wait_for()
        merged = draft_of(node, "shop")["graph"]
        assert (merged["description"], merged["provenance"], "lower" in merged["nodes"]) == ("of Git", True, True)
        file.write_text("{")
        page.get_by_role("region", name="History").get_by_text("line 1").wait_for()


def test_texts_of_others_are_only_text(seen: Seen, node: Node) -> None:
    hostile = {**graph("hostile"), "description": HOSTILE_TEXT}
    hostile["tests"] = [{"name": HOSTILE_TEXT, "post": {"body": {}}}]
    name = deployed(node, graph("hostile"))
    send(node, "PUT", f"/graphs/{name}?note=%3Cimg%20src=x%20onerror=alert(1)%3E&by=%3Cb%3E", hostile)
    page = opened(seen, node, name)
    page.get_by_role("table", name="Settings of the graph").filter(has_text=HOSTILE_TEXT).wait_for()
    page.get_by_text("<img src=x onerror=alert(1)>").wait_for()
    assert page.locator("main img, main b").count() == 0


def test_a_draft_runs_beside_what_is_live_and_what_differs_is_drawn(seen: Seen, node: Node) -> None:
    name = deployed(node, lower("shadowed", "title"))
    draft = lower(name, "text")
    draft["nodes"]["check"] = {"component": "Null"}
    draft["wires"] += [["judge.error", "check.in"]]
    drafted(node, draft, 1)
    page = opened(seen, node, name)
    page.get_by_role("button", name="Try it").click()
    page.get_by_label("Documents to compare").fill("4")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("It waits for documents.").wait_for()

    def done() -> bool:
        # equal in both, different, and what ends otherwise
        post(
            node, {"title": "a", "text": "b"}, {"title": "ONE", "text": HOSTILE_TEXT}, {"title": "x", "bad": "wrong"}, route=name
        )
        return bool(page.get_by_text("4 of 4 documents compared").is_visible())

    until(done, 60, "the shadow has seen enough")
    page.get_by_role("status").filter(has_text="Done.").wait_for()
    outcome = page.get_by_role("figure", name="Documents by result")
    same, different = (int(outcome.get_by_text(word).inner_text().split()[0]) for word in ("the same", "different"))
    assert same >= 1
    assert different >= 2
    assert same + different == 4
    fields = page.get_by_role("table", name="Fields that differ at null")
    assert "title" in fields.inner_text()
    times = page.get_by_role("table", name="Time in each filter for a document")
    row = times.get_by_role("row").filter(has=page.get_by_role("rowheader", name="check"))
    assert row.get_by_role("cell").first.inner_text() == "not there"
    assert page.get_by_text("failed in judge (component.raised) → published").count() >= 1
    assert page.locator("main img").count() == 0
    # a reload shows it again, and leads back to the differences
    page.reload()
    outcome.wait_for()
    page.get_by_role("button", name="Draft: compare with what is live").click()
    page.locator('.react-flow__node.mark-added[data-id="check"]').wait_for()


def test_a_shadow_is_ended(seen: Seen, node: Node) -> None:
    name = deployed(node, graph("ended"))
    drafted(node, lower(name, "title"), 1)
    page = opened(seen, node, name)
    page.get_by_role("button", name="Try it").click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("button", name="End it").click()
    page.get_by_role("status").filter(has_text="Ended before it was done.").wait_for()
    page.get_by_role("button", name="Start another one").click()
    page.get_by_label("Documents to compare").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    name = f"axe-{scheme}"
    deployed(node, graph(name), lower(name, "title"))
    drafted(node, lower(name, "text"), 2)
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            page = opened(seen, node, name)
            page.get_by_role("table", name="Parameters of lower").wait_for()
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            page.get_by_role("button", name="Deploy").click()
            page.get_by_role("dialog").wait_for()
            assert violations(page) == []
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Try it").click()
            page.get_by_label("Documents to compare").wait_for()
            assert violations(page) == []
            assert seen.complaints == []


def test_documents_that_wait_in_a_former_version_are_told(seen: Seen, node: Node) -> None:
    name = deployed(node, graph("parted"))
    page = seen.page

    def answer(route: Any) -> None:
        # it takes a destination that is away, and the grace of a version
        found = route.fetch().json()
        route.fulfill(json={**found, "former": [{"version": 7, "until": "2030-01-31T12:00:30Z"}]})

    page.route(f"{node.url}/graphs/{name}", answer)
    for tab in ("", "/versions"):
        page.goto(f"{node.url}/#/graphs/{name}{tab}")
        page.get_by_role("status").filter(has_text="Version 7 still finishes what it has begun, until").wait_for()
    page.unroute(f"{node.url}/graphs/{name}")
    page.get_by_text("Version 7 still").wait_for(state="detached")
