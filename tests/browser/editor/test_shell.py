"""The frame of the editor in a browser: it starts, asks nobody else, and can be used without a mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.browser.chromium import PHONE, Seen, expect, looking, violations
from tests.browser.nodes import graph, judging, load
from tests.browser.test_session import OWN, REFUSED, make

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("shell")) as node:
        yield node


def test_it_starts_and_asks_its_own_node_only(seen: Seen, node: Node) -> None:
    seen.page.goto(node.url)
    seen.page.get_by_role("link", name="shop").wait_for()
    assert all(request.startswith((f"{node.url}/", "data:")) for request in seen.requests)
    assert seen.page.title() == "Graphs · Pypes"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        # axe is no part of the editor, and would be refused
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            seen.page.goto(node.url)
            seen.page.get_by_role("link", name="shop").wait_for()
            assert violations(seen.page) == []
            assert seen.complaints == []


def test_a_page_that_fails_leaves_the_others(browser: Any, node: Node) -> None:
    with looking(browser) as seen:
        page = seen.page
        page.route("**/drafts", lambda route: route.fulfill(json={}))
        page.goto(node.url)
        page.get_by_role("heading", name="This page could not be shown").wait_for()
        page.unroute("**/drafts")
        page.get_by_role("button", name="Try again").click()
        page.get_by_role("link", name="shop").wait_for()
        page.get_by_role("link", name="Repair").click()
        page.get_by_role("heading", name="Repair").wait_for()


def test_who_signs_in_again_is_where_the_session_was_over(browser: Any, tmp_path: Path) -> None:
    environ = {"PYPES_TOKEN": OWN}
    with running(tmp_path, graph(), *load(tmp_path), workers=1, instances=1, environ=environ) as node, looking(browser) as seen:
        page = seen.page
        page.goto(node.url)
        page.get_by_label("Token").fill(OWN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Repair").click()
        page.get_by_role("heading", name="Repair").wait_for()
        page.context.clear_cookies()
        page.get_by_role("link", name="Follow").click()
        page.get_by_role("searchbox").fill("looms.md")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Sign in again").click()
        page.get_by_label("Token").fill(OWN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Follow").wait_for()
        assert {*seen.complaints} <= REFUSED


def test_of_a_session_that_ends_nothing_else_is_told(browser: Any, tmp_path: Path) -> None:
    environ = {"PYPES_TOKEN": OWN}
    with running(tmp_path, graph(), *load(tmp_path), workers=1, instances=1, environ=environ) as node, looking(browser) as seen:
        node.headers["Authorization"] = f"Bearer {OWN}"
        page = seen.page
        page.goto(f"{node.url}/#/graphs/shop")
        page.get_by_label("Token").fill(make(node, "short", "edit"))
        page.get_by_role("button", name="Sign in").click()
        line = page.get_by_role("banner").get_by_role("status")
        expect(line).to_have_text("Live")
        assert node.http.request("DELETE", f"{node.url}/tokens/short", headers=node.headers).status == 204
        page.get_by_text("The session is over.").first.wait_for()
        expect(line).to_have_count(0)
        assert page.get_by_text("The node does not answer").count() == 0
        assert {*seen.complaints} <= REFUSED


def test_a_link_leads_to_its_place_once_one_has_signed_in(browser: Any, tmp_path: Path) -> None:
    environ = {"PYPES_TOKEN": OWN}
    with running(tmp_path, graph(), *load(tmp_path), workers=1, instances=1, environ=environ) as node, looking(browser) as seen:
        page = seen.page
        page.goto(f"{node.url}/#/graphs/shop/compose")
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("The node does not take this token").wait_for()
        page.get_by_label("Token").fill(OWN)
        page.keyboard.press("Enter")
        page.get_by_role("searchbox", name="Search components").wait_for()
        # browsers do not send the cookie with the link of a page of another site
        link = f"<a href='{page.url}'>the graph</a>"
        page.route("http://elsewhere.example/", lambda route: route.fulfill(body=link, content_type="text/html"))
        page.goto("http://elsewhere.example/")
        page.get_by_role("link").click()
        page.get_by_role("searchbox", name="Search components").wait_for()
        assert {*seen.complaints} <= REFUSED


def test_every_command_is_in_the_palette_and_keys_lead_to_it(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(node.url)
    page.get_by_role("link", name="shop").wait_for()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").press_sequentially("dark")
    page.get_by_role("option", name="Colours: Dark").wait_for()
    page.keyboard.press("Enter")
    page.locator('html[data-theme="dark"]').wait_for()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").press_sequentially("deutsch")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Graphen").wait_for()
    page.reload()
    page.locator('html[data-theme="dark"][lang="de"]').wait_for(state="attached")
