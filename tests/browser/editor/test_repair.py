"""Repairing dead letters in a browser: finding the cause, mending one, replaying and deleting many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, running, until
from tests.browser.chromium import PHONE, Seen, looking, violations
from tests.browser.nodes import HOSTILE_CODE, HOSTILE_TEXT, graph, judging, load, post

pytestmark = pytest.mark.browser

OWN = "correct horse battery"
SECRET = "sesame"


def strict(name: str, years: str = "arabic", **limits: int) -> dict[str, Any]:
    """A graph that fails on years that are no numbers, unless it is told to take others as well."""
    nodes = {
        "json": {"component": "JSON"},
        "strict": {"component": "Strict", "params": {"years": years}},
        "lines": {"component": "JSONLines", "params": {"path": f"{name}.jsonl"}},
    }
    return graph(name, nodes=nodes, wires=[["json.out", "strict.in"], ["strict.out", "lines.in"]], limits=limits)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    names = ("one", "bulk", "again", "many", "gone", "left", "keys", "full", "news", "lost")
    with judging(tmp_path_factory.mktemp("repair"), graph(), *map(strict, names)) as node:
        yield node


def fail(node: Node, route: str, count: int, **fields: Any) -> None:
    """Post documents that fail in this graph."""
    post(node, *({"id": f"p-{number}", "year": "MDCCC", **fields} for number in range(count)), route=route)


def letters(node: Node, criteria: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node.get(f"/deadletters?{criteria}&limit=1000").json()["deadletters"]
    return found


def open_letter(seen: Seen, node: Node, route: str) -> Any:
    [letter] = letters(node, f"graph={route}")
    seen.page.goto(f"{node.url}/#/repair/{letter['id']}")
    seen.page.get_by_role("heading", name="Dead letter: p-0").wait_for()
    return seen.page


def published(node: Node, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (node.base / "data" / f"{name}.jsonl").read_text().splitlines()]


def test_one_is_found_by_its_cause_mended_and_replayed(seen: Seen, node: Node) -> None:
    fail(node, "one", 1, price=1.0, big=12345678901234567890, tags=["a", "b"], password=SECRET)
    page = seen.page
    page.goto(f"{node.url}/#/repair")
    page.get_by_role("link", name="component.raised one, in strict").click()
    page.get_by_role("link", name="p-0").click()
    # the line of the component that failed
    page.locator(".source", has_text='return int(packet.get("year"))').wait_for()
    page.get_by_role("link", name="one, version 1").wait_for()
    assert page.get_by_label("Value of password").count() == 0
    assert SECRET not in page.content()

    page.get_by_label("Value of year").fill("1815")
    page.get_by_role("tab", name="Differences").click()
    page.get_by_role("row", name="year changed").get_by_text("1815").wait_for()
    page.get_by_role("button", name="Save and replay").click()
    page.get_by_text("Replayed: the document is published.").wait_for()
    page.get_by_text("None of this cause are left.").wait_for()
    # types and digits are as they were posted, and so is what nobody was shown
    [line] = (node.base / "data" / "one.jsonl").read_text().splitlines()
    assert '"price":1.0' in line.replace(" ", "")
    assert "12345678901234567890" in line
    [document] = published(node, "one")
    assert (document["tags"], document["password"], document["century"]) == (["a", "b"], SECRET, 19)
    assert letters(node, "graph=one") == []


def test_an_edit_can_be_undone_and_one_of_somebody_else_is_not_overwritten(seen: Seen, node: Node) -> None:
    fail(node, "again", 1)
    page = open_letter(seen, node, "again")
    page.get_by_label("Kind of year").select_option("Number")
    page.get_by_text("A number is written as").wait_for()
    assert page.get_by_role("button", name="Save", exact=True).get_attribute("aria-disabled") == "true"
    page.get_by_label("Value of year").fill("1815")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()

    def year() -> Any:
        [letter] = letters(node, "graph=again")
        return node.get(f"/deadletters/{letter['id']}").json()["packet"]["fields"]["year"]

    assert year() == 1815
    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_text("as it was before the edit").wait_for()
    assert year() == "MDCCC"

    [letter] = letters(node, "graph=again")
    page.get_by_role("tab", name="JSON").click()
    text = page.get_by_label("Packet as JSON")
    text.fill(text.input_value().replace('"MDCCC"', '"MDCCC'))
    page.get_by_text("this text does not end").wait_for()
    # nothing that was typed is lost by a look at something else
    page.get_by_role("tab", name="Differences").click()
    page.get_by_role("tab", name="JSON").click()
    page.get_by_text("this text does not end").wait_for()
    text.fill(text.input_value().replace('"MDCCC', '"1815"'))
    body = json.dumps({"packet": {"fields": {"id": "p-0", "year": "theirs"}}}).encode()
    kind = {"Content-Type": "application/json"}
    assert node.http.request("PUT", f"{node.url}/deadletters/{letter['id']}", body=body, headers=kind).status == 200
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Somebody else has changed this packet").wait_for()
    assert year() == "theirs"
    page.get_by_role("button", name="Show theirs").click()
    page.get_by_role("tab", name="Form").click()
    page.get_by_label("Value of year").wait_for()
    assert page.get_by_label("Value of year").input_value() == "theirs"

    # as it is, it fails again, and leads to the new one
    page.get_by_role("button", name="Replay from strict").click()
    page.get_by_text("failed again").wait_for()
    page.get_by_role("link", name="Open the new dead letter").click()
    page.get_by_role("button", name="Replay from strict").wait_for()
    assert letter["id"] not in page.url


def test_five_hundred_are_paged_and_repaired_at_once_when_their_graph_is_mended(seen: Seen, node: Node) -> None:
    fail(node, "many", 500)
    page = seen.page
    page.goto(f"{node.url}/#/repair?graph=many")
    page.get_by_text("1 to 50 of 500").wait_for()
    page.get_by_role("link", name="Older").click()
    page.get_by_text("51 to 100 of 500").wait_for()
    page.get_by_role("link", name="Newer").click()
    page.get_by_text("1 to 50 of 500").wait_for()

    answer = node.http.request("PUT", f"{node.url}/graphs/many", json=strict("many", "roman"))
    assert answer.status in (200, 202), answer.data
    page.get_by_role("button", name="Replay all").click()
    # the count is there before anything happens
    page.get_by_role("heading", name="Replay 500 dead letters").wait_for()
    page.get_by_text("A replay cannot be undone").wait_for()
    assert len(letters(node, "graph=many")) == 500
    page.get_by_role("button", name="Replay 500 dead letters").click()
    page.get_by_text("500 dead letters replayed. 500 published.").wait_for(timeout=60_000)
    page.get_by_text("No dead letter matches.").wait_for()
    assert {document["id"] for document in published(node, "many")} == {f"p-{number}" for number in range(500)}


def test_those_that_fail_again_are_not_replayed_for_ever(seen: Seen, node: Node) -> None:
    fail(node, "bulk", 120)
    page = seen.page
    page.goto(f"{node.url}/#/repair?graph=bulk&filter=strict")
    page.get_by_role("button", name="Replay all").click()
    page.get_by_role("button", name="Replay 120 dead letters").click()
    page.get_by_text("120 dead letters replayed. 0 published, 120 failed again.").wait_for(timeout=60_000)
    page.get_by_text("1 to 50 of 120").wait_for()


def test_a_full_queue_holds_a_replay_up_until_there_is_room(seen: Seen, node: Node) -> None:
    fail(node, "full", 120)
    answer = node.http.request("PUT", f"{node.url}/graphs/full", json=strict("full", "roman", queue_max_deliveries=40))
    assert answer.status in (200, 202), answer.data
    assert node.post(b"", "/graphs/full/pause").status == 200
    page = seen.page
    page.goto(f"{node.url}/#/repair?graph=full")
    page.get_by_role("button", name="Replay all").wait_for()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").press_sequentially("replay all")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Replay 120 dead letters").click()
    page.get_by_text("The queue is full").wait_for()
    # it goes on while another page is looked at
    page.get_by_role("link", name="Follow").click()
    assert node.post(b"", "/graphs/full/resume").status == 200
    page.get_by_role("link", name="Repair").click()
    page.get_by_text("120 dead letters replayed. 120 published.").wait_for(timeout=60_000)
    assert len(published(node, "full")) == 120
    # the browser notes in its console that there was no room
    assert [each for each in seen.complaints if "429" not in each] == []
    seen.complaints.clear()


def test_a_deletion_can_be_undone_for_some_seconds_and_happens_when_the_page_is_left(seen: Seen, node: Node) -> None:
    fail(node, "gone", 3)
    page = seen.page
    page.goto(f"{node.url}/#/repair?graph=gone")

    def delete() -> None:
        page.get_by_role("button", name="Delete all").click()
        page.get_by_text("After that nobody can bring them back.").wait_for()
        page.get_by_role("button", name="Delete 3 dead letters").click()
        page.get_by_text("3 dead letters are deleted in 8 seconds.").wait_for()

    delete()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Nothing was deleted.").wait_for()
    page.locator(".causes .held").wait_for(state="detached")
    assert len(letters(node, "graph=gone")) == 3
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("heading", name="Delete 3 dead letters").wait_for()
    # what comes after the count is left
    post(node, {"id": "late", "year": "MDCCC"}, route="gone")
    page.get_by_role("button", name="Delete 3 dead letters").click()
    page.get_by_text("3 dead letters are deleted in 8 seconds.").wait_for()
    page.goto("about:blank")

    def left() -> list[str]:
        return [letter["document"]["id"] for letter in letters(node, "graph=gone")]

    until(lambda: left() == ["late"], 20, "deleted as the page was left")


def test_what_the_page_asks_as_something_happens_keeps_no_session_alive(seen: Seen, node: Node) -> None:
    fail(node, "news", 1)
    page = seen.page
    page.goto(f"{node.url}/#/repair?graph=news")
    page.get_by_text("1 to 1 of 1").wait_for()
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))
    post(node, {"id": "new", "year": "MDCCC"}, route="news")
    page.get_by_text("1 to 2 of 2").wait_for()
    page.get_by_role("link", name="new ValueError").wait_for()
    assert asked
    assert {request.headers.get("pypes-again") for request in asked} == {"1"}


def test_a_deletion_happens_by_itself(seen: Seen, node: Node) -> None:
    fail(node, "left", 1)
    page = open_letter(seen, node, "left")
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("to be deleted").wait_for()
    page.get_by_text("1 dead letter deleted.").wait_for()
    assert letters(node, "graph=left") == []
    page.get_by_role("heading", name="This dead letter is no longer there.").wait_for()
    # the browser notes in its console that nothing was there
    seen.complaints[:] = [each for each in seen.complaints if "404" not in each]


def test_what_never_became_a_packet_is_shown_as_it_was_posted(seen: Seen, node: Node) -> None:
    assert node.post(b"", "/graphs/lost/pause").status == 200
    assert node.post(b'{"id": "lost", "year": "1815", "password": "sesame"}', "/docs/lost").status == 202
    assert node.http.request("DELETE", f"{node.url}/graphs/lost?force=true").status == 204
    until(lambda: letters(node, "graph=lost"), 20, "the dead letter of a graph that is gone")
    page = seen.page
    page.goto(f"{node.url}/#/repair?graph=lost")
    page.get_by_role("link", name="graph.gone lost, before the first filter").wait_for()
    page.locator(".letters a").click()
    page.get_by_text('"year": "1815"').wait_for()
    assert SECRET not in page.content()
    assert node.http.request("PUT", f"{node.url}/graphs/lost", json=strict("lost")).status == 201
    page.get_by_role("button", name="Replay from the start").click()
    page.get_by_text("Replayed: the document is published.").wait_for()
    assert [document["password"] for document in published(node, "lost")] == [SECRET]


def test_it_is_done_by_keyboard_alone(seen: Seen, node: Node) -> None:
    fail(node, "keys", 1)
    page = seen.page
    page.goto(f"{node.url}/#/repair?graph=keys")
    page.get_by_role("link", name="p-0").focus()
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Form").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Packet as JSON").wait_for()
    page.keyboard.press("Home")
    page.get_by_label("Value of year").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("1815")
    page.keyboard.press("Control+s")
    page.get_by_text("Saved.").wait_for()
    page.get_by_role("button", name="Replay from strict").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Replayed: the document is published.").wait_for()


def test_what_a_document_says_is_text(seen: Seen, node: Node) -> None:
    post(
        node,
        {"id": HOSTILE_TEXT, "bad": HOSTILE_TEXT, HOSTILE_TEXT: HOSTILE_TEXT, "__proto__": {"x": 1}},
        {"id": "h", "bad": "hostile"},
    )
    page = seen.page
    page.goto(f"{node.url}/#/repair?graph=shop")
    page.get_by_role("link", name=HOSTILE_CODE).wait_for()
    page.get_by_role("link", name=HOSTILE_TEXT).first.click()
    page.get_by_role("heading", name=HOSTILE_TEXT).wait_for()
    assert page.get_by_label(f"Value of {HOSTILE_TEXT}").input_value() == HOSTILE_TEXT
    assert page.get_by_label("Value of __proto__").count() == 1
    page.get_by_role("tab", name="JSON").click()
    assert "onerror" in page.get_by_label("Packet as JSON").input_value()
    page.get_by_role("tab", name="Differences").click()
    page.get_by_role("button", name="Show what is the same").first.click()
    page.get_by_role("tabpanel").get_by_text("onerror").first.wait_for()
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Any, node: Node, scheme: str) -> None:
    post(node, {"id": "axe", "bad": "for axe"})
    [letter] = letters(node, "graph=shop&id=axe")[:1]
    for viewport in ({"width": 1200, "height": 800}, PHONE):
        with looking(browser, color_scheme=scheme, viewport=viewport, bypass_csp=True) as seen:
            page = seen.page
            page.goto(f"{node.url}/#/repair?graph=shop")
            page.get_by_role("link", name="axe").first.wait_for()
            assert violations(page) == []
            page.get_by_role("button", name="Replay all").click()
            page.get_by_role("radio").first.wait_for()
            assert violations(page) == []
            page.keyboard.press("Escape")
            page.goto(f"{node.url}/#/repair/{letter['id']}")
            for tab in ("JSON", "Form", "Differences"):
                page.get_by_role("tab", name=tab).click()
                page.get_by_role("tabpanel", name=tab).wait_for()
                assert violations(page) == []
            # nothing is wider than the page
            assert page.evaluate("document.querySelector('main').scrollWidth <= document.documentElement.clientWidth")
            assert seen.complaints == []


def test_who_may_only_read_is_told_why_nothing_can_be_changed(browser: Any, tmp_path: Any) -> None:
    with running(tmp_path, graph(), *load(tmp_path), workers=1, instances=1, environ={"PYPES_TOKEN": OWN}) as node:
        node.headers["Authorization"] = f"Bearer {OWN}"
        post(node, {"id": "p-0", "bad": "it is"})
        token = node.post(json.dumps({"name": "reader", "scopes": ["read"]}).encode(), "/tokens").json()["secret"]
        with looking(browser) as seen:
            page = seen.page
            page.goto(node.url)
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            page.goto(f"{node.url}/#/repair?graph=shop")
            needs = "This needs a token with the scope edit."
            for name in ("Replay all", "Delete all"):
                button = page.get_by_role("button", name=name)
                button.wait_for()
                assert (button.get_attribute("title") or "").startswith(needs)
                button.press("Enter")
                page.get_by_text(needs).wait_for()
            page.get_by_role("link", name="p-0").click()
            assert page.get_by_label("Value of bad").get_attribute("readonly") is not None
            for name in ("Save", "Replay from judge", "Replay from the start", "Delete"):
                assert page.get_by_role("button", name=name, exact=True).get_attribute("aria-disabled") == "true"
            assert page.get_by_role("dialog").count() == 0
            # the form came with a status that the browser notes
            assert [each for each in seen.complaints if "401" not in each] == []
        assert len(letters(node, "graph=shop")) == 1
