"""A node with a token in a browser: the form, the session that it begins, and what that may do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.browser.chromium import Seen, looking
from tests.browser.nodes import graph, load

pytestmark = pytest.mark.browser

TOKEN = "correct horse battery"
#: The browser notes in its console that a page came with status 401.
REFUSED = "error: Failed to load resource: the server responded with a status of 401 (Unauthorized)"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("guarded")
    with running(base, graph(), *load(base), workers=2, instances=1, environ={"PYPES_TOKEN": TOKEN}) as started:
        yield started


@pytest.fixture
def seen(browser: Any) -> Iterator[Seen]:
    with looking(browser) as made:
        yield made
        assert {*made.complaints} <= {REFUSED}


def log_in(seen: Seen, node: Node, token: str = TOKEN) -> None:
    seen.page.goto(node.url)
    seen.page.get_by_label("Token").fill(token)
    seen.page.get_by_role("button", name="Look at the node").click()


def test_nothing_is_shown_without_the_token(seen: Seen, node: Node) -> None:
    answer = seen.page.goto(node.url)
    assert answer.status == 401
    assert "shop" not in seen.page.content()
    assert seen.page.locator('meta[http-equiv="refresh"]').count() == 0


def test_a_wrong_token_is_asked_for_once_more(seen: Seen, node: Node) -> None:
    log_in(seen, node, "wrong")
    assert seen.texts('[role="alert"]') == ["This is not the token of this node."]
    assert seen.page.context.cookies() == []
    seen.page.get_by_label("Token").fill(TOKEN)
    seen.page.get_by_role("button").click()
    assert seen.table("Graphs")[0]["Graph"] == "shop"


def test_a_session_looks_at_everything_and_changes_nothing(seen: Seen, node: Node) -> None:
    log_in(seen, node)
    assert seen.page.url == f"{node.url}/"
    assert seen.table("Graphs")[0]["Graph"] == "shop"
    for name in ("as JSON", "dead letters", "HTTP interface"):
        seen.page.goto(node.url)
        with seen.page.expect_navigation() as found:
            seen.page.get_by_role("link", name=name).click()
        assert found.value.status == 200
    # the page's own requests, with its cookie and its origin
    seen.page.goto(node.url)
    ask = seen.page.context.request
    assert ask.get(f"{node.url}/graphs/shop").status == 200
    assert ask.get(f"{node.url}/outbox").status == 401
    assert ask.delete(f"{node.url}/graphs/shop", headers={"Origin": node.url}).status == 401
    assert ask.post(f"{node.url}/graphs/shop/pause", headers={"Origin": node.url}).status == 401


def test_the_cookie_is_for_the_browser_alone(seen: Seen, node: Node) -> None:
    log_in(seen, node)
    [cookie] = seen.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["secure"] is False  # as the page was reached without TLS
    assert TOKEN not in cookie["value"]
    assert seen.page.evaluate("document.cookie") == ""


def test_a_session_lasts_over_looks_at_any_worker(seen: Seen, node: Node) -> None:
    log_in(seen, node)
    for _ in range(8):
        assert seen.page.reload().status == 200


def test_logging_out_ends_it(seen: Seen, node: Node) -> None:
    log_in(seen, node)
    seen.page.get_by_role("button", name="Log out").click()
    assert seen.page.url == f"{node.url}/"
    assert seen.page.get_by_label("Token").count() == 1
    assert seen.page.context.cookies() == []
    assert seen.page.goto(f"{node.url}/status").status == 401


def test_pages_of_others_reach_nothing_with_it(seen: Seen, node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    log_in(seen, node)
    # another server of the same machine is of the same site, so that the browser sends the cookie along
    base = tmp_path_factory.mktemp("other")
    with running(base, graph("foreign"), *load(base), workers=1, instances=1) as other:
        seen.page.goto(f"{other.url}/healthz")
        script = "url => fetch(url, {credentials: 'include'}).then(answer => answer.text(), error => 'refused')"
        assert seen.page.evaluate(script, f"{node.url}/status") == "refused"
        seen.complaints.clear()
        form = (
            "url => { const form = document.createElement('form'); form.method = 'post'; form.action = url; "
            "document.body.append(form); form.submit() }"
        )
        with seen.page.expect_navigation() as found:
            seen.page.evaluate(form, f"{node.url}/session/end")
        assert found.value.status == 403
        seen.complaints.clear()
        assert seen.page.goto(node.url).status == 200
