"""A node with tokens in a browser: the form, the session that it begins, what that may do, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node, running
from tests.browser.chromium import PHONE, Seen, looking
from tests.browser.nodes import graph, load
from tests.browser.test_page import CONTRAST

pytestmark = pytest.mark.browser

OWN = "correct horse battery"
#: The browser notes in its console that a page came with one of these statuses.
REFUSED = {
    f"error: Failed to load resource: the server responded with a status of {status}"
    for status in ("401 (Unauthorized)", "403 (Forbidden)")
}
OVER = "The session is over: sign in again."

#: A request of a script on the page, as an editor makes it; gives the status of the answer.
ASK = """([method, path, csrf]) =>
  fetch(path, {method, headers: csrf ? {'X-CSRF-Token': csrf} : {}}).then(answer => answer.status)"""

#: Shows an address in a frame of the page.
FRAME = "url => { const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame) }"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("guarded")
    with running(base, graph(), *load(base), workers=2, instances=1, environ={"PYPES_TOKEN": OWN}) as started:
        started.headers["Authorization"] = f"Bearer {OWN}"
        answer = started.http.request("PUT", f"{started.url}/graphs/secret", json=graph("secret"), headers=started.headers)
        assert answer.status == 201, answer.data
        yield started


@pytest.fixture
def seen(browser: Any) -> Iterator[Seen]:
    with looking(browser) as made:
        yield made
        assert {*made.complaints} <= REFUSED


def make(node: Node, name: str, *scopes: str, graphs: tuple[str, ...] = ()) -> str:
    """A token; returns its secret."""
    answer = node.post(json.dumps({"name": name, "scopes": scopes, "graphs": graphs}).encode(), "/tokens")
    assert answer.status == 201, answer.data
    return str(answer.json()["secret"])


def sign_in(seen: Seen, node: Node, token: str = OWN) -> None:
    seen.page.goto(f"{node.url}/plain")
    seen.page.get_by_label("Token").fill(token)
    seen.page.get_by_role("button", name="Sign in").click()


def stay(seen: Seen, node: Node) -> None:
    """Go to the page that does not fetch itself."""
    seen.page.goto(f"{node.url}/plain?refresh=0")


def csrf_of(seen: Seen) -> str:
    return str(seen.page.evaluate("fetch('/session').then(answer => answer.json()).then(who => who.csrf)"))


def test_nothing_is_shown_without_a_token(seen: Seen, node: Node) -> None:
    answer = seen.page.goto(f"{node.url}/plain")
    assert answer.status == 401
    assert "shop" not in seen.page.content()
    assert seen.page.locator('meta[http-equiv="refresh"]').count() == 0
    assert seen.texts('[role="alert"]') == []


def test_a_wrong_token_is_asked_for_once_more(seen: Seen, node: Node) -> None:
    sign_in(seen, node, "wrong")
    assert seen.texts('[role="alert"]') == ["This token is not one of this node."]
    assert seen.page.context.cookies() == []
    seen.page.get_by_label("Token").fill(OWN)
    seen.page.get_by_role("button").click()
    assert seen.table("Graphs")[0]["Graph"] == "secret"


def test_who_has_signed_in_looks_and_is_named(seen: Seen, node: Node) -> None:
    sign_in(seen, node, make(node, "looker", "read"))
    assert [row["Graph"] for row in seen.table("Graphs")] == ["secret", "shop"]
    assert seen.texts(".signed-in span")[0].startswith("Signed in as looker (read), until ")
    for name in ("as JSON", "dead letters", "HTTP interface"):
        stay(seen, node)
        with seen.page.expect_navigation() as found:
            seen.page.get_by_role("link", name=name).click()
        assert found.value.status == 200


def test_a_token_for_some_graphs_sees_these(seen: Seen, node: Node) -> None:
    sign_in(seen, node, make(node, "of-shop", "read", "ingest", graphs=("shop", "team-*")))
    assert [row["Graph"] for row in seen.table("Graphs")] == ["shop"]
    assert seen.table("Queue") == []
    assert {row["Graphs"] for row in seen.table("Instances")} <= {"shop", ""}
    assert "secret" not in seen.page.content()
    assert "(ingest, read for shop, team-*)" in seen.texts(".signed-in span")[0]


def test_who_may_only_feed_is_told_so(seen: Seen, node: Node) -> None:
    sign_in(seen, node, make(node, "feeder", "ingest"))
    assert "needs the scope read" in seen.page.inner_text("main")
    assert "feeder" in seen.texts(".signed-in span")[0]
    seen.page.get_by_role("button", name="Sign out").click()
    seen.page.get_by_label("Token").wait_for()


def test_scripts_of_own_pages_change_what_the_token_may(seen: Seen, node: Node) -> None:
    sign_in(seen, node, make(node, "editor", "edit", graphs=("shop",)))
    stay(seen, node)
    # the page itself runs no script and fetches nothing, so one is tried that has no policy
    seen.page.goto(f"{node.url}/graphs/shop")
    csrf = csrf_of(seen)
    assert seen.page.evaluate(ASK, ["POST", "/graphs/shop/pause", None]) == 403
    assert seen.page.evaluate(ASK, ["POST", "/graphs/shop/pause", csrf[:-1]]) == 403
    assert seen.page.evaluate(ASK, ["POST", "/graphs/shop/pause", csrf]) == 200
    assert seen.page.evaluate(ASK, ["POST", "/graphs/shop/resume", csrf]) == 200
    assert seen.page.evaluate(ASK, ["POST", "/graphs/secret/pause", csrf]) == 403
    assert seen.page.evaluate(ASK, ["POST", "/docs/shop", csrf]) == 403


def test_the_cookie_is_for_the_browser_alone(seen: Seen, node: Node) -> None:
    sign_in(seen, node)
    [cookie] = seen.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["secure"] is False  # as the page was reached without TLS
    assert cookie["expires"] == -1  # it ends with the browser
    assert OWN not in cookie["value"]
    assert seen.page.evaluate("document.cookie") == ""


def test_a_session_lasts_over_looks_at_any_worker(seen: Seen, node: Node) -> None:
    sign_in(seen, node)
    for _ in range(8):
        assert seen.page.goto(f"{node.url}/plain?refresh=0").status == 200


def test_signing_out_ends_it(seen: Seen, node: Node) -> None:
    sign_in(seen, node)
    [cookie] = seen.page.context.cookies()
    seen.page.get_by_role("button", name="Sign out").click()
    assert seen.page.url == f"{node.url}/"
    seen.page.get_by_label("Token").wait_for()
    assert seen.texts('[role="alert"]') == []
    assert seen.page.context.cookies() == []
    assert seen.page.goto(f"{node.url}/status").status == 401
    # nor does a copy of the cookie help
    seen.page.context.add_cookies([cookie])
    assert seen.page.goto(f"{node.url}/status").status == 401


def is_over(seen: Seen) -> bool:
    return bool(seen.texts('[role="alert"]') == [OVER])


def test_who_looks_while_the_token_is_revoked_is_asked_for_another(seen: Seen, node: Node) -> None:
    sign_in(seen, node, make(node, "short", "read"))
    seen.page.goto(f"{node.url}/plain?refresh=1")
    assert seen.texts("footer")
    assert node.http.request("DELETE", f"{node.url}/tokens/short", headers=node.headers).status == 204
    # nobody does anything
    seen.page.wait_for_selector('[role="alert"]')
    assert is_over(seen)
    assert "shop" not in seen.page.content()
    seen.page.get_by_label("Token").fill(OWN)
    seen.page.get_by_role("button").click()
    assert seen.texts(".signed-in span")[0].startswith("Signed in as admin")


def test_a_page_that_nobody_looks_at_ends_its_session(seen: Seen, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Though it fetches itself again and again."""
    base = tmp_path_factory.mktemp("idle")
    environ = {"PYPES_TOKEN": OWN, "PYPES_ACCESS_SESSION_IDLE_S": "3"}
    with running(base, graph(), *load(base), workers=1, instances=1, environ=environ) as idle:
        sign_in(seen, idle)
        # who looks for something on the page is somebody to the browser, so only answers are looked at
        with seen.page.expect_response(lambda answer: answer.status == 401):
            seen.page.goto(f"{idle.url}/plain?refresh=1")
        seen.page.wait_for_selector('[role="alert"]')
        assert is_over(seen)


def test_pages_of_others_reach_nothing_with_it(seen: Seen, node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    sign_in(seen, node)
    # another server of the same machine is of the same site, so that the browser sends the cookie along
    base = tmp_path_factory.mktemp("other")
    with running(base, graph("foreign"), *load(base), workers=1, instances=1) as other:
        seen.page.goto(f"{other.url}/healthz")
        script = "url => fetch(url, {credentials: 'include'}).then(answer => answer.text(), error => 'refused')"
        assert seen.page.evaluate(script, f"{node.url}/status") == "refused"
        # what cannot be read is not even done
        blind = "url => fetch(url, {mode: 'no-cors', credentials: 'include'}).then(() => 'done', error => 'refused')"
        with seen.page.expect_response(f"{node.url}/graphs") as found:
            seen.page.evaluate(blind, f"{node.url}/graphs")
        assert found.value.status == 401
        seen.complaints.clear()
        form = (
            "url => { const form = document.createElement('form'); form.method = 'post'; form.action = url; "
            "document.body.append(form); form.submit() }"
        )
        for path in ("/session/end", "/session", "/graphs/shop/pause"):
            seen.page.goto(f"{other.url}/healthz")
            with seen.page.expect_navigation() as found:
                seen.page.evaluate(form, f"{node.url}{path}")
            assert found.value.status == 403
        seen.complaints.clear()
        # but a link may be followed
        seen.page.goto(f"{other.url}/healthz")
        with seen.page.expect_navigation() as found:
            seen.page.evaluate("url => { location.href = url }", f"{node.url}/plain?refresh=0")
        assert found.value.status == 200


def test_no_frame_shows_the_page(seen: Seen, node: Node) -> None:
    sign_in(seen, node)
    seen.page.goto(f"{node.url}/healthz")
    with seen.page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        seen.page.evaluate(FRAME, node.url)
    seen.complaints.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_all_pages_fit_and_can_be_read(browser: Any, node: Node, scheme: str, width: int) -> None:
    feeds = make(node, f"feeds-{scheme}-{width}", "ingest", graphs=("a-graph-with-a-long-name", "team-*"))
    for token in (OWN, feeds):
        with looking(browser, color_scheme=scheme, viewport={**PHONE, "width": width}) as seen:
            seen.page.goto(f"{node.url}/plain")
            for _ in range(2):
                assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
                assert seen.page.evaluate(CONTRAST) == []
                if seen.page.get_by_label("Token").count():
                    seen.page.get_by_label("Token").fill(token)
                    seen.page.get_by_role("button").click()
