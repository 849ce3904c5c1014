"""Asking the index of a graph in a browser: hits with the place where they stand, and what is said where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node
from tests.browser.chromium import PHONE, Seen, looking, violations
from tests.browser.nodes import HOSTILE_TEXT, graph, judging

pytestmark = pytest.mark.browser

SEARCH = graph(
    "library",
    nodes={
        "files": {"component": "Document"},
        "chunks": {"component": "Chunk"},
        "index": {"component": "SQLiteSearch", "params": {"path": "library.db", "fields": ["title", "heading", "text"]}},
    },
    wires=[["files.out", "chunks.in"], ["chunks.out", "index.in"]],
)
BOOKS = graph(
    "books",
    nodes={
        "json": {"component": "JSON"},
        "index": {"component": "SQLiteSearch", "params": {"path": "books.db", "fields": ["title", "text"]}},
    },
    wires=[["json.out", "index.in"]],
)


def put(node: Node, body: bytes, route: str, content_type: str, **headers: str) -> None:
    answer = node.post(body, f"/docs/{route}", content_type, **headers)
    assert answer.status == 202, answer.data
    assert node.get(f"/receipts/{answer.json()['receipt']}?wait=60").json()["state"] == "done"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("answer"), graph(), SEARCH, BOOKS) as node:
        text = b"# Looms\n\n## Cards\n\nA hole in the card lifts the thread of the warp.\n"
        named = {"Content-Disposition": 'attachment; filename="looms.md"', "Pypes-Meta-url": "https://example.org/looms"}
        put(node, text, "library", "text/markdown", **named)
        hostile = {"id": "hostile", "title": HOSTILE_TEXT, "text": f"warp {HOSTILE_TEXT}"}
        put(node, json.dumps(hostile).encode(), "books", "application/json", **{"Pypes-Meta-url": "javascript:alert(1)"})
        many = [{"id": str(number), "title": f"Volume {number}", "text": "weft"} for number in range(25)]
        put(node, json.dumps(many).encode(), "books", "application/json")
        yield node


def test_a_hit_shows_what_was_found_and_where_it_stands(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/answer")
    page.get_by_text("What do you look for?").wait_for()
    # only graphs with an index can be chosen
    assert page.get_by_label("Graph", exact=True).locator("option").all_inner_texts() == ["books", "library"]
    page.get_by_label("Graph", exact=True).select_option("library")
    page.get_by_role("searchbox").fill("warp")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="1 hit").wait_for()
    assert page.locator("mark").all_inner_texts() == ["warp"]
    page.get_by_role("listitem").filter(has_text="Cards").last.wait_for()
    page.get_by_text("looms.md").wait_for()
    assert page.get_by_role("link", name="https://example.org/looms").get_attribute("href") == "https://example.org/looms"
    page.get_by_role("link", name="Follow this document").click()
    page.get_by_text("published by index").wait_for()
    page.get_by_text("This delivery was not traced").wait_for()
    page.go_back()
    # the address is enough to see the same again
    page.get_by_role("heading", name="1 hit").wait_for()
    # the browser notes in its console that there is no trace
    assert [each for each in seen.complaints if "404" not in each] == []
    seen.complaints.clear()


def test_hits_come_a_page_after_the_other(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/answer?q=weft&graph=books")
    page.get_by_role("heading", name="The best 10 hits").wait_for()
    page.get_by_role("button", name="More hits").click()
    page.get_by_role("heading", name="The best 20 hits").wait_for()
    page.get_by_role("button", name="More hits").click()
    page.get_by_role("heading", name="25 hits").wait_for()
    assert len(set(page.locator(".hits h3").all_inner_texts())) == 25


def test_what_is_not_there_is_said_in_words(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/answer?q=nowhere&graph=books")
    page.get_by_role("heading", name="Nothing was found for “nowhere”.").wait_for()
    page.goto(f"{node.url}/#/answer?q=warp&graph=shop")
    page.get_by_role("heading", name="The graph shop has no index.").wait_for()
    page.get_by_text("SQLiteSearch").wait_for()
    # the browser notes in its console that there is none
    assert [each for each in seen.complaints if "404" not in each] == []
    seen.complaints.clear()


def test_what_a_document_says_is_text_and_its_address_no_script(seen: Seen, node: Node) -> None:
    page = seen.page
    page.goto(f"{node.url}/#/answer?q=warp&graph=books")
    page.get_by_role("heading", name=HOSTILE_TEXT).wait_for()
    page.get_by_text("javascript:alert(1)").wait_for()
    assert page.locator('a[href^="javascript"], main img, main script').count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            page = seen.page
            page.goto(f"{node.url}/#/answer")
            page.get_by_text("What do you look for?").wait_for()
            assert violations(page) == []
            page.get_by_role("searchbox").fill("warp")
            page.keyboard.press("Enter")
            page.locator("mark").first.wait_for()
            assert violations(page) == []
            assert page.evaluate("document.querySelector('main').scrollWidth <= document.documentElement.clientWidth")
            assert seen.complaints == []
