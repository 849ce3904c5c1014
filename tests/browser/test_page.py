"""The page at / as a person sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, until
from tests.browser.chromium import PHONE, Seen, looking
from tests.browser.nodes import HOSTILE_CODE, HOSTILE_TEXT, empty, graph, judging, post

pytestmark = pytest.mark.browser

#: A graph that cannot be set up.
BROKEN = graph("broken")
BROKEN["nodes"]["judge"] = {"component": "Absent", "params": {"reason": HOSTILE_TEXT}}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("judging"), graph(), graph("other"), BROKEN) as started:
        post(started, {"n": 1}, {"n": 2}, {"n": 3, "bad": "wrong"}, {"n": 4, "bad": "hostile"}, {"n": 5, "bad": "hostile"})
        yield started


def test_an_empty_node_says_so(seen: Seen, tmp_path: Path) -> None:
    with empty(tmp_path) as node:
        seen.page.goto(f"{node.url}/plain")
        assert seen.page.title() == "Pypes"
        text = seen.page.inner_text("body")
        assert "No graph is deployed." in text
        assert "There are no dead letters." in text
        assert seen.texts(".warnings") == []


def test_graphs_and_their_documents_are_shown(seen: Seen, node: Node) -> None:
    seen.page.goto(f"{node.url}/plain")
    [broken, other, shop] = seen.table("Graphs")
    assert (shop["Graph"], shop["State"], shop["Accepted"], shop["Published"], shop["Failed"]) == ("shop", "live", "5", "2", "3")
    assert (other["State"], other["Accepted"], other["Dead letters"]) == ("live", "0", "0")
    assert broken["State"] == "failed"
    assert {row["State"] for row in seen.table("Instances")} == {"ready"}
    assert [row["Shard"] for row in seen.table("Queue")] == ["0"]


def test_dead_letters_are_shown_by_cause(seen: Seen, node: Node) -> None:
    seen.page.goto(f"{node.url}/plain")
    causes = [(row["Graph"], row["Filter"], row["Code"], row["Dead letters"]) for row in seen.table("Dead letters by cause")]
    assert causes == [("shop", "judge", HOSTILE_CODE, "2"), ("shop", "judge", "component.raised", "1")]


def test_texts_from_outside_are_only_text(seen: Seen, node: Node) -> None:
    seen.page.goto(f"{node.url}/plain")
    broken, *letters = seen.texts(".warnings li")
    assert broken.startswith("Graph broken cannot run: ")
    assert HOSTILE_TEXT in broken
    assert any(HOSTILE_CODE in letter for letter in letters)
    assert seen.page.locator("script, body img").count() == 0


def test_rates_come_with_the_second_look(seen: Seen, node: Node) -> None:
    seen.page.goto(f"{node.url}/plain")
    post(node, *({"n": n} for n in range(50)), route="other")

    def rate() -> str:
        seen.page.reload()
        return seen.table("Graphs")[1]["In/s"]

    until(lambda: rate() not in ("-", "0"), 30, "a rate is shown")


def test_it_fetches_itself_again_unless_told_not_to(seen: Seen, node: Node) -> None:
    seen.page.goto(f"{node.url}/plain")
    assert seen.page.get_attribute('meta[http-equiv="refresh"]', "content") == "5"
    seen.page.goto(f"{node.url}/plain?refresh=1")
    first = seen.page.inner_text("footer span")
    # nobody does anything, and the page is another one
    seen.page.wait_for_function("first => document.querySelector('footer span').innerText !== first", arg=first)
    seen.page.get_by_role("link", name="stop").click()
    assert seen.page.locator('meta[http-equiv="refresh"]').count() == 0
    seen.page.get_by_role("link", name="every 5 s").click()
    assert seen.page.get_attribute('meta[http-equiv="refresh"]', "content") == "5"


def test_nothing_else_is_fetched(seen: Seen, node: Node) -> None:
    seen.page.goto(f"{node.url}/plain")
    assert seen.requests == [f"{node.url}/plain"]


def test_no_script_is_needed_or_run(browser: Any, node: Node) -> None:
    with looking(browser, java_script_enabled=False) as seen:
        seen.page.goto(f"{node.url}/plain")
        assert "shop" in seen.page.inner_text("body")
    with looking(browser) as seen:
        seen.page.goto(f"{node.url}/plain")
        seen.page.evaluate(
            "() => { const made = document.createElement('script'); made.text = 'alert(4)'; document.body.append(made) }"
        )
        [complaint] = seen.complaints
        assert "Content Security Policy" in complaint


@pytest.mark.parametrize("width", [320, 360, 412, 760, 1200])
def test_nothing_is_scrolled_sideways(browser: Any, node: Node, width: int) -> None:
    with looking(browser, viewport={**PHONE, "width": width}) as seen:
        seen.page.goto(f"{node.url}/plain")
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        # rows are cards there, and tables still to who cannot see them
        assert len(seen.table("Graphs")) == 3
        assert seen.complaints == []


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_it_is_as_light_as_the_system(browser: Any, node: Node, scheme: str, is_dark: bool) -> None:
    with looking(browser, color_scheme=scheme) as seen:
        seen.page.goto(f"{node.url}/plain")
        color = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", color)[:3])) < 3 * 128) is is_dark


#: Least contrast of text, as WCAG 2 has it (AA).
CONTRAST = """() => {
  const light = color => {
    const parts = color.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = element => {
    const color = getComputedStyle(element).backgroundColor;
    return color.startsWith('rgba(0, 0, 0, 0') ? ground(element.parentElement) : color;
  };
  return [...document.querySelectorAll('h1, h2, p, li, th, td, caption, a, .state, footer, button, label')].map(element => {
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    return [element.tagName, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  }).filter(([, contrast]) => contrast < 4.5);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_told_from_their_ground(browser: Any, node: Node, scheme: str) -> None:
    with looking(browser, color_scheme=scheme) as seen:
        seen.page.goto(f"{node.url}/plain")
        assert seen.page.evaluate(CONTRAST) == []


def test_who_cannot_see_it_is_told_what_is_what(seen: Seen, node: Node) -> None:
    seen.page.goto(f"{node.url}/plain")
    assert seen.page.get_attribute("html", "lang") == "en"
    assert seen.page.get_by_role("heading", level=1).count() == 1
    assert seen.page.get_by_role("main").count() == 1
    for name in ("Graphs", "Dead letters by cause", "Queue", "Instances"):
        table = seen.page.get_by_role("table", name=name)
        assert table.get_by_role("columnheader").count() > 1
        assert table.get_by_role("rowheader").count() > 0
