"""Sessions of browsers: begun with the token, ended by time, by another token or by another start of the node."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pypes.api.sessions import SESSION_S, Sessions
from tests.api.config import worker_config
from tests.api.test_guard import ask

RANDOM = b"random bytes"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def sessions(token: str = "secret", random: bytes = RANDOM, clock: Any = None, **config: Any) -> Sessions:
    return Sessions(worker_config(token=token, **config), random, clock or Clock())


def sent(made: Sessions, *, is_secure: bool = False) -> bytes:
    """The field ``Cookie`` of a browser that has been given a session."""
    return made.cookie(is_secure=is_secure).partition(";")[0].encode()


def test_a_session_is_known_to_all_with_the_same_key() -> None:
    cookie = sent(sessions())
    assert sessions().is_session(cookie)
    assert sessions().is_session(b"other=1; " + cookie + b"; third=x")
    assert not sessions(random=b"of another start").is_session(cookie)
    assert not sessions(token="another").is_session(cookie)


def test_it_ends() -> None:
    clock = Clock()
    made = sessions(clock=clock)
    cookie = sent(made)
    clock.now += SESSION_S - 1
    assert made.is_session(cookie)
    clock.now += 1
    assert not made.is_session(cookie)


def test_it_is_ended_for_all_and_leaves_nothing_behind_its_time(tmp_path: Path) -> None:
    clock = Clock()
    first, second = (sessions(clock=clock, runtime_dir=str(tmp_path)) for _ in range(2))
    cookie, other = sent(first), sent(first)
    second.end(b"x=1; " + cookie + b"; pypes-session-8080=1.2.3")
    assert [made.is_session(cookie) for made in (first, second)] == [False, False]
    assert first.is_session(other)
    second.end(cookie)
    assert len([*tmp_path.iterdir()]) == 1
    clock.now += SESSION_S
    first.end(b"")
    assert not [*tmp_path.iterdir()]


def test_what_was_not_made_here_is_none() -> None:
    made = sessions()
    cookie = sent(made)
    name, _, value = cookie.partition(b"=")
    session, _, code = value.rpartition(b".")
    end, _, random = session.partition(b".")
    later = str(int(end) + 1).encode() + b"." + random
    wrongs = [later + b"." + code, session + b".", session, end, b"", b".", session + b"." + code[:-1], b"x." + code]
    for wrong in (*wrongs, end + b"." + code, end + b"..." + code, session + b".\xff", b"../../x." + code):
        assert not made.is_session(name + b"=" + wrong)
    assert not made.is_session(b"pypes-session-1=" + value)
    assert not made.is_session(b"")


def test_the_token_cannot_be_read_from_it() -> None:
    cookie = sessions().cookie(is_secure=True)
    assert "secret" not in cookie
    assert cookie.endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure")
    assert "Secure" not in sessions().cookie(is_secure=False)
    # who knows a cookie cannot try tokens against it without the random bytes
    assert re.fullmatch(r"pypes-session-8080=[0-9]+\.[0-9a-f]{16}\.[0-9a-f]{64}", cookie.partition(";")[0])


def test_nodes_on_other_ports_have_other_cookies() -> None:
    assert not sessions(port=8081).is_session(sent(sessions()))


@pytest.mark.parametrize("value", [b"Bearer secret", b"bearer  secret "])
def test_the_token_is_known(value: bytes) -> None:
    assert sessions().is_bearer(value)


@pytest.mark.parametrize("value", [None, b"", b"Bearer ", b"Bearer wrong", b"Basic secret", b"secret"])
def test_others_are_not(value: bytes | None) -> None:
    assert not sessions().is_bearer(value)


PASSING = {"Host": "localhost:8080", "Cookie": sent(Sessions(worker_config(token="secret"), b"random")).decode()}


@pytest.mark.parametrize(
    "path",
    ["/status", "/metrics", "/graphs", "/graphs/shop", "/deadletters", "/receipts/x/documents", "/filters/a.b", "/openapi.json"],
)
def test_who_has_one_may_look(path: str) -> None:
    for method in ("GET", "HEAD"):
        assert ask(PASSING, method=method, path=path, token="secret")[0] == 200
        assert ask({**PASSING, "Origin": "https://localhost:8080"}, method=method, path=path, token="secret")[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/docs"),
        ("PUT", "/graphs/shop"),
        ("DELETE", "/graphs/shop"),
        ("POST", "/deadletters/replay"),
        ("DELETE", "/deadletters"),
        ("OPTIONS", "/graphs"),
        # leases what it gives
        ("GET", "/outbox/requests"),
        ("GET", "//outbox/requests"),
        ("GET", "/docs"),
        ("GET", "/search"),
    ],
)
def test_who_has_one_may_do_nothing_else(method: str, path: str) -> None:
    for origin in ({}, {"Origin": "http://localhost:8080"}):
        status, _, problem = ask({**PASSING, **origin}, method=method, path=path, token="secret")
        assert (status, problem["code"]) == (401, "token.missing")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://evil.example", "null", "https://editor.example.com"])
def test_pages_of_others_may_not_look_with_it(origin: str) -> None:
    asked = {**PASSING, "Origin": origin}
    assert ask(asked, method="GET", path="/status", token="secret", origins=("https://editor.example.com",))[0] == 401


@pytest.mark.parametrize("path", ["/", "/session", "/session/end"])
def test_where_browsers_are_asked_for_the_token_it_is_not_needed(path: str) -> None:
    assert ask({"Host": "localhost"}, path=path, token="secret")[0] == 200
    assert ask({"Host": "localhost", "Origin": "null"}, path=path, token="secret")[0] == 403
    assert ask({"Host": "evil.example"}, path=path, token="secret")[0] == 403
