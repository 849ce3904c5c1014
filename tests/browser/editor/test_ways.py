"""The ways to compose, one by one: each gesture that a graph can be changed with, what is refused, and what problems lead to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node
from tests.browser.chromium import Seen
from tests.browser.editor.desk import Desk
from tests.browser.nodes import HOSTILE_CODE, HOSTILE_TEXT, graph, judging

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("ways")
    with judging(base, graph(layout={"json": [40, 200], "judge": [340, 200], "null": [640, 200]})) as node:
        yield node


@pytest.fixture
def desk(seen: Seen, node: Node) -> Iterator[Desk]:
    seen.page.set_viewport_size({"width": 1600, "height": 900})
    desk = Desk(seen.page, node, "shop").open()
    desk.filter("judge").wait_for()
    yield desk
    node.http.request("DELETE", f"{node.url}/graphs/shop/draft")


def middle(of: Any) -> tuple[float, float]:
    box = of.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def wires(desk: Desk) -> list[list[str]]:
    found: list[list[str]] = desk.here()["wires"]
    return sorted(found)


def test_a_component_dropped_on_a_wire_is_spliced_in_and_undone_in_one_step(desk: Desk) -> None:
    desk.drag("Batch", *middle(desk.wire("json.out", "judge.in")))
    desk.filter("batch").wait_for()
    assert wires(desk) == [["batch.out", "judge.in"], ["json.out", "batch.in"], ["judge.out", "null.in"]]
    desk.page.keyboard.press("Control+z")
    desk.filter("batch").wait_for(state="detached")
    assert wires(desk) == [["json.out", "judge.in"], ["judge.out", "null.in"]]


def test_a_wire_dropped_on_the_empty_canvas_asks_what_it_leads_to(desk: Desk) -> None:
    desk.port("judge.error").hover()
    desk.page.mouse.down()
    x, y = middle(desk.filter("judge"))
    desk.page.mouse.move(x + 200, y + 250, steps=5)
    desk.page.mouse.up()
    search = desk.page.get_by_role("combobox", name="Search components and ports")
    search.fill("Null")
    search.press("Enter")
    desk.filter("null2").wait_for()
    assert ["judge.error", "null2.in"] in wires(desk)


def test_refused_wires_say_why(desk: Desk) -> None:
    desk.draw("judge.out", "json.in")
    desk.notice("cycle: json → judge → json").wait_for()
    desk.draw("judge.out", "null.in")
    desk.notice("wired already").wait_for()
    assert wires(desk) == [["json.out", "judge.in"], ["judge.out", "null.in"]]


def test_what_is_copied_is_text_and_pastes_as_a_copy_with_its_wires(desk: Desk) -> None:
    page = desk.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.filter("judge").click()
    desk.filter("null").click(modifiers=["Control"])
    page.get_by_role("heading", name="2 chosen").wait_for()
    page.keyboard.press("Control+c")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["wires"] == [["judge.out", "null.in"]]
    assert set(copied["nodes"]) == {"judge", "null"}
    page.keyboard.press("Control+v")
    desk.filter("judge2").wait_for()
    assert ["judge2.out", "null2.in"] in wires(desk)
    # text of another program is refused, and says why
    page.evaluate("navigator.clipboard.writeText('no graph')")
    page.keyboard.press("Control+v")
    desk.notice("is no JSON").wait_for()


def test_a_frame_chooses_filters_which_line_up_and_are_deleted_in_one_step(desk: Desk) -> None:
    page = desk.page
    x, y = middle(desk.filter("json"))
    page.keyboard.down("Shift")
    page.mouse.move(x - 115, y - 150)
    page.mouse.down()
    page.mouse.move(x + 420, y + 150, steps=6)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.get_by_role("heading", name="2 chosen").wait_for()
    page.get_by_role("button", name="In a column").click()
    places = desk.here()["layout"]
    assert places["json"][0] == places["judge"][0]
    assert places["json"][1] < places["judge"][1]
    desk.filter("json").focus()
    page.keyboard.press("Delete")
    desk.filter("judge").wait_for(state="detached")
    assert set(desk.here()["nodes"]) == {"null"}
    page.keyboard.press("Control+z")
    desk.filter("judge").wait_for()
    assert wires(desk) == [["json.out", "judge.in"], ["judge.out", "null.in"]]


def test_problems_lead_to_the_field_that_is_wrong(desk: Desk) -> None:
    desk.add("Template")
    desk.wait_saved()
    page = desk.page
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.get_by_role("region", name="Problems").get_by_role("button", name="template · template").click()
    page.locator('[data-place="params.template"]:focus').wait_for()
    page.keyboard.type("{{ title }}")
    assert desk.here()["nodes"]["template"]["params"] == {"template": "{{ title }}"}
    desk.wait_saved()
    deploy = page.get_by_role("button", name="Deploy", exact=True)
    assert deploy.get_attribute("aria-disabled") == "true"


def test_values_are_checked_as_they_are_typed_and_read_with_units(desk: Desk) -> None:
    desk.add("Batch")
    size = desk.settings.locator('[data-place="params.size"]')
    size.fill("many")
    desk.settings.get_by_text("Must be a number.").wait_for()
    assert desk.here()["nodes"]["batch"]["params"] == {}
    # nobody takes the value before for what was typed
    size.blur()
    desk.settings.get_by_text("Must be a number.").wait_for()
    assert size.input_value() == "many"
    size.fill("20000")
    desk.settings.get_by_text("At most 10000.").first.wait_for()
    size.fill("50")
    desk.fill("params.max_bytes", "64 MiB")
    assert desk.here()["nodes"]["batch"]["params"] == {"size": 50, "max_bytes": 67108864}
    desk.settings.get_by_role("button", name="size: back to the default").click()
    assert desk.here()["nodes"]["batch"]["params"] == {"max_bytes": 67108864}
    # typing is one step
    desk.page.get_by_role("button", name="Undo").click()
    assert desk.here()["nodes"]["batch"]["params"]["size"] == 50


def test_a_comment_is_written_moved_and_deleted(desk: Desk) -> None:
    desk.page.keyboard.press("Shift+C")
    text = desk.settings.get_by_label("Text")
    text.fill("What comes here is judged.")
    note = desk.page.locator(".compose .react-flow__node-comment")
    note.get_by_text("What comes here is judged.").wait_for()
    text.press("Escape")
    note.press("ArrowDown")
    [comment] = desk.here()["comments"].values()
    assert comment["text"] == "What comes here is judged."
    note.press("Delete")
    note.wait_for(state="detached")
    assert "comments" not in desk.here()


def test_a_secret_is_the_name_of_a_variable_and_its_value_is_never_shown(desk: Desk) -> None:
    desk.add("Redact")
    key = desk.settings.locator('[data-place="params.key"]')
    key.fill("REDACT_KEY")
    assert desk.here()["nodes"]["redact"]["params"]["key"] == "${REDACT_KEY}"
    key.fill("correct horse")
    desk.settings.get_by_text("Name a variable of the node's environment instead.").wait_for()
    key.press("Escape")
    desk.filter("judge").click()
    desk.filter("redact").click()
    desk.settings.get_by_role("heading", name="Redact", exact=True).wait_for()
    assert key.input_value() == ""
    assert "correct horse" not in desk.page.content()


def test_lists_and_maps_are_edited_without_json(desk: Desk) -> None:
    page = desk.page
    desk.add("Redact")
    patterns = desk.settings.get_by_role("textbox", name="New name in patterns")
    patterns.fill("order")
    patterns.press("Enter")
    page.locator('[data-place="params.patterns.order"]:focus').wait_for()
    page.keyboard.type("O-[0-9]+")
    assert desk.here()["nodes"]["redact"]["params"]["patterns"] == {"order": "O-[0-9]+"}
    desk.settings.get_by_role("button", name="Remove order").click()
    assert desk.here()["nodes"]["redact"]["params"]["patterns"] == {}
    page.keyboard.press("Escape")
    desk.add("Unchanged")
    desk.settings.get_by_role("button", name="Add to fields").click()
    page.locator('[data-place="params.fields.0"]:focus').wait_for()
    page.keyboard.type("title")
    page.keyboard.press("Enter")
    page.locator('[data-place="params.fields.1"]:focus').wait_for()
    page.keyboard.type("text")
    desk.settings.get_by_role("button", name="Move 2. up").click()
    assert desk.here()["nodes"]["unchanged"]["params"] == {"fields": ["text", "title"]}
    desk.settings.get_by_role("button", name="Remove 1.").click()
    assert desk.here()["nodes"]["unchanged"]["params"] == {"fields": ["title"]}


def test_another_page_leads_to_a_filter(seen: Seen, node: Node) -> None:
    seen.page.goto(f"{node.url}/#/graphs/shop/compose?filter=judge")
    desk = Desk(seen.page, node, "shop")
    desk.settings.get_by_role("heading", name="Judge", exact=True).wait_for()
    seen.page.locator('.react-flow__node[data-id="judge"]:focus').wait_for()


def test_what_others_wrote_is_text(desk: Desk) -> None:
    hostile = {"component": HOSTILE_CODE, "params": {HOSTILE_CODE: HOSTILE_TEXT}}
    draft = graph(comments={"note": {"text": HOSTILE_TEXT, "at": [40, 0]}}, description=HOSTILE_TEXT)
    body = json.dumps({"graph": {**draft, "nodes": {**draft["nodes"], "hostile": hostile}}, "base": 1}).encode()
    headers = {"Content-Type": "application/json", "If-None-Match": "*"}
    answer = desk.node.http.request("PUT", f"{desk.node.url}/graphs/shop/draft", body=body, headers=headers)
    assert answer.status == 201, answer.data
    desk.page.locator(".comment-card", has_text=HOSTILE_TEXT).wait_for()
    assert desk.settings.get_by_role("textbox", name="Description").input_value() == HOSTILE_TEXT
    desk.filter("hostile").focus()
    desk.page.keyboard.press("Enter")
    desk.settings.get_by_role("heading", name=HOSTILE_CODE, exact=True).wait_for()
    desk.page.keyboard.press("p")
    desk.page.get_by_role("region", name="Problems").get_by_text(HOSTILE_CODE).first.wait_for()
    assert desk.page.locator("img[src=x]").count() == 0


def test_a_number_that_no_node_takes_is_told_at_its_field_and_the_rest_is_saved(desk: Desk) -> None:
    desk.add("Batch")
    desk.fill("params.size", 12)
    desk.fill("params.size", "99999999999999999999")
    desk.settings.get_by_text("The number is too large, or has more digits than can be kept.").wait_for()
    desk.wait_draft(lambda graph: graph["nodes"]["batch"]["params"].get("size") == 12, "what was before stays")
    desk.page.locator(".saving", has_text="Draft saved").wait_for()


def test_a_name_that_is_typed_is_not_lost_by_a_reload(desk: Desk) -> None:
    desk.filter("judge").focus()
    desk.page.keyboard.press("Enter")
    desk.name.fill("jury")
    desk.page.reload()
    desk.filter("jury").wait_for()
    desk.wait_draft(lambda graph: "jury" in graph["nodes"], "the name is saved")
