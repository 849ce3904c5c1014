"""Tokens on a real node with two workers: made, shown, changed, revoked, and gone for everybody within a second."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.core.clock import wall
from pypes.testing.node import Node, running, until
from tests.api.asking import GRAPH
from tests.api.callers import ADMIN, SEEN_S, Caller, calling, make
from tests.api.streams import Watching


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("tokens")
    environ = {"PYPES_TOKEN": ADMIN, "PYPES_LOG_LEVEL": "DEBUG"}
    with running(base, GRAPH, workers=2, instances=1, environ=environ) as node:
        yield node
        assert "Traceback" not in node.log()
        assert ADMIN not in node.log()


def refused(caller: Caller, method: str, path: str, secret: str | None = ADMIN, body: Any = None) -> tuple[int, str]:
    status, problem = caller.ask(method, path, secret, body)
    return status, problem["code"]


def test_a_token_is_made_shown_and_revoked(caller: Caller) -> None:
    status, fields, content = caller.raw("POST", "/tokens", ADMIN, {"name": "made", "scopes": ["read"], "expires": wall() + 3600})
    created = json.loads(content)
    assert (status, fields["location"], fields["cache-control"]) == (201, "/tokens/made", "no-store")
    secret = created.pop("secret")
    assert secret.startswith("pypes_")
    assert created["created_by"] == "admin"
    assert caller.ask("GET", "/tokens/made", ADMIN) == (200, created)
    assert created in caller.ask("GET", "/tokens", ADMIN)[1]
    assert secret not in str(caller.ask("GET", "/tokens", ADMIN))
    assert caller.ask("GET", "/status", secret)[0] == 200
    assert caller.ask("DELETE", "/tokens/made", ADMIN) == (204, None)
    assert caller.ask("DELETE", "/tokens/made", ADMIN) == (204, None)
    revoked = caller.ask("GET", "/tokens/made", ADMIN)[1]
    assert (revoked["state"], "revoked" in revoked) == ("revoked", True)
    assert refused(caller, "GET", "/status", secret) == (401, "token.revoked")


def test_lists_come_in_pages(caller: Caller) -> None:
    for name in ("page-a", "page-b"):
        make(caller, name, "read")
    _, fields, content = caller.raw("GET", "/tokens?limit=1&after=page-a", ADMIN)
    assert [token["name"] for token in json.loads(content)] == ["page-b"]
    assert ("link" in fields) == any(token["name"] > "page-b" for token in caller.ask("GET", "/tokens", ADMIN)[1])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ([], 400, "request.invalid"),
        ({"name": "x"}, 422, "token.scopes"),
        ({"name": "x", "scopes": "read"}, 400, "request.invalid"),
        ({"name": "x", "scopes": ["read"], "graph": "g"}, 400, "request.invalid"),
        ({"name": "x", "scopes": ["read"], "expires": "soon"}, 400, "request.invalid"),
        ({"name": "x", "scopes": ["read"], "expires": True}, 400, "request.invalid"),
        ({"name": "x", "scopes": ["read"], "expires": 5}, 422, "token.expires"),
        ({"scopes": ["read"]}, 400, "request.invalid"),
        ({"name": "admin", "scopes": ["read"]}, 422, "token.name"),
    ],
)
def test_what_is_wrong_with_a_request_is_told(caller: Caller, body: Any, status: int, code: str) -> None:
    assert refused(caller, "POST", "/tokens", ADMIN, body) == (status, code)


def test_what_is_not_there_and_what_is_there_already(caller: Caller) -> None:
    for method in ("GET", "DELETE"):
        assert refused(caller, method, "/tokens/nobody") == (404, "token.not_found")
    assert refused(caller, "PATCH", "/tokens/nobody", ADMIN, {"scopes": ["read"]}) == (404, "token.not_found")
    make(caller, "twice", "read")
    assert refused(caller, "POST", "/tokens", ADMIN, {"name": "twice", "scopes": ["read"]}) == (409, "token.exists")
    assert refused(caller, "PATCH", "/tokens/twice", ADMIN, {}) == (400, "request.invalid")


def test_every_refusal_says_which(callers: list[Caller]) -> None:
    secret = make(callers[0], "ending", "read", expires=wall() + 2)
    for caller in callers:
        assert caller.raw("GET", "/status")[1]["www-authenticate"] == 'Bearer realm="pypes"'
        assert refused(caller, "GET", "/status", None) == (401, "token.missing")
        assert refused(caller, "GET", "/status", "pypes_wrong") == (401, "token.invalid")
        assert refused(caller, "GET", "/status", ADMIN[:-1]) == (401, "token.invalid")
        until(lambda c=caller: c.ask("GET", "/status", secret)[0] == 401, SEEN_S, "the token has expired")
        assert refused(caller, "GET", "/status", secret) == (401, "token.expired")


def test_a_scope_that_is_missing_is_named(caller: Caller) -> None:
    secret = make(caller, "looker", "read")
    status, problem = caller.ask("POST", "/docs", secret, {"a": 1})
    assert (status, problem["code"], problem["where"]) == (403, "scope.missing", "looker")
    assert "ingest" in problem["detail"]
    assert "looker" in problem["detail"]
    status, problem = caller.ask("POST", "/tokens", secret, {"name": "y", "scopes": ["admin"]})
    assert (status, problem["code"]) == (403, "scope.missing")


def test_what_was_made_on_one_worker_is_known_to_the_other_at_once(callers: list[Caller]) -> None:
    for number in range(10):
        one, other = callers[number % 2], callers[(number + 1) % 2]
        secret = make(one, f"at-once-{number}", "ingest")
        assert other.ask("POST", "/docs", secret, {"a": 1})[0] == 202


def test_the_poster_is_the_name_of_the_token(callers: list[Caller]) -> None:
    secret = make(callers[0], "feeder", "ingest")
    for caller in callers:
        # the first is admitted by its parsed head, those that follow by the bytes of it
        for _ in range(3):
            for path in ("/docs", "/docs/any"):
                status, accepted = caller.ask("POST", path, secret, {"a": 1})
                assert status == 202
                receipt = caller.ask("GET", f"/receipts/{accepted['receipt']}", secret)[1]
                assert receipt["posted_by"] == "feeder"
        status, accepted = caller.ask("POST", "/docs", ADMIN, {"a": 1})
        assert caller.ask("GET", f"/receipts/{accepted['receipt']}", secret)[1]["posted_by"] == "admin"


def test_what_is_revoked_on_one_worker_passes_on_none(callers: list[Caller]) -> None:
    """Those that were let in by the bytes of their head included."""
    secret = make(callers[0], "short", "ingest", "read")
    for caller in callers:
        for _ in range(3):
            assert caller.ask("POST", "/docs", secret, {"a": 1})[0] == 202
    assert callers[0].ask("DELETE", "/tokens/short", ADMIN)[0] == 204
    assert refused(callers[0], "POST", "/docs", secret, {"a": 1}) == (401, "token.revoked")
    until(lambda: callers[1].ask("POST", "/docs", secret, {"a": 1})[0] == 401, SEEN_S, "the other worker knows")
    assert refused(callers[1], "GET", "/status", secret) == (401, "token.revoked")


def test_a_change_of_scopes_counts_on_all_workers(callers: list[Caller]) -> None:
    secret = make(callers[0], "changed", "ingest")
    for caller in callers:
        assert caller.ask("POST", "/docs", secret, {"a": 1})[0] == 202
    status, changed = callers[1].ask("PATCH", "/tokens/changed", ADMIN, {"scopes": ["read"]})
    assert (status, changed["scopes"]) == (200, ["read"])
    for caller in callers:
        until(lambda c=caller: c.ask("POST", "/docs", secret, {"a": 1})[0] == 403, SEEN_S, "scopes have changed")
        assert caller.ask("GET", "/status", secret)[0] == 200


@pytest.mark.parametrize("path", ["/events", "/graphs/base/taps?wire=json.out-set.in"])
@pytest.mark.parametrize("how", ["revoked", "changed", "expired"])
def test_streams_end_with_their_token(node: Node, callers: list[Caller], path: str, how: str) -> None:
    name = f"stream-{how}-{path[1:3]}"
    expires = wall() + 3 if how == "expired" else None
    secret = make(callers[0], name, "read", expires=expires)
    with Watching(node.port, path, {"Authorization": f"Bearer {secret}"}) as watching:
        assert watching.status == 200
        if how == "revoked":
            assert callers[1].ask("DELETE", f"/tokens/{name}", ADMIN)[0] == 204
        elif how == "changed":
            assert callers[1].ask("PATCH", f"/tokens/{name}", ADMIN, {"scopes": ["ingest"]})[0] == 200
        # to the end of the stream, which would not come by itself
        watching.rest()


def test_who_waits_is_let_go_with_the_token(node: Node, callers: list[Caller]) -> None:
    paused = {**GRAPH, "name": "paused", "routes": ["paused"]}
    assert callers[0].ask("PUT", "/graphs/paused", ADMIN, paused)[0] == 201
    assert callers[0].ask("POST", "/graphs/paused/pause", ADMIN)[0] == 200
    secret = make(callers[0], "waiting", "ingest", "read")
    receipt = callers[0].ask("POST", "/docs/paused", secret, {"a": 1})[1]["receipt"]
    found: list[tuple[int, Any]] = []

    def wait() -> None:
        other = Caller(node.port)
        began = time.monotonic()
        found.append(other.ask("GET", f"/receipts/{receipt}?wait=60", secret))
        found.append((int(time.monotonic() - began), None))
        other.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert callers[0].ask("DELETE", "/tokens/waiting", ADMIN)[0] == 204
    waiting.join(50)
    assert not waiting.is_alive()
    (status, problem), _ = found
    assert (status, problem["code"]) in ((401, "token.ended"), (401, "token.revoked"))
    assert callers[0].ask("DELETE", "/graphs/paused?force=true", ADMIN)[0] == 204


def test_who_waits_for_results_is_let_go_with_the_token(node: Node, callers: list[Caller]) -> None:
    boxed = {
        "pypes": 1,
        "name": "boxed",
        "routes": ["boxed"],
        "nodes": {"json": {"component": "JSON"}, "box": {"component": "Outbox", "params": {"name": "box"}}},
        "wires": [["json.out", "box.in"]],
    }
    assert callers[0].ask("PUT", "/graphs/boxed", ADMIN, boxed)[0] == 201
    receipt = callers[0].ask("POST", "/docs/boxed", ADMIN, {"a": 1})[1]["receipt"]
    assert callers[0].ask("GET", f"/receipts/{receipt}?wait=30", ADMIN)[1]["state"] == "done"
    given = callers[0].ask("GET", "/outbox/box", ADMIN)[1]
    assert callers[0].ask("DELETE", f"/outbox/box/{given['cursor']}", ADMIN)[1] == {"acknowledged": 1}
    secret = make(callers[0], "fetching", "read")
    other = Caller(node.port)
    found: list[tuple[int, Any]] = []
    waiting = threading.Thread(target=lambda: found.append(other.ask("GET", "/outbox/box?wait=60", secret)))
    waiting.start()
    assert callers[0].ask("DELETE", "/tokens/fetching", ADMIN)[0] == 204
    waiting.join(50)
    assert not waiting.is_alive()
    other.close()
    assert found[0][0] == 401


def test_a_body_that_is_still_coming_is_not_accepted(node: Node, callers: list[Caller]) -> None:
    secret = make(callers[0], "slow", "ingest")
    sending = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    sending.putrequest("POST", "/docs/any")
    for name, value in (("Content-Type", "application/json"), ("Content-Length", "7"), ("Authorization", f"Bearer {secret}")):
        sending.putheader(name, value)
    sending.endheaders(b'{"a"')
    # the head has been read when its answer to the question for more is there: so ask on the same connection's worker later
    until(lambda: "slow" in str(callers[0].ask("GET", "/tokens/slow", ADMIN)), SEEN_S, "the token is there")
    for caller in callers:
        assert caller.ask("POST", "/docs", secret, {"a": 1})[0] == 202
    assert callers[0].ask("DELETE", "/tokens/slow", ADMIN)[0] == 204
    for caller in callers:
        until(lambda c=caller: c.ask("POST", "/docs", secret, {"a": 1})[0] == 401, SEEN_S, "all know")
    sending.send(b":1}")
    answer = sending.getresponse()
    problem = json.loads(answer.read())
    assert (answer.status, problem["code"]) in ((401, "token.ended"), (401, "token.revoked"))
    sending.close()


def test_nothing_that_a_node_wrote_has_a_secret(node: Node, caller: Caller) -> None:
    secrets = [ADMIN, make(caller, "hidden", "admin")]
    caller.ask("GET", "/tokens", secrets[1])
    caller.ask("GET", "/status", secrets[1] + "x")
    written = [path for path in node.base.rglob("*") if path.is_file()]
    assert any(path.name.startswith("control.db") for path in written)
    for path in written:
        for secret in secrets:
            assert secret.encode() not in path.read_bytes(), path
    told = json.dumps(
        [caller.ask("GET", path, ADMIN) for path in ("/logs?limit=1000", "/status", "/tokens", "/events?recent=0")[:3]]
    )
    for secret in secrets:
        assert secret not in told


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Node]:
    """A node without a token."""
    with running(tmp_path, GRAPH, workers=2, instances=1) as node:
        yield node


def test_from_its_first_token_on_a_node_asks(fresh: Node) -> None:
    with calling(fresh) as callers:
        for caller in callers:
            assert caller.ask("POST", "/docs", None, {"a": 1})[0] == 202
        assert refused(callers[0], "POST", "/tokens", None, {"name": "r", "scopes": ["read"]}) == (409, "token.last")
        status, created = callers[0].ask("POST", "/tokens", None, {"name": "boss", "scopes": ["admin"]})
        assert (status, created["created_by"]) == (201, "")
        secret = created["secret"]
        assert callers[1].ask("GET", "/status", secret)[0] == 200
        for caller in callers:
            assert refused(caller, "POST", "/docs", None, {"a": 1}) == (401, "token.missing")
            assert caller.ask("GET", "/healthz")[0] == 200
        assert refused(callers[0], "DELETE", "/tokens/boss", secret) == (409, "token.last")
        other = make(callers[1], "other", "admin", by=secret)
        assert callers[0].ask("DELETE", "/tokens/boss", other)[0] == 204
    fresh.kill()
    fresh.start()
    fresh.wait_ready()
    with calling(fresh) as callers:
        for caller in callers:
            assert refused(caller, "GET", "/status", None) == (401, "token.missing")
            assert refused(caller, "GET", "/status", secret) == (401, "token.revoked")
            assert caller.ask("GET", "/status", other)[0] == 200
