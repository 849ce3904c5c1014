"""Sessions of browsers: begun with a token, ended by time, by signing out, with their token; known to all workers."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pypes.access.issuing import Issuer
from pypes.access.register import Register
from pypes.api.sessions import Session, Sessions
from tests.access.kept import START, Clock, issuing
from tests.api.config import worker_config

OWN = "the-token-of-the-node"
IDLE_S, LONGEST_S = 1800, 43200


@dataclass
class Stage:
    """A node with a token ``t`` besides its own; ``worker`` makes what a worker knows of its sessions."""

    folder: Path
    issuer: Issuer
    secret: str
    clock: Clock
    stack: ExitStack
    registers: list[Register] = field(default_factory=list)

    def worker(self, **config: Any) -> Sessions:
        register = self.stack.enter_context(closing(Register(self.folder / "control.db", config.get("token", OWN), self.clock)))
        self.registers.append(register)
        made = worker_config(**{"runtime_dir": str(self.folder), "node": 7, **config})
        return Sessions(made, register, self.clock)

    def begun(self, sessions: Sessions, *, is_secure: bool = False) -> tuple[Session, bytes]:
        """A session of ``t``, and the field ``Cookie`` of its browser."""
        session = sessions.begin(self.secret.encode(), is_secure=is_secure)
        assert session is not None
        return session, sent(sessions.cookie(session))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    clock = Clock()
    with ExitStack() as stack, issuing(tmp_path, clock=clock) as issuer:
        _, secret = issuer.create("t", ["read", "ingest"], ["a", "b-*"])
        yield Stage(tmp_path, issuer, secret, clock, stack)


def sent(cookie: str) -> bytes:
    """The field ``Cookie`` of a browser that was given this ``Set-Cookie``."""
    return cookie.partition(";")[0].encode()


def find(sessions: Sessions, cookies: bytes, *, is_secure: bool = False) -> Session | None:
    return sessions.find(cookies, is_secure=is_secure)


def test_a_session_has_the_name_and_the_rights_of_its_token_at_all_workers(stage: Stage) -> None:
    first, second = stage.worker(), stage.worker()
    session, cookie = stage.begun(first)
    for worker in (first, second):
        found = find(worker, b"other=1; " + cookie + b"; third=x")
        assert found is not None
        assert (found.id, found.csrf, found.ends) == (session.id, session.csrf, START + LONGEST_S)
        assert (found.token.name, set(found.token.scopes), found.token.graphs) == ("t", {"read", "ingest"}, ("a", "b-*"))


def test_the_own_token_begins_one_too_and_others_do_not(stage: Stage) -> None:
    worker = stage.worker()
    session = worker.begin(OWN.encode(), is_secure=False)
    assert session is not None
    assert session.token.name == "admin"
    assert find(worker, sent(worker.cookie(session))) is not None
    for wrong in (b"", b"wrong", stage.secret.encode()[:-1], stage.secret.encode() + b"x", b"\xff"):
        assert worker.begin(wrong, is_secure=False) is None
    assert find(stage.worker(token="another"), sent(worker.cookie(session))) is None
    assert find(stage.worker(token=None), sent(worker.cookie(session))) is None


def test_of_another_node_or_another_start_it_is_none(stage: Stage) -> None:
    _, cookie = stage.begun(stage.worker())
    assert find(stage.worker(session_key=b"of another start"), cookie) is None
    other = stage.worker(node=8)
    assert find(other, cookie) is None
    assert not other.has_cookie(cookie)
    # not under its name either
    elsewhere = stage.worker(node=8, session_key=b"of another node")
    assert find(elsewhere, cookie.replace(b"session-7", b"session-8")) is None


def test_it_ends_when_nothing_is_asked(stage: Stage) -> None:
    worker = stage.worker()
    session, cookie = stage.begun(worker)
    assert session.until == START + IDLE_S
    stage.clock.now = START + IDLE_S - 1
    assert find(worker, cookie) is not None
    stage.clock.now = START + IDLE_S
    assert find(worker, cookie) is None
    assert worker.has_cookie(cookie)


def test_it_goes_on_with_its_requests_to_its_latest_end(stage: Stage) -> None:
    worker = stage.worker()
    session, cookie = stage.begun(worker)
    count = 0
    while (found := find(worker, cookie)) is not None:
        stage.clock.now += IDLE_S / 2
        count += 1
        again = worker.renewed(found)
        if again is not None:
            cookie = sent(again)
        assert found.csrf == session.csrf
    assert stage.clock.now == START + LONGEST_S
    assert count == LONGEST_S / (IDLE_S / 2)


def test_a_cookie_is_renewed_when_a_tenth_of_its_time_has_gone(stage: Stage) -> None:
    worker = stage.worker()
    session, _ = stage.begun(worker)
    stage.clock.now += IDLE_S / 10
    assert worker.renewed(session) is None
    stage.clock.now += 1
    assert worker.renewed(session) is not None


def test_without_an_idle_time_it_lasts_to_its_latest_end(stage: Stage) -> None:
    worker = stage.worker(session_idle_s=0.0, session_s=100.0)
    session, cookie = stage.begun(worker)
    stage.clock.now = START + 99
    assert find(worker, cookie) is not None
    assert worker.renewed(session) is None
    stage.clock.now = START + 100
    assert find(worker, cookie) is None


def test_it_is_ended_for_all_and_leaves_nothing_behind_its_time(stage: Stage) -> None:
    first, second = stage.worker(), stage.worker()
    session, cookie = stage.begun(first)
    _, other = stage.begun(first)
    stage.clock.now += 600
    renewed = first.renewed(session)
    assert renewed is not None
    second.end(session)
    # a copy of it is worth nothing, be it that of before or of later
    for worker in (first, second, stage.worker()):
        assert find(worker, cookie) is None
        assert find(worker, sent(renewed)) is None
        assert find(worker, other) is not None
    second.end(session)
    assert len([*stage.folder.glob("*.ended")]) == 1
    stage.clock.now = session.ends
    later, _ = stage.begun(first)
    first.end(later)
    assert [path.name for path in stage.folder.glob("*.ended")] == [f"{later.ends}-{later.id}.ended"]


def test_that_it_cannot_be_ended_is_told(stage: Stage) -> None:
    worker = stage.worker(runtime_dir=str(stage.folder / "nowhere"))
    session, cookie = stage.begun(worker)
    with pytest.raises(OSError, match="nowhere"):
        worker.end(session)
    assert find(worker, cookie) is not None


def test_what_was_not_made_here_is_none(stage: Stage) -> None:
    worker = stage.worker()
    stage.issuer.create("u", ["admin"])
    _, cookie = stage.begun(worker)
    name, _, value = cookie.partition(b"=")
    parts = value.split(b".")
    assert find(worker, name + b"=" + b".".join(parts)) is not None
    for place, others in enumerate(
        (
            (b"u", b"admin", b"T", b""),
            (b"%d" % (int(parts[1]) + 1), b"", b"x"),
            (b"%d" % (int(parts[2]) + 1), parts[1], b""),
            (b"0" * 32, b"", b"../../x"),
            (b"0" * 64, b"", parts[4][:-1], parts[4] + b"0", parts[4].upper() + b"\xff"),
        )
    ):
        for other in others:
            wrong = b".".join([*parts[:place], other, *parts[place + 1 :]])
            assert find(worker, name + b"=" + wrong) is None, wrong
    for wrong in (b"", b".", b"....", b"t", value + b".", b"." + value, value[:-1], b"\xff", b"a" * 5000):
        assert find(worker, name + b"=" + wrong) is None
    assert find(worker, b"") is None


def test_it_ends_with_its_token(stage: Stage) -> None:
    worker = stage.worker()
    session, cookie = stage.begun(worker)
    client = worker.client_of(session)
    stage.issuer.revoke("t")
    stage.registers[0].look()
    # with the look, and not only with the next round
    assert client.ended.is_set()
    assert find(worker, cookie) is None
    # neither has another one of that name anything to do with it
    stage.issuer.create("t", ["admin"])
    assert find(worker, cookie) is None


def test_it_expires_with_its_token(stage: Stage) -> None:
    stage.issuer.change("t", {"expires": START + 60})
    worker = stage.worker()
    _, cookie = stage.begun(worker)
    stage.clock.now = START + 59
    assert find(worker, cookie) is not None
    stage.clock.now = START + 60
    stage.registers[0].look()
    assert find(worker, cookie) is None


def test_its_rights_are_those_of_the_token_now(stage: Stage) -> None:
    worker = stage.worker()
    _, cookie = stage.begun(worker)
    stage.issuer.change("t", {"scopes": ["edit"], "graphs": ["c"]})
    stage.registers[0].look()
    found = find(worker, cookie)
    assert found is not None
    assert (set(found.token.scopes), found.token.graphs) == ({"edit", "read"}, ("c",))


def test_one_of_a_token_that_another_worker_has_just_heard_of_is_known(stage: Stage) -> None:
    first, second = stage.worker(), stage.worker()
    _, secret = stage.issuer.create("new", ["read"])
    session = first.begin(secret.encode(), is_secure=False)
    assert session is not None
    assert find(second, sent(first.cookie(session))) is not None


def test_nothing_of_a_secret_is_in_it(stage: Stage) -> None:
    worker = stage.worker()
    session, cookie = stage.begun(worker)
    assert re.fullmatch(rb"pypes-session-7=t\.[0-9]{10}\.[0-9]{10}\.[0-9a-f]{32}\.[0-9a-f]{64}", cookie)
    for hidden in (stage.secret, session.digest.hex(), session.csrf):
        assert hidden.encode() not in cookie
        assert hidden not in repr(session)
    assert session.csrf not in worker.cookie(session)
    assert len({stage.begun(worker)[0].csrf for _ in range(10)}) == 10


def test_flags_of_the_cookie(stage: Stage) -> None:
    worker = stage.worker()
    plain, _ = stage.begun(worker)
    secure, _ = stage.begun(worker, is_secure=True)
    assert worker.cookie(plain).partition("; ")[2] == "Path=/; HttpOnly; SameSite=Strict"
    assert worker.cookie(secure).startswith("__Host-pypes-session-7=")
    assert worker.cookie(secure).partition("; ")[2] == "Path=/; HttpOnly; SameSite=Strict; Secure"
    assert worker.no_cookie(is_secure=False) == "pypes-session-7=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    assert worker.no_cookie(is_secure=True).startswith("__Host-pypes-session-7=; Path=/; Max-Age=0;")
    assert worker.no_cookie(is_secure=True).endswith("; Secure")


def test_over_tls_only_what_this_host_has_set_counts(stage: Stage) -> None:
    worker = stage.worker()
    plain, plain_cookie = stage.begun(worker)
    secure, secure_cookie = stage.begun(worker, is_secure=True)
    assert find(worker, plain_cookie, is_secure=True) is None
    assert find(worker, secure_cookie, is_secure=True) is not None
    # nobody has to tell the node that a proxy speaks TLS
    found = find(worker, plain_cookie + b"; " + secure_cookie)
    assert found is not None
    assert found.id == secure.id
    again = worker.renewed(found) or worker.cookie(found)
    assert again.startswith("__Host-")
    found = find(worker, plain_cookie)
    assert found is not None
    assert found.id == plain.id


def test_of_two_none_counts(stage: Stage) -> None:
    """Another server of the machine may have put the cookie of its own session beside that of the browser."""
    worker = stage.worker()
    _, first = stage.begun(worker)
    _, second = stage.begun(worker)
    assert find(worker, first + b"; " + second) is None
    assert find(worker, first + b"; pypes-session-7=1.2.3.4.5") is not None


@pytest.mark.parametrize("how", ["signed out", "idle", "revoked", "changed", "expired"])
def test_requests_under_way_are_told(stage: Stage, how: str) -> None:
    if how == "expired":
        stage.issuer.change("t", {"expires": START + 60})
    worker, other = stage.worker(), stage.worker()
    session, cookie = stage.begun(worker)
    client = worker.client_of(session)
    stays, _ = stage.begun(worker)
    assert (client.name, client.scopes, client.graphs) == (session.token.name, session.token.scopes, session.token.graphs)
    ends: dict[str, Callable[[], object]] = {
        "signed out": lambda: other.end(session),
        "idle": lambda: setattr(stage.clock, "now", START + IDLE_S),
        "revoked": lambda: stage.issuer.revoke("t"),
        "changed": lambda: stage.issuer.change("t", {"scopes": ["read"]}),
        "expired": lambda: setattr(stage.clock, "now", START + 60),
    }
    worker.sweep()
    assert not client.ended.is_set()
    ends[how]()

    async def wait() -> None:
        watching = asyncio.ensure_future(stage.registers[0].watch())
        await asyncio.wait_for(client.ended.wait(), 20)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(wait())
    if how == "signed out":
        assert not worker.client_of(stays).ended.is_set()
        assert not session.token.ended.is_set()
    assert (find(worker, cookie) is None) == (how != "changed")


def test_requests_that_are_over_leave_nothing(stage: Stage) -> None:
    worker = stage.worker()
    session, _ = stage.begun(worker)
    clients = [worker.client_of(session) for _ in range(100)]
    assert len({*map(id, clients)}) == len(worker._under_way) == 100
    clients.clear()
    gc.collect()
    assert len(worker._under_way) == 0
