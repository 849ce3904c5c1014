"""All graphs of a node in the editor: how they are, and what can be done with them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.browser.chromium import PHONE, Seen, expect, looking, violations
from tests.browser.nodes import empty, graph, judging, load, post
from tests.browser.test_session import OWN, REFUSED, make

pytestmark = pytest.mark.browser

LONG = "archive_of_all_letters_that_came_to_the_office_since_the_year_"[:60]


def broken() -> dict[str, Any]:
    """A graph that cannot be set up, for its filter ``absent``."""
    made = graph("broken")
    made["nodes"]["absent"] = {"component": "Absent", "params": {"reason": "no key to the vault"}}
    made["wires"] = [["json.out", "judge.in"], ["judge.out", "absent.in"], ["absent.out", "null.in"]]
    return made


def misspelt() -> dict[str, Any]:
    """A graph whose component does not exist."""
    made = graph("misspelt")
    made["nodes"]["judge"]["component"] = "Jugde"
    return made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("graphs"), graph(), graph("gone"), graph(LONG), broken(), misspelt()) as node:
        post(node, {"title": "loom"}, {"title": "torn", "bad": "torn"})
        yield node


def card(page: Any, name: str) -> Any:
    return page.locator(".graph-card", has=page.get_by_role("heading", name=name, exact=True))


def choose(page: Any, name: str, command: str) -> None:
    page.get_by_role("button", name=f"More of {name}", exact=True).click()
    page.get_by_role("menuitem", name=command).click()


def test_each_graph_says_how_it_is_and_leads_to_what_mends_it(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(node.url)
    expect(card(page, "shop").locator(".state")).to_have_text("Live")
    cause = card(page, "shop").get_by_role("link", name=re.compile("judge component.raised"))
    assert cause.get_attribute("href") == "#/repair?graph=shop&filter=judge&code=component.raised"
    failed = card(page, "broken")
    expect(failed.locator(".state")).to_have_text("Cannot run")
    expect(failed).to_contain_text("no key to the vault")
    assert "component 'Jugde'" in card(page, "misspelt").inner_text()
    assert "misspelt.json" in card(page, "misspelt").inner_text()
    page.get_by_role("region", name="This node").get_by_text("1 of 1 ready").first.wait_for()
    failed.get_by_role("link", name="Show absent").click()
    page.get_by_role("complementary", name="absent").wait_for()


def test_a_graph_is_paused_resumed_and_exported(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(node.url)
    choose(page, "shop", "Pause the graph")
    expect(card(page, "shop").locator(".state")).to_have_text("Paused")
    choose(page, "shop", "Resume the graph")
    expect(card(page, "shop").locator(".state")).to_have_text("Live")
    with page.expect_download() as download:
        choose(page, "shop", "Export its file")
    assert download.value.suggested_filename == "shop.json"
    assert json.loads(download.value.path().read_text())["nodes"]["judge"]["component"] == "Judge"


def test_a_graph_is_deleted_once_it_was_said_what_that_means(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(node.url)
    choose(page, "gone", "Delete")
    dialog = page.get_by_role("dialog", name="Delete gone?")
    dialog.get_by_text("Its versions are kept").wait_for()
    dialog.get_by_role("button", name="Cancel").click()
    expect(card(page, "gone")).to_have_count(1)
    choose(page, "gone", "Delete")
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_text("gone is deleted.").wait_for()
    expect(card(page, "gone")).to_have_count(0)


def test_a_file_is_read_before_anything_is_made_of_it(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(node.url)
    page.get_by_role("button", name="Import a graph").click()
    dialog = page.get_by_role("dialog", name="Import a graph")
    chosen = dialog.get_by_label("File")
    chosen.set_input_files({"name": "torn.json", "mimeType": "application/json", "buffer": b"{"})
    dialog.get_by_text("torn.json is no graph file").wait_for()
    given = json.dumps({**misspelt(), "name": "shop"}).encode()
    chosen.set_input_files({"name": "given.json", "mimeType": "application/json", "buffer": given})
    dialog.get_by_text("given.json is a graph file.").wait_for()
    dialog.get_by_role("region", name="What is to be mended").get_by_text("unknown component 'Jugde'").wait_for()
    dialog.get_by_text("There is a graph or a draft shop already.").wait_for()
    # somebody looks for another file, and chooses none
    chosen.dispatch_event("cancel")
    assert dialog.is_visible()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_a_graph_is_begun_as_a_draft(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(node.url)
    page.get_by_role("button", name="New graph").click()
    dialog = page.get_by_role("dialog", name="New graph")
    dialog.get_by_label("Name").fill("two words")
    dialog.get_by_text("A name has up to 64 letters").wait_for()
    dialog.get_by_label("Name").fill("mill")
    dialog.get_by_label("Begin with").select_option(label="A copy of shop")
    dialog.get_by_label("Name").press("Enter")
    expect(page).to_have_url(f"{node.url}/#/graphs/mill/compose")
    draft = node.get("/graphs/mill/draft").json()
    assert (draft["base"], draft["graph"]["name"], draft["graph"]["routes"]) == (0, "mill", ["mill"])
    assert draft["graph"]["nodes"]["judge"]["component"] == "Judge"
    page.goto(f"{node.url}/#/graphs")
    expect(card(page, "mill").locator(".state")).to_have_text("Draft, not deployed")


def test_enter_begins_the_graph_whose_name_was_typed(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(node.url)
    page.get_by_role("button", name="New graph").click()
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{node.url}/#/graphs/typed/compose")


def test_a_node_that_starts_does_not_say_that_it_has_no_graph(browser: Any, node: Node) -> None:
    status = node.get("/status").json()
    with looking(browser) as seen:
        page = seen.page
        page.route("**/status", lambda route: route.fulfill(json={**status, "state": "starting", "graphs": [], "undeployed": []}))
        page.route("**/drafts", lambda route: route.fulfill(json=[]))
        page.goto(node.url)
        page.get_by_role("heading", name="The node is starting").wait_for()
        assert page.get_by_role("button", name="New graph").count() == 0


def test_a_reader_is_told_what_changes_need(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("guarded")
    with running(base, graph(), *load(base), workers=1, instances=1, environ={"PYPES_TOKEN": OWN}) as node:
        node.headers["Authorization"] = f"Bearer {OWN}"
        for graphs in ((), ("shop",)):
            secret = make(node, f"reader{len(graphs)}", "read", graphs=graphs)
            with looking(browser) as seen:
                page = seen.page
                page.goto(node.url)
                page.get_by_label("Token").fill(secret)
                page.get_by_role("button", name="Sign in").click()
                page.goto(f"{node.url}/#/graphs")
                expect(card(page, "shop").locator(".state")).to_have_text("Live")
                # it is not enabled, and says why when it is used all the same
                page.get_by_role("button", name="New graph").click(force=True)
                page.get_by_text("This needs a token with the scope edit").wait_for()
                # a token for some graphs is not told of the queues, which does not mean that they fail
                expect(page.get_by_role("region", name="This node")).not_to_contain_text("cannot be written")
                page.get_by_role("button", name="More of shop", exact=True).click()
                assert page.get_by_role("menuitem", name="Delete").get_attribute("aria-disabled") == "true"
                page.goto(f"{node.url}/#/graphs/shop?filter=judge")
                page.get_by_role("complementary", name="judge").get_by_text("It has none.").wait_for()
                if graphs:
                    page.goto(f"{node.url}/#/graphs/secret/compose")
                    page.get_by_role("alert").filter(has_text="is for other graphs").wait_for()
                # the page where a token is asked for comes with this status
                assert {*seen.complaints} <= REFUSED


def test_a_node_without_graphs_says_what_to_do(seen: Seen, tmp_path_factory: pytest.TempPathFactory) -> None:
    with empty(tmp_path_factory.mktemp("empty")) as node:
        seen.page.goto(node.url)
        seen.page.get_by_role("heading", name="No graph yet").wait_for()
        seen.page.keyboard.press("n")
        seen.page.get_by_role("dialog", name="New graph").get_by_label("Name").press("Escape")
        seen.page.get_by_role("dialog").wait_for(state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_and_nothing_is_wider_than_a_phone(browser: Any, node: Node, scheme: str) -> None:
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            page = seen.page
            page.goto(node.url)
            card(page, LONG).wait_for()
            card(page, "shop").get_by_role("link", name=re.compile("judge")).wait_for()
            assert violations(page) == []
            assert page.evaluate("document.querySelector('main').scrollWidth <= innerWidth")
            page.get_by_role("button", name="New graph").click()
            page.get_by_role("dialog").wait_for()
            assert violations(page) == []
            assert seen.complaints == []
