"""Components that are made of filters: made in the editor, looked into while they run, and taken apart again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, until
from tests.browser.chromium import PHONE, looking, violations
from tests.browser.editor.desk import Desk
from tests.browser.editor.drafting import deployed, live, lower
from tests.browser.nodes import judging

pytestmark = pytest.mark.browser

WIDE = {"width": 1600, "height": 1000}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("composites")) as node:
        yield node


def test_filters_become_a_component_that_is_looked_into_and_taken_apart(browser: Any, node: Node) -> None:
    name = deployed(node, lower("shelf", "title"))
    with looking(browser, viewport=WIDE) as seen:
        page = seen.page
        desk = Desk(page, node, name).open()
        desk.filter("lower").click()
        desk.filter("judge").click(modifiers=["ControlOrMeta"])
        desk.settings.get_by_role("button", name="Make a component of it").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name", exact=True).fill("JSON")
        dialog.get_by_text("There is a component JSON already").wait_for()
        dialog.get_by_label("Name", exact=True).fill("tidy")
        dialog.get_by_label("lower.fields").check()
        dialog.get_by_role("button", name="Make it").click()
        desk.filter("tidy").wait_for()
        desk.wire("json.out", "tidy.in").wait_for(state="attached")
        assert desk.filter("lower").count() == 0
        page.locator(".shelf-name", has_text="tidy").wait_for()
        # its form has what was exposed
        desk.settings.get_by_label("fields", exact=False).first.wait_for()
        draft = desk.wait_draft(lambda graph: "tidy" in graph["nodes"], "it is saved")
        assert draft["nodes"]["tidy"]["component"] == "tidy"
        assert draft["nodes"]["tidy"]["params"] == {"fields": ["title"]}
        kept = node.get("/composites/tidy").json()["composite"]
        assert (kept["inputs"], kept["outputs"]) == ({"in": "lower.in"}, {"out": "judge.out"})
        desk.deploy("with a component")
        assert list(live(node, name)["expanded"]["nodes"]) == ["json", "null", "tidy:judge", "tidy:lower"]

        # at work
        page.get_by_role("dialog").get_by_role("link", name="Watch it at work").click()
        card = page.locator('.watch .react-flow__node[data-id="tidy"]')
        card.wait_for()
        counted = page.locator('.react-flow__node[data-id="tidy"][aria-label*="packets per second"]')

        def counts() -> bool:
            assert node.post(b'{"title": "HELLO"}', f"/docs/{name}").status == 202
            return bool(counted.count())

        until(counts, 60, "what is inside is counted at it")
        card.click()
        page.get_by_role("button", name="Look inside").click()
        page.locator('.react-flow__node[data-id="tidy:lower"]').wait_for()
        page.locator('.react-flow__edge[data-id="tidy:lower.out tidy:judge.in"]').wait_for(state="attached")
        way = page.get_by_role("navigation", name="Where this is in the graph")
        assert way.inner_text().split()[::2] == [name, "tidy"]
        page.locator('.react-flow__node[data-id="tidy:judge"]').click()
        page.get_by_role("heading", name="tidy:judge").wait_for()
        assert "in=tidy" in page.url
        page.reload()
        page.get_by_role("heading", name="tidy:judge").wait_for()
        way.get_by_role("button", name=name).click()
        card.wait_for()

        # taken apart
        desk.open()
        desk.filter("tidy").click()
        desk.settings.get_by_role("button", name="Take it apart").click()
        desk.filter("tidy-lower").wait_for()
        apart = desk.wait_draft(lambda graph: "tidy" not in graph["nodes"], "it is saved")
        assert ["json.out", "tidy-lower.in"] in apart["wires"]
        assert ["tidy-judge.out", "null.in"] in apart["wires"]
        page.keyboard.press("Control+z")
        desk.filter("tidy").wait_for()
        assert seen.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    for viewport in (WIDE, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            seen.page.goto(f"{node.url}/#/graphs/shelf?in=tidy")
            seen.page.locator('.react-flow__node[data-id="tidy:judge"]').wait_for()
            assert violations(seen.page) == []
