"""Sending a sample through a graph in the editor, going through it step by step, and the tests that are made of samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.browser.chromium import PHONE, Seen, expect, looking, violations
from tests.browser.editor.drafting import deployed, draft_of, drafted, excused, lower
from tests.browser.nodes import HOSTILE_TEXT, graph, judging, load, post

pytestmark = pytest.mark.browser

SAMPLE = [{"title": "ONE", "text": "A\nB"}, {"title": "TWO", "text": "C", "bad": "wrong"}]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("step")) as node:
        yield node


def opened(seen: Seen, node: Node, name: str) -> Any:
    seen.page.goto(f"{node.url}/#/graphs/{name}/step")
    seen.page.get_by_role("tab", name="Paste").wait_for()
    return seen.page


def run(page: Any, sample: Any) -> None:
    """Send something pasted through the graph."""
    page.get_by_label("Text or JSON").fill(json.dumps(sample))
    page.get_by_label("Text or JSON").press("Control+Enter")
    page.get_by_role("region", name="Step", exact=True).wait_for()
    # arrows are for the steps again
    page.get_by_label("Text or JSON").blur()


def at(page: Any, filter: str) -> None:
    page.get_by_role("region", name="Step", exact=True).get_by_role("heading", name=filter, exact=True).wait_for()


@pytest.mark.parametrize("locale", ["en", "de"])
def test_all_ways_to_a_sample_are_seen(browser: Any, node: Node, locale: str) -> None:
    for viewport in ({"width": 1400, "height": 900}, PHONE):
        with looking(browser, viewport=viewport, locale=locale) as seen:
            page = seen.page
            page.goto(f"{node.url}/#/graphs/{deployed(node, lower('stepped', 'title'))}/step")
            page.get_by_role("tab").nth(3).wait_for()
            cut = page.get_by_role("tablist").evaluate_all(
                "all => all.filter(each => each.scrollWidth > each.clientWidth).length"
            )
            assert cut == 0


def test_a_sample_is_stepped_through_by_keys(seen: Seen, node: Node) -> None:
    page = opened(seen, node, deployed(node, lower("stepped", "title")))
    run(page, SAMPLE)
    page.get_by_role("status").filter(has_text="1 published, 0 dropped, 1 failed").wait_for()
    at(page, "json")
    page.keyboard.press("ArrowRight")
    at(page, "lower")
    before, after = page.get_by_role("region", name="Before"), page.get_by_role("region", name="After")
    assert "ONE" in before.inner_text()
    assert (after.locator("del").inner_text(), after.locator("ins").inner_text()) == ("ONE", "one")
    page.locator('.react-flow__node.selected[data-id="lower"]').wait_for()
    assert page.locator(".react-flow__edge.mark-taken").count() == 3
    # the other packet fails further on
    page.keyboard.press("ArrowDown")
    page.get_by_text("Packet 2 of 2").wait_for()
    page.keyboard.press("ArrowRight")
    at(page, "judge")
    failure = page.get_by_role("region", name="Failure")
    failure.get_by_text("ValueError: wrong").first.wait_for()
    failure.get_by_text("Traceback").first.click()
    failure.get_by_role("region", name="Traceback").filter(has_text='raise ValueError(packet.get("bad"))').wait_for()
    assert "1 packet failed here" in page.locator('.react-flow__node[data-id="judge"]').get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    page.get_by_text("The way of the packet ends here.").wait_for()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    at(page, "null")
    page.get_by_text("Here it would be handed to its destination.").wait_for()
    page.keyboard.press("ArrowLeft")
    at(page, "judge")
    # the list of filters has times, and leads anywhere
    steps = page.get_by_role("list", name="Filters in their order")
    assert (
        steps.get_by_role("listitem")
        .filter(has_text="judge")
        .filter(has_text="2 packets came, 1 went")
        .filter(has_text="ms")
        .count()
        == 1
    )
    steps.get_by_role("button", name="json").click()
    at(page, "json")


def test_a_pinned_packet_changes_while_a_parameter_is_edited(seen: Seen, node: Node) -> None:
    name = deployed(node, lower("pinned", "title"))
    drafted(node, lower(name, "title"), 1)
    page = opened(seen, node, name)
    page.get_by_text("Runs on the draft.").wait_for()
    run(page, SAMPLE)
    page.keyboard.press("ArrowRight")
    at(page, "lower")
    page.get_by_role("button", name="Pin", exact=True).click()
    pinned = page.get_by_role("region", name="Pinned packet")
    pinned.get_by_text("Nothing differs.").first.wait_for()
    drafted(node, lower(name, "text"), 1)
    table = pinned.get_by_role("table", name="Fields of the pinned packet, then and now")
    title, text = (table.get_by_role("row", name=field) for field in ("title", "text"))
    title.locator("ins", has_text="ONE").wait_for()
    assert title.locator("del").inner_text() == "one"
    assert "".join(text.locator("ins").all_inner_texts()).replace("\n", "") == "ab"
    # the parameters are beside it, too
    page.get_by_role("button", name="Parameters", exact=True).click()
    form = page.get_by_role("complementary", name="Parameters of lower")
    form.get_by_label("case").select_option("upper")
    page.get_by_role("region", name="Pinned packet").get_by_role("row", name="text").wait_for(state="detached")
    until(lambda: draft_of(node, name)["graph"]["nodes"]["lower"]["params"].get("case") == "upper", 20, "the draft is saved")
    # a graph that cannot run says so, and what is pinned stays
    broken = lower(name, "text")
    broken["nodes"]["judge"] = {"component": "Nobody"}
    drafted(node, broken, 1)
    page.get_by_role("alert").filter(has_text="Nobody").wait_for()
    title.locator("ins", has_text="ONE").wait_for()
    excused(seen, "422 (Unprocessable Entity)")


def test_a_test_is_made_by_a_click_and_tells_when_something_is_otherwise(seen: Seen, node: Node) -> None:
    name = deployed(node, lower("tested", "title"))
    page = opened(seen, node, name)
    run(page, SAMPLE)
    page.get_by_role("button", name="Make a test of it").click()
    page.get_by_text("The draft has the test “ONE” now.").wait_for()
    [test] = draft_of(node, name)["graph"]["tests"]
    assert (test["name"], test["failed"][0]["filter"]) == ("ONE", "judge")
    page.get_by_role("button", name="To the tests").click()
    page.get_by_role("status").filter(has_text="The test passed").wait_for()
    drafted(node, {**lower(name, "text"), "tests": [test]}, 1)
    page.get_by_text("The graph has changed since they ran.").wait_for()
    page.get_by_role("button", name="Run the tests").click()
    page.get_by_role("status").filter(has_text="1 of 1 failed").wait_for()
    page.get_by_role("list", name="Tests").get_by_text("no packet at null has").wait_for()
    card = page.locator('.react-flow__node[data-id="null"]')
    assert "no packet at null has" in card.get_attribute("aria-label")
    # and leads into the steps
    page.get_by_role("button", name="Step through ONE").click()
    page.get_by_role("status").filter(has_text="1 published, 0 dropped, 1 failed").wait_for()
    page.get_by_role("tab", name="Tests (1)").click()
    page.get_by_role("button", name="Remove the test ONE").click()
    page.get_by_role("tab", name="Tests (0)").wait_for()


def test_samples_come_from_files_tests_wires_and_dead_letters(seen: Seen, node: Node, tmp_path: Path) -> None:
    name = deployed(node, lower("samples", "title", tests=[{"name": "kept", "post": {"body": {"title": "KEPT"}}, "expect": []}]))
    post(node, {"title": "LOST", "bad": "wrong"}, route=name)
    page = opened(seen, node, name)
    (tmp_path / "ada.json").write_text(json.dumps({"title": "FILED"}))
    after = page.get_by_role("region", name="After")
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Upload a file").click()
    choosing.value.set_files(tmp_path / "ada.json")
    after.get_by_text("FILED").wait_for()
    assert "ada.json" in after.inner_text()
    page.get_by_role("tab", name="From tests").click()
    page.get_by_role("button", name="kept").click()
    after.get_by_text("KEPT").wait_for()
    page.get_by_role("tab", name="Dead letters").click()
    page.get_by_role("list", name="Dead letters").get_by_role("button").click()
    page.get_by_role("region", name="Failure").get_by_text("ValueError: wrong").first.wait_for()
    at(page, "judge")
    page.get_by_role("tab", name="From a wire").click()
    page.get_by_role("combobox", name="Wire").select_option("json.out lower.in")
    page.get_by_role("button", name="Take the next packets").click()
    choice = page.get_by_role("list", name="From a wire").get_by_role("button").first

    def came() -> bool:
        post(node, {"title": "TAPPED"}, route=name)
        return bool(choice.is_visible())

    until(came, 30, "a packet is tapped")
    choice.click()
    at(page, "lower")
    after.locator("ins", has_text="tapped").wait_for()
    # what stands before the wire is not reached
    page.get_by_text("The sample cannot reach: json.").wait_for()


def test_a_phone_is_led_to_what_came_of_the_sample(browser: Any, node: Node) -> None:
    name = deployed(node, lower("small", "title"))
    with looking(browser, viewport=PHONE) as seen:
        page = opened(seen, node, name)
        run(page, SAMPLE)
        expect(page.get_by_text("1 published, 0 dropped, 1 failed")).to_be_in_viewport()
        assert seen.complaints == []
        broken = lower(name, "title")
        broken["nodes"]["judge"] = {"component": "Nobody"}
        drafted(node, broken, 1)
        page.reload()
        page.get_by_text("Runs on the draft.").wait_for()
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_role("alert").filter(has_text="Nobody")).to_be_in_viewport()


def test_texts_of_others_are_only_text(seen: Seen, node: Node) -> None:
    name = deployed(
        node,
        lower(
            "hostile", "title", tests=[{"name": HOSTILE_TEXT, "post": {"body": {}}, "expect": [{"node": "null", "packets": 9}]}]
        ),
    )
    page = opened(seen, node, name)
    run(page, [{HOSTILE_TEXT: HOSTILE_TEXT, "bad": HOSTILE_TEXT}])
    page.get_by_role("region", name="After").get_by_text(HOSTILE_TEXT).first.wait_for()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.get_by_role("region", name="Failure").get_by_text(HOSTILE_TEXT).first.wait_for()
    page.get_by_role("button", name="Make a test of it").click()
    page.get_by_text("The draft has the test").filter(has_text="<script>").wait_for()
    page.get_by_role("tab", name="Tests (2)").click()
    page.get_by_role("list", name="Tests").get_by_text(HOSTILE_TEXT).first.wait_for()
    assert page.locator("main img, main script").count() == 0


def test_who_may_only_read_is_told_what_is_needed(browser: Any, tmp_path: Path) -> None:
    own = "correct horse battery"
    with running(tmp_path, graph(), *load(tmp_path), workers=1, instances=1, environ={"PYPES_TOKEN": own}) as node:
        node.headers["Authorization"] = f"Bearer {own}"
        token = node.post(json.dumps({"name": "reader", "scopes": ["read"]}).encode(), "/tokens").json()["secret"]
        drafted(node, lower("shop", "title"), 1)
        with looking(browser) as seen:
            page = seen.page
            page.goto(node.url)
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            needs = "This needs a token with the scope edit."
            for address, name in (("step", "Run"), ("versions", "Deploy")):
                page.goto(f"{node.url}/#/graphs/shop/{address}")
                button = page.get_by_role("button", name=name, exact=True)
                button.wait_for()
                assert (button.get_attribute("title") or "").startswith(needs)
                assert button.get_attribute("aria-disabled") == "true"
            page.locator('.react-flow__node.mark-added[data-id="lower"]').wait_for()
            excused(seen, "401 (Unauthorized)")
            assert seen.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    name = f"axe-{scheme}"
    deployed(node, lower(name, "title", tests=[{"name": "no", "post": {"body": {}}, "expect": [{"node": "null", "packets": 9}]}]))
    drafted(
        node, lower(name, "title", tests=[{"name": "no", "post": {"body": {}}, "expect": [{"node": "null", "packets": 9}]}]), 1
    )
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            page = opened(seen, node, name)
            assert violations(page) == []
            run(page, SAMPLE)
            page.get_by_role("button", name="Pin", exact=True).click()
            page.get_by_role("region", name="Pinned packet").wait_for()
            assert violations(page) == []
            page.get_by_role("list", name="Filters in their order").get_by_role("button", name="judge").click()
            page.get_by_role("button", name="Next packet of this filter").click()
            page.get_by_role("region", name="Failure").wait_for()
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            page.get_by_role("tab", name="Tests (1)").click()
            page.get_by_role("status").filter(has_text="1 of 1 failed").wait_for()
            assert violations(page) == []
            assert seen.complaints == []
