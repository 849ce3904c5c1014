"""A graph at work in the editor: drawn, walked by keyboard, and what passes on its wires."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node
from tests.browser.chromium import PHONE, Seen, expect, looking, violations
from tests.browser.nodes import judging

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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            seen.page.goto(f"{node.url}/#/graphs/shop?filter=judge")
            seen.page.get_by_role("complementary", name="judge").get_by_text("It has none.").wait_for()
            assert violations(seen.page) == []
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
    expect(page.locator(".figure", has_text="Published").locator("dd")).not_to_have_text("0/s")


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
