"""Tokens in control.db."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from pypes.access import store as module
from pypes.access.budget import Budget
from pypes.access.store import TOKENS, TokenStore
from pypes.access.token import MAX_TOKENS, Token, digest_of, new_secret
from pypes.errors import StoreError
from pypes.runtime.graphs.store import ControlStore
from tests.access.kept import control_file
from tests.runtime.graphs.format_6 import AS_IT_WAS_IN_6


def token(name: str, **more: object) -> Token:
    return msgspec.structs.replace(Token(name=name, digest=digest_of(name.encode()), scopes=("read",)), **more)


def test_a_token_comes_back_as_it_was_put(tmp_path: Path) -> None:
    full = token(
        "full",
        scopes=("ingest", "edit"),
        graphs=("a", "team-*"),
        created=1.5,
        author="admin",
        expires=9.25,
        revoked=3.5,
        budget=Budget(requests_per_s=2.5, bytes_per_s=0),
        place=1,
    )
    with closing(TokenStore(control_file(tmp_path))) as store:
        store.put(full)
        store.put(token("plain"))
        assert store.one("full") == full
        assert store.all() == [full, token("plain", place=2)]
        assert store.count() == 2
        assert store.one("other") is None
    with closing(TokenStore(tmp_path / "control.db")) as store:
        assert store.all() == [full, token("plain", place=2)]


def test_a_reader_is_given_each_change_once(tmp_path: Path) -> None:
    path = control_file(tmp_path)
    with closing(TokenStore(path)) as store, closing(TokenStore(path, is_reader=True)) as reader:
        store.put(token("a"))
        store.put(token("b"))
        assert [each.name for each in reader.changed()] == ["a", "b"]
        assert reader.changed() == []
        store.put(token("a", revoked=1.0))
        assert reader.changed() == [token("a", revoked=1.0, place=1)]
        assert reader.changed() == []


def test_a_reader_passes_over_what_else_is_written_there(tmp_path: Path) -> None:
    path = control_file(tmp_path)
    with closing(ControlStore(path)) as control, closing(TokenStore(path, is_reader=True)) as reader:
        assert reader.changed() == []
        control.pause("g", is_paused=True)
        assert reader.changed() == []


def test_a_reader_does_not_write(tmp_path: Path) -> None:
    with closing(TokenStore(control_file(tmp_path), is_reader=True)) as reader, pytest.raises(StoreError, match="readonly"):
        reader.put(token("a"))


def test_what_was_forgotten_gives_no_number_away(tmp_path: Path) -> None:
    path = control_file(tmp_path)
    with closing(TokenStore(path)) as store, closing(TokenStore(path, is_reader=True)) as reader:
        store.put(token("a", revoked=1.0))
        store.put(token("b", revoked=1.0))
        assert [each.name for each in reader.changed()] == ["a", "b"]
        assert store.forget_ended(now=5.0) == 1
        store.put(token("c"))
        assert [each.name for each in reader.changed()] == ["c"]


def test_a_file_of_the_format_before_gets_the_table(tmp_path: Path) -> None:
    path = control_file(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"drop table tokens; {AS_IT_WAS_IN_6} pragma user_version = 3;")
    with closing(TokenStore(control_file(tmp_path))) as store:
        store.put(token("a"))
        assert store.count() == 1


def test_tokens_of_the_format_before_have_no_budget_and_a_place_each(tmp_path: Path) -> None:
    path = control_file(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"drop table tokens; {TOKENS} {AS_IT_WAS_IN_6} pragma user_version = 4;")
        values = [(name, b"d", '["read"]', "[]", 1.0, "", change) for change, name in enumerate("cab", 5)]
        sql = "insert into tokens (name, digest, scopes, graphs, created, author, change) values (?, ?, ?, ?, ?, ?, ?)"
        db.executemany(sql, values)
        db.commit()
    with closing(TokenStore(control_file(tmp_path))) as store:
        found = store.all()
        assert [each.name for each in found] == ["a", "b", "c"]
        assert {each.place for each in found} == {1, 2, 3}
        assert {each.budget for each in found} == {Budget()}
        store.put(token("d"))
        assert [each.place for each in store.all()] == [*(each.place for each in found), 4]


def test_no_two_tokens_have_a_place_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PUT", module._PUT.replace(str(MAX_TOKENS), "5"))
    with closing(TokenStore(control_file(tmp_path))) as store:
        for name in "abcde":
            store.put(token(name))
        store.put(token("b", revoked=1.0, budget=Budget(bytes_per_s=5)))
        store.put(token("c", revoked=1.0))
        store.put(token("e"))
        assert [(each.name, each.place) for each in store.all()] == [*zip("abcde", range(1, 6), strict=True)]
        assert store.forget_ended(5.0) == 2
        for name in "fg":
            store.put(token(name))
        assert {each.name: each.place for each in store.all()} == {"a": 1, "d": 4, "e": 5, "f": 2, "g": 3}


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_text("no database" * 500)
    with pytest.raises(StoreError, match=r"control\.db cannot be"):
        TokenStore(tmp_path / "control.db")


def test_secrets_are_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(secret) for secret in made} == {len("pypes_") + 43}
