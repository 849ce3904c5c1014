"""Following documents in a browser: by receipt, by id, by file name, and step by step where they were traced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node
from tests.browser.chromium import PHONE, Seen, looking, violations
from tests.browser.nodes import HOSTILE_TEXT, graph, judging, post

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("follow"), graph()) as node:
        yield node


def traced(node: Node, *documents: dict[str, Any]) -> str:
    """The receipt of documents that were posted to be traced, and have come to an end."""
    answer = node.post(json.dumps(documents).encode(), "/docs/shop?trace=1")
    receipt: str = answer.json()["receipt"]
    assert node.get(f"/receipts/{receipt}?wait=30").json()["pending"] == 0
    return receipt


def follow(seen: Seen, node: Node, text: str) -> Any:
    page = seen.page
    page.goto(f"{node.url}/#/follow")
    page.get_by_role("searchbox").fill(text)
    page.keyboard.press("Enter")
    return page


def test_a_receipt_leads_to_each_document_and_each_step(seen: Seen, node: Node) -> None:
    receipt = traced(node, {"id": "well", "price": 1.0}, {"id": "ill", "bad": "it is"})
    page = follow(seen, node, f" {receipt} ")
    page.get_by_text("2 accepted, 1 published, 1 failed").wait_for()
    well = page.locator(".documents > li", has_text="well")
    well.get_by_text("published by null").wait_for()
    # the way that it really took
    well.get_by_role("listitem").filter(has_text="judge").get_by_text("ms").wait_for()
    ill = page.locator(".documents > li", has_text="ill")
    ill.get_by_text("failed in judge").wait_for()

    page.get_by_text("Step 1 of 3: json").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Next step").click()
    page.get_by_text("Step 2 of 3: judge").wait_for()
    page.get_by_text("ValueError: it is").wait_for()
    page.get_by_label("Packets of").select_option("Document 1")
    page.get_by_text("ValueError: it is").wait_for(state="detached")
    page.get_by_text("Out at out: Document 1").wait_for()
    page.get_by_role("row", name="price").get_by_text("1.0").first.wait_for()

    ill.get_by_role("link", name="Repair").click()
    page.get_by_role("heading", name="Dead letter: ill").wait_for()
    page.get_by_role("button", name="Remove bad").click()
    page.get_by_role("button", name="Save and replay").click()
    # a replay of one is traced
    page.get_by_role("link", name="See what each filter did").click()
    page.get_by_text("Replay of").wait_for()
    page.get_by_text("Step 1 of 2: judge").wait_for()
    page.get_by_role("link", name=receipt).click()
    page.get_by_role("link", name="ran again: published").wait_for()


def test_arrows_lead_through_the_steps(seen: Seen, node: Node) -> None:
    receipt = traced(node, {"id": "arrows"})
    page = seen.page
    page.goto(f"{node.url}/#/follow?q={receipt}")
    page.get_by_text("Step 1 of 3: json").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.get_by_text("Step 3 of 3: null").wait_for()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("Step 2 of 3: judge").wait_for()


def test_an_id_leads_to_all_its_runs_and_a_file_name_to_what_failed(seen: Seen, node: Node) -> None:
    post(node, {"id": "twice"})
    post(node, {"id": "twice", "bad": "now"})
    page = follow(seen, node, "twice")
    page.get_by_role("heading", name="Found 2 times").wait_for()
    page.get_by_text("failed in judge").wait_for()
    page.get_by_role("listitem").filter(has_text="published by null").get_by_role("link").click()
    page.get_by_text("1 accepted, 1 published").wait_for()
    page.get_by_text("This delivery was not traced").wait_for()

    named = {"Content-Disposition": "attachment; filename*=UTF-8''t%C3%A9a.pdf"}
    answer = node.post(b"%PDF-1.4", "/docs/shop", "application/pdf", **named)
    assert answer.status == 202, answer.data
    assert node.get(f"/receipts/{answer.json()['receipt']}?wait=30").json()["failed"] == 1
    page = follow(seen, node, "téa.pdf")
    page.get_by_role("heading", name="Found once").wait_for()
    page.get_by_text("failed before the first filter").wait_for()


def test_the_id_of_a_dead_letter_leads_to_it(seen: Seen, node: Node) -> None:
    traced(node, {"id": "dead", "bad": "it is"})
    [letter] = node.get("/deadletters?id=dead").json()["deadletters"]
    page = follow(seen, node, letter["id"])
    page.get_by_text("1 accepted, 1 failed").wait_for()
    page.get_by_role("link", name="Open the dead letter").click()
    page.get_by_role("heading", name="Dead letter: dead").wait_for()


def test_what_waits_says_why_and_goes_on_by_itself(seen: Seen, node: Node) -> None:
    assert node.post(b"", "/graphs/shop/pause").status == 200
    try:
        answer = node.post(b'{"id": "waits"}', "/docs/shop?trace=1")
        page = follow(seen, node, answer.json()["receipt"])
        page.get_by_text("Waits because: the graph is paused").wait_for()
        page.get_by_text("Its steps are there when it has come to an end.").wait_for()
    finally:
        assert node.post(b"", "/graphs/shop/resume").status == 200
    page.get_by_text("published by null").wait_for()
    page.get_by_text("Step 1 of 3: json").wait_for()


def test_what_is_not_known_is_said_in_words(seen: Seen, node: Node) -> None:
    page = follow(seen, node, HOSTILE_TEXT)
    page.get_by_role("heading", name=HOSTILE_TEXT).wait_for()
    page.get_by_text("Receipts are kept for a limited time.").wait_for()
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    receipt = traced(node, {"id": HOSTILE_TEXT}, {"id": "axe", "bad": HOSTILE_TEXT, HOSTILE_TEXT: HOSTILE_TEXT})
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            page = seen.page
            page.goto(f"{node.url}/#/follow")
            page.get_by_role("link", name=receipt).wait_for()
            assert violations(page) == []
            page.get_by_role("link", name=receipt).click()
            page.get_by_role("button", name="Next step").click()
            page.get_by_text("onerror").last.wait_for()
            assert violations(page) == []
            assert page.locator("main img, main script").count() == 0
            assert page.evaluate("document.querySelector('main').scrollWidth <= document.documentElement.clientWidth")
            assert seen.complaints == []
