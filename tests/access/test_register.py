"""Who is known by which token."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pypes.access import register as module
from pypes.access.budget import Budget
from pypes.access.client import EVERYONE, Client, client_of, is_among
from pypes.access.issuing import Issuer
from pypes.access.register import MAX_REMEMBERED, Register
from pypes.access.spending import Spending
from tests.access.kept import START, Clock, issuing


@contextmanager
def kept(folder: Path, configured: str | None = "own", clock: Clock | None = None) -> Iterator[tuple[Issuer, Register]]:
    """The two ends: one makes tokens, the other knows them."""
    clock = clock or Clock()
    with issuing(folder, clock=clock) as issuer, closing(Register(folder / "control.db", configured, clock)) as register:
        yield issuer, register


def bearer(register: Register, secret: str, form: str = "Bearer {}") -> Client | None:
    return register.bearer(form.format(secret).encode())


def test_without_any_token_nobody_is_asked(tmp_path: Path) -> None:
    with kept(tmp_path, configured=None) as (issuer, register):
        assert [register.is_asking] == [False]
        _, secret = issuer.create("t", ["admin"])
        assert bearer(register, secret) is not None
        assert register.is_asking
    with closing(Register(tmp_path / "nowhere.db")) as register:
        assert not register.is_asking
        assert not register.look()


def test_a_node_goes_on_asking_when_all_tokens_have_ended(tmp_path: Path) -> None:
    with kept(tmp_path, configured=None) as (issuer, register):
        issuer.create("t", ["admin"])
        issuer.revoke("t")
        register.look()
        assert register.is_asking
        with closing(Register(tmp_path / "control.db")) as later:
            assert later.is_asking


def test_the_own_token_is_admin(tmp_path: Path) -> None:
    with kept(tmp_path) as (_, register):
        client = bearer(register, "own")
        assert client is not None
        assert (client.name, set(client.scopes), client.graphs) == ("admin", {"ingest", "read", "edit", "admin"}, ())
        assert bearer(register, "own") is client


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {} "])
def test_a_token_is_known_however_it_is_sent(tmp_path: Path, form: str) -> None:
    with kept(tmp_path) as (issuer, register):
        _, secret = issuer.create("t", ["read"], ["a", "b-*"])
        client = bearer(register, secret, form)
        assert client is not None
        assert (client.name, set(client.scopes), client.graphs) == ("t", {"read"}, ("a", "b-*"))


@pytest.mark.parametrize(
    "field", [b"", b"Bearer", b"Bearer ", b"Basic b3du", b"own", b"Bearer own2", b"Bearer ow", b"\xff" * 600]
)
def test_others_are_not_known(tmp_path: Path, field: bytes) -> None:
    with kept(tmp_path) as (issuer, register):
        issuer.create("t", ["read"])
        assert register.bearer(field) is None
        assert register.ended(field) == ""


@pytest.mark.parametrize(
    ("scope", "all_scopes"),
    [("ingest", "ingest"), ("read", "read"), ("edit", "edit read"), ("admin", "ingest read edit admin")],
)
def test_scopes_come_with_others(scope: str, all_scopes: str) -> None:
    assert client_of("t", [scope]).scopes == {*all_scopes.split()}


def test_patterns_of_graphs() -> None:
    for graph, graphs in (("a", ["a"]), ("team-a", ["x", "team-*"]), ("team-", ["team-*"]), ("g", ["*"]), ("xay", ["x*y"])):
        assert is_among(graph, graphs)
    for graph, graphs in (("a", []), ("A", ["a"]), ("teams", ["team-*"]), ("ab", ["a"])):
        assert not is_among(graph, graphs)


def test_what_is_revoked_is_known_no_more_and_told_to_who_has_it(tmp_path: Path) -> None:
    with kept(tmp_path) as (issuer, register):
        told: list[int] = []
        register.on_change.append(lambda: told.append(1))
        _, secret = issuer.create("t", ["read"])
        _, other = issuer.create("other", ["read"])
        client, stays = bearer(register, secret), bearer(register, other)
        assert client is not None
        assert stays is not None
        assert told == [1]
        issuer.revoke("t")
        assert register.look()
        assert told == [1, 1]
        assert client.ended.is_set()
        assert bearer(register, secret) is None
        assert register.ended(b"Bearer " + secret.encode()) == "revoked"
        assert bearer(register, other) is stays
        assert not stays.ended.is_set()
        assert not register.look()


def test_a_token_ends_by_itself(tmp_path: Path) -> None:
    clock = Clock()
    with kept(tmp_path, clock=clock) as (issuer, register):
        _, secret = issuer.create("t", ["read"], expires=START + 10)
        client = bearer(register, secret)
        assert client is not None
        clock.now = START + 9.9
        assert not register.look()
        clock.now = START + 10
        assert register.look()
        assert client.ended.is_set()
        assert bearer(register, secret) is None
        assert register.ended(b"Bearer " + secret.encode()) == "expired"
        issuer.change("t", {"expires": None})
        assert bearer(register, secret) is not None


def test_a_changed_token_is_another_client(tmp_path: Path) -> None:
    with kept(tmp_path) as (issuer, register):
        _, secret = issuer.create("t", ["read"])
        before = bearer(register, secret)
        issuer.change("t", {"scopes": ["ingest"], "graphs": ["g"]})
        register.look()
        after = bearer(register, secret)
        assert before is not None
        assert after is not None
        assert before.ended.is_set()
        assert (set(after.scopes), after.graphs, after.ended.is_set()) == ({"ingest"}, ("g",), False)


def test_the_secret_of_a_name_that_was_used_again_is_none(tmp_path: Path) -> None:
    with kept(tmp_path) as (issuer, register):
        _, first = issuer.create("t", ["read"])
        assert bearer(register, first) is not None
        issuer.revoke("t")
        _, second = issuer.create("t", ["read"])
        register.look()
        assert bearer(register, first) is None
        assert register.ended(b"Bearer " + first.encode()) == ""
        assert bearer(register, second) is not None


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 10)
    assert MAX_REMEMBERED > 10_000
    with kept(tmp_path) as (_, register):
        for blanks in range(100):
            assert register.bearer(b"Bearer " + b" " * blanks + b"own") is not None
        assert 0 < len(register._remembered) <= 10
        register._remembered.clear()
        assert register.bearer(b"Bearer " + b" " * 1000 + b"own") is not None
        assert not register._remembered


class Watched(bytes):
    """Bytes that note what they are compared with: their hash is asked for before, and differs from that of others."""

    compared: list[Any]

    def __eq__(self, other: object) -> bool:
        self.compared.append(other)
        return super().__eq__(other)

    def __hash__(self) -> int:
        return super().__hash__()


def test_no_secret_is_compared_with_what_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses that begin as a secret does meet nothing of it: all that is ever compared are digests, and whole equal fields."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return a == b

    monkeypatch.setattr("pypes.access.register.hmac.compare_digest", compare)
    with kept(tmp_path) as (issuer, register):
        _, secret = issuer.create("t", ["read"])
        field = f"Bearer {secret}".encode()
        assert register.bearer(field) is not None
        compared.clear()
        for length in range(len(field)):
            guess = Watched(field[:length] + b"-" * (len(field) - length))
            guess.compared = []
            known = register.bearer(guess) is not None
            assert known == (bytes(guess) == field)
            assert [other for other in guess.compared if other != guess] == []
    own = hashlib.sha256(b"own").digest()
    assert compared
    assert {b for _, b in compared} == {own}
    assert all(len(a) == len(own) for a, _ in compared)


def test_it_looks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing hangs on a message: that may never come, where a process is killed between commit and message."""
    assert module.LOOK_S <= 0.5
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    with kept(tmp_path) as (issuer, register):
        _, secret = issuer.create("t", ["read"])
        client = bearer(register, secret)
        assert client is not None

        async def run() -> None:
            watching = asyncio.ensure_future(register.watch())
            issuer.revoke("t")
            await asyncio.wait_for(client.ended.wait(), 20)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

        asyncio.run(run())
        assert bearer(register, secret) is None


def test_the_live_token_of_a_name_is_known_with_its_digest(tmp_path: Path) -> None:
    clock = Clock()
    with kept(tmp_path, clock=clock) as (issuer, register):
        assert register.live("t") is None
        _, secret = issuer.create("t", ["read"], expires=START + 10)
        client = bearer(register, secret)
        assert register.live("t") == (client, hashlib.sha256(secret.encode()).digest())
        assert register.live("admin") == (bearer(register, "own"), hashlib.sha256(b"own").digest())
        clock.now = START + 10
        register.look()
        assert register.live("t") is None
    with closing(Register(tmp_path / "control.db")) as without_own:
        assert without_own.live("admin") is None


def test_who_asked_to_be_called_is_called_after_each_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    with kept(tmp_path) as (_, register):

        async def run() -> None:
            looked = asyncio.Event()
            register.on_look.append(looked.set)
            watching = asyncio.ensure_future(register.watch())
            await asyncio.wait_for(looked.wait(), 20)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

        asyncio.run(run())


def test_a_changed_budget_holds_at_once_for_the_same_client(tmp_path: Path) -> None:
    with kept(tmp_path) as (issuer, register):
        _, secret = issuer.create("t", ["read"])
        client = bearer(register, secret)
        assert client is not None
        assert not client.account.is_charged
        issuer.change("t", {"budget": {"requests_per_s": 0.001}})
        assert register.look()
        assert bearer(register, secret) is client
        assert not client.ended.is_set()
        assert [client.account.charge(0) is None for _ in range(3)] == [True, False, False]
        # with anything else it is another client, which has used what the former one did
        issuer.change("t", {"budget": {"documents_per_s": 5}, "scopes": ["ingest"]})
        register.look()
        after = bearer(register, secret)
        assert after is not None
        assert client.ended.is_set()
        assert after.account.charge(0) is not None
        issuer.change("t", {"budget": None})
        register.look()
        assert bearer(register, secret) is after
        assert after.account.charge(0) is None


def test_two_workers_have_one_budget(tmp_path: Path) -> None:
    Spending.create(tmp_path)
    with issuing(tmp_path) as issuer:
        secrets = [issuer.create(name, ["read"], budget={"requests_per_s": 0.001})[1] for name in ("a", "b")]
        path = tmp_path / "control.db"
        with (
            closing(Register(path, spending=Spending(tmp_path))) as one,
            closing(Register(path, spending=Spending(tmp_path))) as other,
        ):
            for secret in secrets:
                clients = [bearer(register, secret) for register in (one, other)]
                assert [client is not None and client.account.charge(0) is None for client in clients] == [True, False]


def test_a_budget_that_is_usual_is_for_tokens_without_their_own(tmp_path: Path) -> None:
    usual = Budget(requests_per_s=0.001)
    with issuing(tmp_path) as issuer, closing(Register(tmp_path / "control.db", "own", usual=usual)) as register:
        for name, budget, passed in (("a", None, 1), ("b", {"requests_per_s": 0}, 5), ("c", {"bytes_per_s": 9}, 1)):
            client = bearer(register, issuer.create(name, ["read"], budget=budget)[1])
            assert client is not None
            assert sum(client.account.charge(0) is None for _ in range(5)) == passed
        own = bearer(register, "own")
        assert own is not None
        assert not own.account.is_charged
        # where no token is needed, all clients have one together
        assert sum(register.everyone.account.charge(0) is None for _ in range(5)) == 1
        assert {*register.everyone.scopes} == {"ingest", "read", "edit", "admin"}
    with closing(Register(tmp_path / "nowhere.db")) as register:
        assert register.everyone is EVERYONE
