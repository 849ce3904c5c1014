"""Who gets past the guard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.access.register import Register
from pypes.api.guard import Guard
from pypes.api.sessions import Session, Sessions
from pypes.core.clock import wall
from pypes.core.limits import Limits
from tests.api.config import worker_config


async def through(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(
    headers: dict[str, str],
    *,
    method: str = "POST",
    path: str = "/docs",
    state: str = "ready",
    http_version: str = "1.1",
    server: str = "127.0.0.1",
    client: str = "127.0.0.1",
    query: bytes = b"",
    scheme: str = "http",
    **config: Any,
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and document of what the guard (or the application behind it) answers."""
    made = worker_config(**config)
    register = Register(Path("nowhere"), made.token)
    guard = Guard(through, made, register, Sessions(made, register), lambda: state)
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "scheme": scheme,
        "http_version": http_version,
        "server": (server, 8080),
        "client": (client, 40_000),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        await guard(scope, None, send)

    asyncio.run(run())
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, orjson.loads(sent[1]["body"] or b"{}")


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LocalHost:99", "[::1]:8080", "pypes.example.com"])
def test_hosts_of_the_server_pass(host: str) -> None:
    assert ask({"Host": host}, hosts=("pypes.example.com",))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", "10.0.0.9", "", "["),
        *("127.0.0.1:8080.evil", "127.0.0.1:evil", "localhost/evil", "evil@localhost", "localhost?evil", "localhost:0"),
    ],
)
def test_foreign_hosts_do_not(host: str) -> None:
    status, headers, problem = ask({"Host": host}, method="GET")
    assert status == 403
    assert problem["code"] == "host.foreign"
    assert headers["content-type"] == "application/problem+json"


def test_a_second_host_is_refused() -> None:
    register = Register(Path("nowhere"))
    guard = Guard(through, worker_config(), register, Sessions(worker_config(), register), lambda: "ready")
    scope = {"type": "http", "method": "GET", "path": "/", "http_version": "1.1", "server": None}
    sent: list[Any] = []

    async def run(*hosts: bytes) -> int:
        sent.clear()

        async def send(message: Any) -> None:
            sent.append(message)

        await guard({**scope, "headers": [(b"host", host) for host in hosts]}, None, send)
        return int(sent[0]["status"])

    assert asyncio.run(run(b"localhost", b"localhost")) == 403
    assert asyncio.run(run(b"localhost", b"evil.example")) == 403
    assert asyncio.run(run(b"evil.example", b"localhost")) == 403
    assert asyncio.run(run(b"localhost")) == 200


def test_a_second_authorization_is_refused() -> None:
    """Whatever stands before the node may have looked at the other one."""
    made = worker_config(token="right")
    register = Register(Path("nowhere"), made.token)
    guard = Guard(through, made, register, Sessions(made, register), lambda: "ready")
    scope = {"type": "http", "method": "GET", "path": "/", "http_version": "1.1", "server": None}

    def asked(*tokens: bytes) -> tuple[int, Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), *((b"authorization", token) for token in tokens)]
        asyncio.run(guard({**scope, "headers": headers}, None, send))  # type: ignore[arg-type]
        return sent[0]["status"], orjson.loads(sent[1]["body"] or b"{}").get("code")

    good = b"Bearer right"
    assert asked(good) == (200, None)
    for other in (good, b"Bearer wrong", b"Basic YTpi", b""):
        for tokens in ((good, other), (other, good), (other, other, good)):
            assert asked(*tokens) == (400, "authorization.repeated")


def test_the_address_a_connection_came_in_on_passes_where_all_are_bound() -> None:
    assert ask({"Host": "10.0.0.5:8080"}, host="0.0.0.0", server="10.0.0.5", insecure=True)[0] == 200
    assert ask({"Host": "10.0.0.6:8080"}, host="0.0.0.0", server="10.0.0.5", insecure=True)[0] == 403


def test_the_host_that_a_proxy_was_asked_for_is_one_of_the_nodes_too() -> None:
    known: dict[str, Any] = {"hosts": ("docs.example.org",), "proxies": ("10.0.0.0/8",)}
    told = {"Host": "localhost", "X-Forwarded-Host": "docs.example.org"}
    assert ask(told, client="10.0.0.1", **known)[0] == 200
    status, _, problem = ask({**told, "X-Forwarded-Host": "evil.example"}, client="10.0.0.1", **known)
    assert (status, problem["code"]) == (403, "host.foreign")
    assert "X-Forwarded-Host" in problem["detail"]
    # it stands beside the host that the proxy asks for, not in its place
    assert ask({**told, "Host": "evil.example"}, client="10.0.0.1", **known)[0] == 403
    # and is nothing to others
    assert ask({**told, "X-Forwarded-Host": "evil.example"}, client="11.0.0.1", **known)[0] == 200


def test_pages_of_the_node_have_the_origin_that_a_proxy_was_asked_for() -> None:
    known: dict[str, Any] = {"hosts": ("docs.example.org",), "proxies": ("10.0.0.0/8",)}
    told = {"Host": "localhost", "X-Forwarded-Host": "docs.example.org", "Origin": "https://docs.example.org"}
    assert ask(told, client="10.0.0.1", **known)[0] == 200
    assert ask({**told, "Origin": "https://localhost"}, client="10.0.0.1", **known)[0] == 403
    assert ask(told, client="11.0.0.1", **known)[0] == 403


def test_what_a_proxy_says_has_to_be_readable() -> None:
    told = {"Host": "localhost", "X-Forwarded-For": "unknown"}
    status, _, problem = ask(told, client="10.0.0.1", proxies=("10.0.0.0/8",))
    assert (status, problem["code"]) == (400, "proxy.malformed")
    assert ask(told, client="11.0.0.1", proxies=("10.0.0.0/8",))[0] == 200


def test_a_missing_host_is_malformed_except_in_http_1_0() -> None:
    assert ask({}, method="GET")[0] == 400
    assert ask({}, method="GET", http_version="1.0")[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "https://evil.example:8080"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_foreign_origins_may_not_change_anything(origin: str, method: str) -> None:
    status, _, problem = ask({"Host": "localhost:8080", "Origin": origin}, method=method)
    assert status == 403
    assert problem["code"] == "origin.foreign"


def test_foreign_origins_may_look() -> None:
    assert ask({"Host": "localhost:8080", "Origin": "http://evil.example"}, method="GET")[0] == 200


@pytest.mark.parametrize("origin", ["http://localhost:8080", "https://localhost:8080", "https://editor.example.com"])
def test_the_own_origin_and_listed_ones_pass(origin: str) -> None:
    assert ask({"Host": "localhost:8080", "Origin": origin}, origins=("https://editor.example.com/",))[0] == 200


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic c2VjcmV0", "secret", "Bearer secret2"])
def test_without_the_token_nothing_is_possible(value: str) -> None:
    headers = {"Host": "localhost", **({"Authorization": value} if value else {})}
    for method in ("GET", "POST"):
        status, fields, problem = ask(headers, method=method, token="secret")
        assert status == 401
        assert fields["www-authenticate"].startswith("Bearer")
        assert problem["code"] == ("token.invalid" if value else "token.missing")
        assert problem["status"] == 401


@pytest.mark.parametrize("value", ["Bearer secret", "bearer secret", "BEARER  secret "])
def test_with_the_token_everything_is(value: str) -> None:
    assert ask({"Host": "localhost", "Authorization": value}, token="secret")[0] == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_need_no_token(path: str) -> None:
    assert ask({"Host": "localhost"}, method="GET", path=path, token="secret")[0] == 200


def test_a_body_that_announces_to_be_too_long_is_refused_unread() -> None:
    limits = Limits(body_bytes=1_000_000)
    status, fields, problem = ask({"Host": "localhost", "Content-Length": "1000001"}, limits=limits)
    assert status == 413
    assert fields["connection"] == "close"
    assert problem["code"] == "ingest.too_large"
    assert ask({"Host": "localhost", "Content-Length": "1000000"}, limits=limits)[0] == 200


def test_while_draining_nothing_new_is_taken() -> None:
    status, fields, problem = ask({"Host": "localhost"}, state="draining")
    assert status == 503
    assert fields["connection"] == "close"
    assert int(fields["retry-after"]) >= 1
    assert problem["code"] == "node.draining"
    status, fields, _ = ask({"Host": "localhost"}, method="GET", path="/receipts/x", state="draining")
    assert status == 200
    assert fields["connection"] == "close"


LISTED = ("https://editor.example.com/",)


def test_browsers_are_told_what_pages_of_listed_origins_may_do() -> None:
    asks = {"Host": "localhost", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    # a browser sends no token along
    status, headers, _ = ask({**asks, "Origin": "https://editor.example.com"}, method="OPTIONS", origins=LISTED, token="secret")
    assert status == 204
    assert headers["access-control-allow-origin"] == "https://editor.example.com"
    assert headers["vary"] == "Origin"
    assert "PUT" in headers["access-control-allow-methods"].split(", ")
    assert {"Content-Type", "Authorization", "Idempotency-Key"} <= set(headers["access-control-allow-headers"].split(", "))
    for origin in ("https://evil.example", "https://editor.example.com.evil.example", "null", "http://localhost"):
        status, headers, _ = ask({**asks, "Origin": origin}, method="OPTIONS", origins=LISTED)
        assert not [name for name in headers if name.startswith("access-control-")]
    assert (
        ask({**asks, "Origin": "https://editor.example.com", "Host": "evil.example"}, method="OPTIONS", origins=LISTED)[0] == 403
    )


def test_pages_of_listed_origins_read_every_answer() -> None:
    for token, expected in ((None, 200), ("secret", 401)):
        status, headers, _ = ask({"Host": "localhost", "Origin": "https://editor.example.com"}, origins=LISTED, token=token)
        assert status == expected
        assert headers["access-control-allow-origin"] == "https://editor.example.com"
        assert "Location" in headers["access-control-expose-headers"].split(", ")
    for origin in ("http://localhost:8080", "https://evil.example"):
        _, headers, _ = ask({"Host": "localhost:8080", "Origin": origin}, method="GET", origins=LISTED)
        assert not [name for name in headers if name.startswith("access-control-")]


#: The origin of the node's own pages, and of others.
OWN_PAGE = {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
FOREIGN = ["http://localhost:3000", "http://evil.example", "null"]
CHANGING = ["POST", "PUT", "PATCH", "DELETE"]


def signed_in(age_s: float = 0.0, *, is_secure: bool = False) -> tuple[Session, dict[str, str]]:
    """A session that began so long ago, and the fields that its browser sends."""
    sessions = Sessions(worker_config(), Register(Path("nowhere"), "secret"), lambda: wall() - age_s)
    session = sessions.begin(b"secret", is_secure=is_secure)
    assert session is not None
    return session, {"Host": "localhost:8080", "Cookie": sessions.cookie(session).partition(";")[0]}


def asked(headers: dict[str, str], **more: Any) -> tuple[int, str]:
    """Status and code of the answer of a node with a token."""
    status, _, problem = ask(headers, token="secret", **more)
    return status, problem.get("code", "")


@pytest.mark.parametrize("path", ["/status", "/docs", "/outbox/requests", "/tokens", "/metrics", "/no/address"])
def test_who_has_signed_in_passes(path: str) -> None:
    _, fields = signed_in()
    for method in ("GET", "HEAD", "OPTIONS"):
        for more in ({}, OWN_PAGE, {"Sec-Fetch-Site": "none"}):
            assert asked({**fields, **more}, method=method, path=path)[0] == 200


@pytest.mark.parametrize("method", CHANGING)
def test_what_changes_something_shows_the_csrf_token_too(method: str) -> None:
    session, fields = signed_in()
    other, _ = signed_in()
    for more in ({}, OWN_PAGE):
        assert asked({**fields, **more}, method=method) == (403, "csrf.missing")
        for wrong in ("", "x", other.csrf, session.csrf[:-1], session.csrf + "0", "\u00e4"):
            assert asked({**fields, **more, "X-CSRF-Token": wrong}, method=method) == (403, "csrf.missing")
        assert asked({**fields, **more, "X-CSRF-Token": session.csrf}, method=method)[0] == 200
    # without the cookie it is worth nothing
    assert asked({"Host": "localhost", "X-CSRF-Token": session.csrf}, method=method) == (401, "token.missing")


@pytest.mark.parametrize("method", CHANGING)
@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_others_change_nothing_by_a_session(method: str, origin: str) -> None:
    session, fields = signed_in()
    shown = {**fields, "X-CSRF-Token": session.csrf}
    assert asked({**shown, "Origin": origin}, method=method) == (403, "origin.foreign")
    # those that are listed show a token of their own
    listed = {**shown, "Origin": "https://editor.example.com"}
    assert asked(listed, method=method, origins=LISTED) == (401, "session.ended")
    for site in ("same-site", "cross-site", "anything"):
        for mode in ("navigate", "cors", "no-cors"):
            assert asked({**shown, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}, method=method) == (401, "session.ended")


@pytest.mark.parametrize("origin", [*FOREIGN, "https://editor.example.com"])
def test_pages_of_others_may_not_look_with_a_session(origin: str) -> None:
    _, fields = signed_in()
    assert asked({**fields, "Origin": origin}, method="GET", path="/status", origins=LISTED)[0] == 401
    for mode in ("cors", "no-cors", "websocket"):
        other_port = {**fields, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": mode}
        assert asked(other_port, method="GET", path="/status")[0] == 401
    # but a link there may be followed
    assert asked({**fields, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, method="GET", path="/status")[0] == 200


def test_a_token_counts_more_than_a_session() -> None:
    _, fields = signed_in()
    assert asked({**fields, "Authorization": "Bearer secret"})[0] == 200
    assert asked({**fields, "Authorization": "Bearer wrong"}, method="GET") == (401, "token.invalid")
    # a proxy may have asked for another word
    assert asked({**fields, "Authorization": "Basic c2VjcmV0"}, method="GET")[0] == 200


def test_a_session_that_is_over_is_told() -> None:
    _, fields = signed_in(age_s=3600)
    assert asked(fields, method="GET", path="/status") == (401, "session.ended")
    assert asked(fields, method="POST") == (401, "session.ended")
    assert asked({**fields, "Cookie": "pypes-session-0=x"}, method="GET", path="/status") == (401, "session.ended")
    assert asked({**fields, "Cookie": "pypes-session-0=; other=x"}, method="GET", path="/status") == (401, "token.missing")
    assert asked(fields, method="GET", path="/")[0] == 200


def test_nobody_keeps_what_a_session_was_answered() -> None:
    _, fields = signed_in()
    _, headers, _ = ask(fields, method="GET", path="/metrics", token="secret")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    _, headers, _ = ask({"Host": "localhost", "Authorization": "Bearer secret"}, method="GET", path="/metrics", token="secret")
    assert "cache-control" not in headers


def test_a_session_goes_on_with_what_somebody_asks() -> None:
    session, fields = signed_in(age_s=600)
    _, headers, _ = ask(fields, method="GET", path="/status", token="secret")
    renewed = headers["set-cookie"]
    assert session.id in renewed
    assert renewed.endswith("; Path=/; HttpOnly; SameSite=Strict")
    _, headers, _ = ask({**fields, "Cookie": renewed.partition(";")[0]}, method="GET", path="/status", token="secret")
    assert "set-cookie" not in headers
    # the page fetches itself, and nobody is there
    _, headers, _ = ask(fields, method="GET", path="/", query=b"refresh=5&again=1", token="secret")
    assert "set-cookie" not in headers
    by_hand = {**fields, "Sec-Fetch-User": "?1"}
    for headers_sent, query in ((by_hand, b"refresh=5&again=1"), (fields, b"refresh=5&again=10"), (fields, b"")):
        _, headers, _ = ask(headers_sent, method="GET", path="/", query=query, token="secret")
        assert "set-cookie" in headers


def test_over_tls_only_the_cookie_of_this_host_counts() -> None:
    _, plain = signed_in()
    _, secure = signed_in(is_secure=True)
    assert asked(plain, method="GET", scheme="https")[0] == 401
    assert asked(secure, method="GET", scheme="https")[0] == 200
    assert asked(secure, method="GET")[0] == 200  # behind a proxy that nobody has named
    # a proxy that is known says so itself; of others nothing is believed
    forwarded = {"X-Forwarded-Proto": "https"}
    assert asked({**plain, **forwarded}, method="GET", proxies=("127.0.0.1",))[0] == 401
    assert asked({**secure, **forwarded}, method="GET", proxies=("127.0.0.1",))[0] == 200
    assert asked({**plain, **forwarded}, method="GET")[0] == 200
    page = {"Origin": "https://localhost:8080"}
    assert asked({**plain, **page}, method="GET")[0] == 401
    assert asked({**secure, **page}, method="GET")[0] == 200


@pytest.mark.parametrize("path", ["/session", "/session/end"])
def test_forms_come_from_own_pages(path: str) -> None:
    for fields in ({"Host": "localhost:8080"}, signed_in()[1]):
        # they look at the CSRF token themselves
        assert asked({**fields, **OWN_PAGE}, path=path)[0] == 200
        for origin in (*FOREIGN, "https://editor.example.com"):
            assert asked({**fields, "Origin": origin}, path=path, origins=LISTED) == (403, "origin.foreign")
        assert asked({**fields, "Host": "evil.example"}, path=path) == (403, "host.foreign")


def test_on_a_node_without_tokens_a_cookie_means_nothing() -> None:
    _, fields = signed_in()
    assert ask(fields, method="POST")[0] == 200
    assert ask({**fields, "Cookie": "pypes-session-0=x"}, method="POST")[0] == 200
