"""A graph at work in the editor: drawn, walked by keyboard, and what passes on its wires."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node
from tests.browser.chromium import PHONE, Seen, looking, violations
from tests.browser.nodes import judging

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("watch")) as node:
        yield node


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            seen.page.goto(f"{node.url}/#/graphs/shop")
            filter_of(seen.page, "judge").wait_for()
            assert violations(seen.page) == []
            assert seen.complaints == []
