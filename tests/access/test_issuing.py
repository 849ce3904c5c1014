"""Making, changing and revoking tokens."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from pypes.access.audit import Cause, Line
from pypes.access.budget import Budget
from pypes.access.issuing import Issuer, shown
from pypes.access.token import digest_of
from pypes.errors import Conflict, InvalidInput, NotFound, StoreError
from tests.access.kept import START, Clock, issuing, lines_in


def test_a_secret_is_told_once_and_kept_as_its_digest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with issuing(tmp_path) as issuer:
        token, secret = issuer.create("feeder", ["ingest"], ["news"], START + 60, Cause(by="admin"))
        assert secret.startswith("pypes_")
        assert token.digest == digest_of(secret.encode())
        assert issuer.all() == [token] == [issuer.get("feeder")]
        assert shown(token, START, str) == {
            "name": "feeder",
            "state": "live",
            "scopes": ["ingest"],
            "graphs": ["news"],
            "budget": {},
            "created": str(START),
            "created_by": "admin",
            "expires": str(START + 60),
        }
    assert "token created" in caplog.text
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()
    assert secret not in caplog.text


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a" * 65, "admin", "node", "über", "a/b"])
def test_names_are_as_those_of_graphs_and_not_that_of_the_own_token(tmp_path: Path, name: str) -> None:
    with issuing(tmp_path) as issuer, pytest.raises(InvalidInput) as caught:
        issuer.create(name, ["read"])
    assert (caught.value.code, caught.value.where) == ("token.name", "name")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"scopes": []}, "token.scopes"),
        ({"scopes": ["reed"]}, "token.scopes"),
        ({"graphs": ["a b"]}, "token.graphs"),
        ({"graphs": [""]}, "token.graphs"),
        ({"graphs": ["g"] + [f"g{n}" for n in range(100)]}, "token.graphs"),
        ({"scopes": ["admin"], "graphs": ["g"]}, "token.graphs"),
        ({"expires": START}, "token.expires"),
        ({"budget": {"requests_per_s": -1}}, "token.budget"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, wanted: dict[str, Any], code: str) -> None:
    with issuing(tmp_path) as issuer:
        with pytest.raises(InvalidInput) as caught:
            issuer.create("t", **{"scopes": ["read"], **wanted})
        assert caught.value.code == code
        issuer.create("t", ["read"])
        with pytest.raises(InvalidInput) as caught:
            issuer.change("t", wanted)
        assert caught.value.code == code


def test_scopes_and_graphs_are_kept_once_each(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer:
        token, _ = issuer.create("t", ["read", "ingest", "read"], ["b", "a-*", "b"])
        assert (token.scopes, token.graphs) == (("ingest", "read"), ("b", "a-*"))


def test_a_name_is_free_again_when_its_token_allows_nothing_any_more(tmp_path: Path) -> None:
    clock = Clock()
    with issuing(tmp_path, clock=clock) as issuer:
        _, first = issuer.create("t", ["read"], expires=START + 10)
        with pytest.raises(Conflict) as caught:
            issuer.create("t", ["read"])
        assert caught.value.code == "token.exists"
        clock.now += 10
        token, second = issuer.create("t", ["read"])
        assert first != second
        assert issuer.all() == [token]
        issuer.revoke("t")
        issuer.create("t", ["ingest"])


def test_a_token_that_was_revoked_stays_so(tmp_path: Path) -> None:
    clock = Clock()
    with issuing(tmp_path, clock=clock) as issuer:
        issuer.create("t", ["read"])
        issuer.revoke("t")
        clock.now += 5
        issuer.revoke("t")
        assert issuer.get("t").revoked == START
        with pytest.raises(Conflict) as caught:
            issuer.change("t", {"scopes": ["read"]})
        assert caught.value.code == "token.revoked"
        with pytest.raises(NotFound):
            issuer.revoke("other")


def test_what_is_not_given_stays(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer:
        before, _ = issuer.create("t", ["read"], ["g"], START + 60)
        assert issuer.change("t", {"scopes": ["ingest"]}).graphs == ("g",)
        assert issuer.change("t", {"graphs": []}).expires == START + 60
        assert issuer.change("t", {"budget": {"bytes_per_s": 5}}).budget.given() == {"bytes_per_s": 5}
        assert issuer.change("t", {"budget": {"requests_per_s": 7}}).budget == Budget(requests_per_s=7, bytes_per_s=5)
        assert shown(issuer.get("t"), START, str)["budget"] == {"requests_per_s": 7, "bytes_per_s": 5}
        assert issuer.change("t", {"graphs": []}).budget == Budget(requests_per_s=7, bytes_per_s=5)
        after = issuer.change("t", {"expires": None})
        assert (after.scopes, after.graphs, after.expires) == (("ingest",), (), None)
        assert after.digest == before.digest


def lockouts(issuer: Issuer) -> list[Any]:
    return [
        lambda: issuer.revoke("first"),
        lambda: issuer.change("first", {"scopes": ["edit"]}),
        lambda: issuer.change("first", {"expires": START + 60}),
    ]


def test_nobody_locks_himself_out_of_a_node_without_a_token_of_its_own(tmp_path: Path) -> None:
    with issuing(tmp_path, has_configured=False) as issuer:
        for scopes, end in ((["read"], None), (["edit"], None), (["admin"], START + 60)):
            with pytest.raises(Conflict, match="the first token") as caught:
                issuer.create("first", scopes, expires=end)
            assert caught.value.code == "token.last"
        issuer.create("first", ["admin"])
        issuer.create("second", ["read"])
        issuer.create("third", ["admin"], expires=START + 60)
        for lock_out in lockouts(issuer):
            with pytest.raises(Conflict, match="the last token"):
                lock_out()
        issuer.create("fourth", ["admin"])
        for lock_out in reversed(lockouts(issuer)):
            lock_out()


def test_a_node_with_a_token_of_its_own_may_have_any(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer:
        issuer.create("first", ["admin"])
        for lock_out in reversed(lockouts(issuer)):
            lock_out()


def test_the_oldest_make_room(tmp_path: Path) -> None:
    with issuing(tmp_path, most=3) as issuer:
        for name in "abc":
            issuer.create(name, ["read"])
        with pytest.raises(Conflict) as caught:
            issuer.create("d", ["read"])
        assert caught.value.code == "token.too_many"
        issuer.revoke("a")
        issuer.change("b", {"scopes": ["ingest"]})
        issuer.create("d", ["read"])
        assert [token.name for token in issuer.all()] == ["b", "c", "d"]


def test_others_hear_of_each_change_once_it_is_durable(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer:
        heard: list[list[str]] = []
        issuer._on_change = lambda: heard.append([f"{token.name} {token.state(START)}" for token in issuer.all()])
        issuer.create("t", ["read"])
        issuer.change("t", {"scopes": ["ingest"]})
        issuer.revoke("t")
        issuer.revoke("t")
        assert heard == [["t live"], ["t live"], ["t revoked"]]


def test_each_change_has_a_line_and_none_has_the_secret(tmp_path: Path) -> None:
    cause = Cause("", "ada", "10.0.0.7")
    with issuing(tmp_path, most=2) as issuer:
        _, secret = issuer.create("t", ["read"], ["g"], START + 60, cause)
        issuer.change("t", {"scopes": ["read"]}, cause)  # as it is
        issuer.change("t", {"graphs": [], "expires": None}, cause)
        issuer.revoke("t", cause)
        issuer.revoke("t", cause)
        with pytest.raises(InvalidInput):
            issuer.create("a b", ["read"])
        issuer.create("other", ["read"], cause=cause)
        issuer.create("third", ["read"], cause=cause)  # for which the first makes room
    found = lines_in(tmp_path)
    assert [(line.operation, line.object, line.by, line.address) for line in found] == [
        ("token.create", "t", "ada", "10.0.0.7"),
        ("token.change", "t", "ada", "10.0.0.7"),
        ("token.revoke", "t", "ada", "10.0.0.7"),
        ("token.create", "other", "ada", "10.0.0.7"),
        ("token.forget", "", "node", ""),
        ("token.create", "third", "ada", "10.0.0.7"),
    ]
    rights = {"scopes": ["read"], "graphs": ["g"], "expires": "2027-01-15T08:01:00.000Z"}
    assert [line.detail for line in found[:2]] == [rights, {"scopes": ["read"], "graphs": [], "expires": None}]
    assert secret not in str(found)


def test_what_cannot_be_committed_leaves_neither_token_nor_line(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer:
        # a line that cannot be written, at the end of the transaction
        issuer._store._db.execute("create temp trigger no before insert on audit begin select raise(abort, 'no'); end")
        with pytest.raises(StoreError, match="nothing was changed"):
            issuer.create("t", ["read"])
        assert issuer.all() == []
    assert lines_in(tmp_path) == list[Line]()
