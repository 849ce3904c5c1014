"""Signing in with any token on a real node with two workers: what a browser may do then, until when, and that both agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pypes.core.clock import wall
from pypes.testing.node import Node, running, until
from tests.api.asking import GRAPH
from tests.api.callers import ADMIN, FORM, SEEN_S, Caller, SignedIn, calling, hand_in, make, sign_in
from tests.api.streams import Watching


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    environ = {"PYPES_TOKEN": ADMIN, "PYPES_LOG_LEVEL": "DEBUG"}
    with running(tmp_path_factory.mktemp("signin"), GRAPH, workers=2, instances=1, environ=environ) as node:
        yield node
        assert "Traceback" not in node.log()


def code_of(content: bytes) -> str:
    return str(json.loads(content).get("code", ""))


def refused_by(callers: list[Caller], browser: SignedIn) -> None:
    """Wait until no worker knows the session any more; a browser is told that it is over."""
    for caller in callers:
        until(lambda c=caller: browser.ask(c, "GET", "/status")[0] == 401, SEEN_S, "no worker knows the session")
        assert browser.ask(caller, "GET", "/status")[1]["code"] == "session.ended"
        assert browser.ask(caller, "POST", "/docs", {"a": 1})[0] == 401
        status, _, page = browser.raw(caller, "GET", "/plain")
        assert (status, b"The session is over" in page) == (401, True)


@pytest.mark.parametrize("scope", ["ingest", "read", "edit", "admin"])
def test_a_session_is_that_of_its_token_at_all_workers(callers: list[Caller], scope: str) -> None:
    graphs = [] if scope == "admin" else ["base", "team-*"]
    browser = sign_in(callers[0], make(callers[0], f"who-{scope}", scope, graphs=graphs))
    for caller in callers:
        status, fields, content = browser.raw(caller, "GET", "/session")
        who = json.loads(content)
        assert (status, fields["cache-control"]) == (200, "no-store")
        assert (who["name"], who["graphs"], who["csrf"]) == (f"who-{scope}", graphs, browser.csrf)
        assert scope in who["scopes"]
        assert (who["idle_s"], who["ends"][-1]) == (1800.0, "Z")
        assert browser.ask(caller, "GET", "/status")[0] == (403 if scope == "ingest" else 200)
        assert browser.ask(caller, "GET", "/tokens")[0] == (200 if scope == "admin" else 403)
        status, accepted = browser.ask(caller, "POST", "/docs", {"a": 1})
        assert status == (202 if scope in ("ingest", "admin") else 403)
        if status == 202:
            receipt = browser.ask(caller, "GET", f"/receipts/{accepted['receipt']}")[1]
            assert receipt["posted_by"] == f"who-{scope}"
        else:
            assert (accepted["code"], accepted["where"]) == ("scope.missing", f"who-{scope}")


def test_the_own_token_signs_in(callers: list[Caller]) -> None:
    browser = sign_in(callers[1], ADMIN)
    for caller in callers:
        assert browser.ask(caller, "GET", "/session")[1]["name"] == "admin"
        assert browser.ask(caller, "POST", "/docs", {"a": 1})[0] == 202


def test_who_shows_a_token_is_told_who_that_is(caller: Caller) -> None:
    status, who = caller.ask("GET", "/session", ADMIN)
    assert (status, who["name"], who["csrf"], who["ends"], who["idle_s"]) == (200, "admin", None, None, None)
    status, problem = caller.ask("GET", "/session")
    assert (status, problem["code"]) == (401, "token.missing")


def test_a_text_that_is_no_token_begins_nothing(caller: Caller) -> None:
    secrets = {
        "": "is not one",
        "wrong": "is not one",
        ADMIN[:-1]: "is not one",
        ADMIN + "s": "is not one",
        "\u00e4": "is not one",
    }
    revoked = make(caller, "gone", "read")
    assert caller.ask("DELETE", "/tokens/gone", ADMIN)[0] == 204
    expired = make(caller, "brief", "read", expires=wall() + 1)
    until(lambda: caller.ask("GET", "/status", expired)[0] == 401, SEEN_S, "the token has expired")
    for secret, told in {**secrets, revoked: "was revoked", expired: "has expired"}.items():
        status, fields, page = hand_in(caller, secret)
        assert status == 401
        assert "set-cookie" not in fields
        assert f"This token {told}".encode() in page
        assert secret.encode() not in page or not secret
    for body in (b"", b"token", b"x" * 100, b"\xff=\xfe", urlencode({"token": ADMIN}).encode() + b"%ff"):
        assert caller.raw("POST", "/session", None, body, FORM)[0] == 401
    assert caller.raw("POST", "/session", None, b"token=" + b"x" * 20_000, FORM)[0] == 413
    # blanks come with copying
    assert hand_in(caller, f" {ADMIN}\n")[0] == 303


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_nobody_is_signed_in_or_out_by_a_page_of_others(caller: Caller, fields: dict[str, str]) -> None:
    status, answered, content = hand_in(caller, ADMIN, **fields)
    assert (status, code_of(content), "set-cookie" in answered) == (403, "origin.foreign", False)
    browser = sign_in(caller, ADMIN)
    form = urlencode({"csrf": browser.csrf}).encode()
    status, answered, content = browser.raw(caller, "POST", "/session/end", form, {**FORM, **fields})
    assert (status, code_of(content), "set-cookie" in answered) == (403, "origin.foreign", False)
    assert browser.ask(caller, "GET", "/status")[0] == 200


def test_over_tls_the_cookie_stays_there(node: Node, caller: Caller) -> None:
    _, fields, _ = hand_in(caller, ADMIN, Origin=node.url.replace("http:", "https:"))
    assert fields["set-cookie"].startswith("__Host-pypes-session-")
    assert fields["set-cookie"].endswith("; Secure")
    browser = SignedIn(fields["set-cookie"].partition(";")[0], "")
    browser.csrf = browser.ask(caller, "GET", "/session")[1]["csrf"]
    _, fields, _ = browser.raw(caller, "POST", "/session/end")
    assert fields["set-cookie"].startswith("__Host-pypes-session-")
    assert "Max-Age=0" in fields["set-cookie"]
    _, fields, _ = hand_in(caller, ADMIN, Origin=node.url)
    assert fields["set-cookie"].startswith("pypes-session-")
    assert "Secure" not in fields["set-cookie"]


@pytest.mark.parametrize("how", ["form", "script"])
def test_signing_out_holds_at_all_workers(callers: list[Caller], how: str) -> None:
    browser, other = (sign_in(callers[0], ADMIN) for _ in range(2))
    for headers in ({}, {"X-CSRF-Token": other.csrf}):
        cookie = {"Cookie": browser.cookie, **headers}
        status, _, content = callers[1].raw("POST", "/session/end", None, b"", cookie)
        assert (status, code_of(content)) == (403, "csrf.missing")
    assert browser.ask(callers[0], "GET", "/status")[0] == 200
    if how == "form":
        form = urlencode({"csrf": browser.csrf}).encode()
        status, fields, _ = callers[1].raw("POST", "/session/end", None, form, {**FORM, "Cookie": browser.cookie})
    else:
        status, fields, _ = browser.raw(callers[1], "POST", "/session/end")
    assert (status, fields["location"]) == (303, "../")
    assert "Max-Age=0" in fields["set-cookie"]
    # at once: who has been answered is signed out everywhere
    for caller in callers:
        assert browser.ask(caller, "GET", "/status")[1]["code"] == "session.ended"
        assert other.ask(caller, "GET", "/status")[0] == 200
    # once more does no harm
    assert browser.raw(callers[0], "POST", "/session/end")[0] == 303


def test_who_signs_in_anew_leaves_no_session_behind(callers: list[Caller]) -> None:
    browser = sign_in(callers[0], ADMIN)
    status, fields, _ = hand_in(callers[1], make(callers[0], "next", "read"), Cookie=browser.cookie)
    assert status == 303
    after = SignedIn(fields["set-cookie"].partition(";")[0], "")
    assert after.ask(callers[0], "GET", "/session")[1]["name"] == "next"
    for caller in callers:
        assert browser.ask(caller, "GET", "/status")[0] == 401


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_it_ends_with_its_token_at_all_workers(callers: list[Caller], how: str) -> None:
    browser = sign_in(callers[0], make(callers[0], f"ends-{how}", "admin"))
    if how == "revoked":
        assert callers[0].ask("DELETE", f"/tokens/ends-{how}", ADMIN)[0] == 204
    else:
        assert callers[0].ask("PATCH", f"/tokens/ends-{how}", ADMIN, {"expires": wall() + 3})[0] == 200
    refused_by(callers, browser)


def test_a_change_of_its_token_counts_at_all_workers(callers: list[Caller]) -> None:
    browser = sign_in(callers[0], make(callers[0], "becomes", "ingest"))
    for caller in callers:
        assert browser.ask(caller, "GET", "/status")[0] == 403
    assert callers[0].ask("PATCH", "/tokens/becomes", ADMIN, {"scopes": ["read"]})[0] == 200
    for caller in callers:
        until(lambda c=caller: browser.ask(c, "GET", "/status")[0] == 200, SEEN_S, "the session may look")
        assert browser.ask(caller, "POST", "/docs", {"a": 1})[0] == 403


@pytest.mark.parametrize("how", ["signed out", "revoked", "changed"])
def test_streams_end_with_the_session(node: Node, callers: list[Caller], how: str) -> None:
    name = f"looks-{how.replace(' ', '-')}"
    browser = sign_in(callers[0], make(callers[0], name, "read"))
    with Watching(node.port, "/events", {"Cookie": browser.cookie}) as watching:
        assert watching.status == 200
        if how == "signed out":
            assert browser.raw(callers[1], "POST", "/session/end")[0] == 303
        elif how == "revoked":
            assert callers[1].ask("DELETE", f"/tokens/{name}", ADMIN)[0] == 204
        else:
            assert callers[1].ask("PATCH", f"/tokens/{name}", ADMIN, {"scopes": ["ingest"]})[0] == 200
        # to the end of the stream, which would not come by itself
        watching.rest()


def test_results_are_leased_to_own_pages_only(callers: list[Caller]) -> None:
    boxed = {
        "pypes": 1,
        "name": "boxed",
        "routes": ["boxed"],
        "nodes": {"json": {"component": "JSON"}, "box": {"component": "Outbox", "params": {"name": "box"}}},
        "wires": [["json.out", "box.in"]],
    }
    browser = sign_in(callers[0], ADMIN)
    assert browser.ask(callers[0], "PUT", "/graphs/boxed", boxed)[0] == 201
    fields = {"Cookie": browser.cookie}
    assert callers[1].raw("GET", "/outbox/box", None, None, fields)[0] == 200
    status, _, content = callers[1].raw("GET", "/outbox/box?lease=60", None, None, fields)
    assert (status, code_of(content)) == (403, "csrf.missing")
    assert callers[1].raw("GET", "/outbox/box?lease=60", None, None, {**fields, "X-CSRF-Token": browser.csrf})[0] == 200


def test_every_page_is_closed_to_what_it_does_not_bring(callers: list[Caller]) -> None:
    reader = sign_in(callers[0], make(callers[0], "page-reader", "read"))
    limited = sign_in(callers[0], make(callers[0], "page-limited", "read", graphs=["other"]))
    feeder = sign_in(callers[0], make(callers[0], "page-feeder", "ingest"))
    stale = SignedIn(reader.cookie[:-1] + "x", "")
    for caller in callers:
        pages = [
            (200, caller.raw("GET", "/plain", ADMIN)),
            (200, reader.raw(caller, "GET", "/plain")),
            (200, limited.raw(caller, "GET", "/plain")),
            (403, feeder.raw(caller, "GET", "/plain")),
            (401, caller.raw("GET", "/plain")),
            (401, stale.raw(caller, "GET", "/plain")),
            (401, hand_in(caller, "wrong")),
        ]
        for wanted, (status, fields, page) in pages:
            assert (status, fields["content-type"]) == (wanted, "text/html; charset=utf-8")
            policy = dict(part.partition(" ")[::2] for part in fields["content-security-policy"].split("; "))
            assert policy.pop("style-src").startswith("'sha256-")
            nothing = {"default-src", "base-uri", "frame-ancestors"}
            assert policy == {**dict.fromkeys(nothing, "'none'"), "img-src": "data:", "form-action": "'self'"}
            assert fields["referrer-policy"] == "same-origin"
            assert fields["x-content-type-options"] == "nosniff"
            assert fields["cache-control"] == "no-store"
            assert fields["cross-origin-resource-policy"] == fields["cross-origin-opener-policy"] == "same-origin"
            assert b"<script" not in page


def test_the_page_says_who_looks(callers: list[Caller]) -> None:
    browser = sign_in(callers[0], make(callers[0], "looker", "edit", graphs=["base", "team-*"]))
    for caller in callers:
        page = browser.raw(caller, "GET", "/plain")[2].decode()
        assert "Signed in as <b>looker</b> (read, edit for base, team-*)" in page
        assert f'name="csrf" value="{browser.csrf}"' in page
        assert "?refresh=5&amp;again=1" in page
        assert "Sign out" not in caller.raw("GET", "/plain", ADMIN)[2].decode()


def test_who_may_only_feed_is_told_so(callers: list[Caller]) -> None:
    secret = make(callers[0], "only-feeds", "ingest", graphs=["base"])
    browser = sign_in(callers[0], secret)
    for caller in callers:
        status, _, page = browser.raw(caller, "GET", "/plain")
        assert status == 403
        assert b"needs the scope <b>read</b>" in page
        assert b"<b>only-feeds</b> one may hand in and delete documents of base over HTTP" in page
        assert b"Sign out" in page
        # a program gets a problem
        assert caller.ask("GET", "/plain", secret)[1]["code"] == "scope.missing"


@pytest.mark.parametrize("setting", ["PYPES_ACCESS_SESSION_IDLE_S", "PYPES_ACCESS_SESSION_S"])
def test_it_ends_by_itself_at_all_workers(tmp_path: Path, setting: str) -> None:
    environ = {"PYPES_TOKEN": ADMIN, setting: "2"}
    with running(tmp_path, GRAPH, workers=2, instances=1, environ=environ) as node, calling(node) as callers:
        status, fields, _ = hand_in(callers[0], ADMIN)
        assert status == 303
        # with the cookie of its beginning only, and not that of an answer
        refused_by(callers, SignedIn(fields["set-cookie"].partition(";")[0], ""))


def test_it_outlives_workers_and_their_arbiter_and_ends_with_the_node(tmp_path: Path) -> None:
    with running(tmp_path, GRAPH, workers=2, instances=1, environ={"PYPES_TOKEN": ADMIN}) as node:
        with calling(node) as callers:
            stays, leaves = (sign_in(callers[0], ADMIN) for _ in range(2))
            assert leaves.raw(callers[0], "POST", "/session/end")[0] == 303
        for victim in ("worker", "arbiter"):
            node.roles()[victim][0].kill()
            node.wait_ready()
            until(lambda: len(node.roles()["worker"]) == 2, 30, "two workers")
            with calling(node) as callers:
                for caller in callers:
                    assert stays.ask(caller, "POST", "/docs", {"a": 1})[0] == 202
                    assert leaves.ask(caller, "GET", "/status")[0] == 401
        node.kill()
        node.start()
        node.wait_ready()
        with calling(node) as callers:
            for browser in (stays, leaves):
                refused_by(callers, browser)
            assert sign_in(callers[0], ADMIN).ask(callers[1], "GET", "/status")[0] == 200
