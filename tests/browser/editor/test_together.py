"""Two people at the draft of one graph: both changes, conflicts, and who deploys first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, until
from tests.browser.chromium import looking
from tests.browser.editor.desk import Desk
from tests.browser.editor.drafting import deployed, drafted, lower, send
from tests.browser.nodes import graph, judging

pytestmark = pytest.mark.browser

#: The browser notes in its console that a draft was changed by somebody else.
CHANGED = "error: Failed to load resource: the server responded with a status of 412 (Precondition Failed)"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("together")) as node:
        yield node


def conflict(desk: Desk) -> Any:
    return desk.page.get_by_role("button", name="1 conflict")


def test_two_tabs_have_both_changes_and_choose_where_they_differ(browser: Any, node: Node) -> None:
    with looking(browser) as first, looking(browser) as second:
        one, two = (Desk(each.page, node, "shop").open() for each in (first, second))
        for desk in (one, two):
            desk.filter("judge").wait_for()
        one.add("Batch")
        one.wait_saved()
        two.filter("batch").wait_for()
        # both at once
        two.add("Route")
        one.add("Template")
        one.filter("route").wait_for()
        two.filter("template").wait_for()
        for desk in (one, two):
            desk.filter("batch").focus()
            desk.page.keyboard.press("Enter")
            desk.name.wait_for()
        one.fill("params.size", 11)
        two.fill("params.size", 12)
        until(lambda: conflict(one).count() + conflict(two).count(), 20, "one is asked")
        asked, value = (one, 11) if conflict(one).count() else (two, 12)
        conflict(asked).click()
        asked.page.get_by_role("button", name="Take mine").click()
        for desk in (one, two):
            desk.wait_draft(lambda graph: graph["nodes"]["batch"]["params"]["size"] == value, "what was chosen is saved")
            assert set(desk.here()["nodes"]) == {"json", "judge", "null", "batch", "route", "template"}
        asked.discard()
        assert {*first.complaints, *second.complaints} <= {CHANGED}


def test_a_conflict_that_is_not_decided_survives_a_reload(browser: Any, node: Node) -> None:
    with looking(browser) as first, looking(browser) as second:
        one, two = (Desk(each.page, node, "torn").open() for each in (first, second))
        one.add("Batch")
        one.wait_saved()
        two.filter("batch").focus()
        two.page.keyboard.press("Enter")
        two.name.wait_for()
        # the second one hears of nothing until it saves
        two.page.context.set_offline(True)
        two.fill("params.size", 12)
        one.fill("params.size", 11)
        one.wait_draft(lambda graph: graph["nodes"]["batch"]["params"].get("size") == 11, "the first one is saved")
        two.page.context.set_offline(False)
        conflict(two).wait_for()
        # who types goes on
        two.page.keyboard.type("3")
        assert two.settings.locator('[data-place="params.size"]').input_value() == "123"
        # what it says would not be true of what is in conflict
        assert two.notice("Both changes are in it").count() == 0
        two.page.reload()
        conflict(two).click()
        dialog = two.page.get_by_role("dialog", name="1 conflict")
        dialog.get_by_text("12", exact=True).wait_for()
        two.page.get_by_role("button", name="Take mine").click()
        two.wait_draft(lambda graph: graph["nodes"]["batch"]["params"]["size"] == 12, "what was chosen is saved")
        two.page.reload()
        two.filter("batch").wait_for()
        assert conflict(two).count() == 0


def test_of_two_names_for_one_filter_the_chosen_one_stays(browser: Any, node: Node) -> None:
    with looking(browser) as first, looking(browser) as second:
        one, two = (Desk(each.page, node, "shop").open() for each in (first, second))
        names = {}
        for desk, name in ((one, "alpha"), (two, "beta")):
            desk.filter("judge").focus()
            desk.page.keyboard.press("Enter")
            desk.name.fill(name)
            names[desk.page] = name
        for desk in (one, two):
            desk.name.press("Enter")
        until(lambda: conflict(one).count() + conflict(two).count(), 20, "one is asked")
        asked = one if conflict(one).count() else two
        conflict(asked).click()
        mine = names[asked.page]
        theirs = "beta" if mine == "alpha" else "alpha"
        # until it is decided, and if it is decided so, it is called what the others call it
        asked.filter(theirs).wait_for()
        asked.page.get_by_role("button", name="Keep theirs").click()
        asked.wait_saved()
        assert {theirs} == {*asked.draft()["nodes"]} - {"json", "null"}
        assert {*asked.here()["nodes"]} == {"json", "null", theirs}
        assert asked.name.input_value() == theirs
        asked.discard()
        assert {*first.complaints, *second.complaints} <= {CHANGED}


def test_others_are_told_once_that_a_draft_is_deployed(browser: Any, node: Node) -> None:
    name = deployed(node, lower("raced", "title"))
    drafted(node, lower(name, "title", "text"), 1)
    with looking(browser) as first, looking(browser) as second, looking(browser) as third:
        one, two, onlooker = (Desk(each.page, node, name).open() for each in (first, second, third))
        for desk in (one, two):
            desk.page.get_by_role("button", name="Deploy", exact=True).click()
        dialogs = [desk.page.get_by_role("dialog") for desk in (one, two)]
        for dialog in dialogs:
            # both at once: nothing is waited for in between
            dialog.get_by_role("button", name="Deploy", exact=True).evaluate("button => setTimeout(() => button.click())")
        done = [dialog.get_by_text("is live.") for dialog in dialogs]
        until(lambda: any(each.count() for each in done), 60, "one is deployed")
        loser = two if done[0].count() else one
        loser.page.get_by_role("dialog").get_by_role("alert").wait_for()
        loser.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        for desk in (loser, onlooker):
            desk.notice("The draft was deployed as version 2.").wait_for()
            assert desk.page.locator(".notice").count() == 1


def test_a_rollback_that_takes_back_what_the_draft_changed_is_a_conflict(browser: Any, node: Node) -> None:
    name = deployed(node, graph("back"))
    batched = graph(name)
    batched["nodes"]["batch"] = {"component": "Batch"}
    batched["wires"] = [["json.out", "judge.in"], ["judge.out", "batch.in"], ["batch.out", "null.in"]]
    deployed(node, batched)
    with looking(browser) as seen:
        desk = Desk(seen.page, node, name).open()
        desk.filter("batch").focus()
        seen.page.keyboard.press("Enter")
        desk.name.wait_for()
        desk.fill("params.size", 7)
        desk.wait_saved()
        send(node, "POST", f"/graphs/{name}/rollback", {"version": 1})
        desk.notice("Version 3 was deployed meanwhile.").wait_for()
        conflict(desk).click()
        seen.page.get_by_role("button", name="Take mine").click()
        found = desk.wait_draft(lambda graph: "batch" in graph["nodes"], "what was chosen is saved")
        assert found["nodes"]["batch"]["params"] == {"size": 7}
        assert node.get(f"/graphs/{name}/draft").json()["base"] == 3
        assert seen.complaints == []
