"""Each check of a fleet's ledger can fail. No server is needed for that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers.balanced.ledger import Ledger, Post, troubles


def line(id: str, receipt: str, **fields: Any) -> str:
    return json.dumps({"document": id, "route": "", "version": f"{receipt}/0/1", "part": "", "fields": fields})


def written(path: Path, *lines: str) -> list[Path]:
    path.write_text("".join(f"{each}\n" for each in lines))
    return [path]


@pytest.fixture
def ledger() -> Ledger:
    posts = [Post(["a"], receipt="r1"), Post(["b"], receipt="r2"), Post(["o"], "/ordered", receipt="r3", version=1)]
    return Ledger([*posts, Post(["o"], "/ordered", receipt="r4", version=2)])


def test_what_is_well_is_no_trouble(ledger: Ledger, tmp_path: Path) -> None:
    plain = written(tmp_path / "plain", line("a", "r1"), line("b", "r2"), line("b", "r2"))
    ordered = written(tmp_path / "ordered", *(line("o", f"r{version + 2}", version=version) for version in (1, 2, 1, 2)))
    assert not troubles(ledger, plain, ordered)
    ledger.unknown.append(Post(["c"]))
    assert not troubles(ledger, [*plain, *written(tmp_path / "more", line("c", "r9"), line("c", "r8"))], ordered)


@pytest.mark.parametrize(
    ("plain", "ordered", "trouble"),
    [
        ([("a", "r1")], [1, 2], "lost: b"),
        ([("a", "r1"), ("b", "r2"), ("b", "r7")], [1, 2], "accepted twice: b"),
        ([("a", "r1"), ("b", "r2"), ("c", "r7")], [1, 2], "accepted twice: c"),
        ([("a", "r1"), ("b", "r2")], [2, 1], "out of order: o"),
        ([("a", "r1"), ("b", "r2")], [1, 2, 1], "an older version came last: o"),
    ],
)
def test_troubles_are_found(
    plain: list[tuple[str, str]], ordered: list[int], trouble: str, ledger: Ledger, tmp_path: Path
) -> None:
    some = written(tmp_path / "plain", *(line(*each) for each in plain))
    others = written(tmp_path / "ordered", *(line("o", f"r{version + 2}", version=version) for version in ordered))
    found = troubles(ledger, some, others)
    assert any(each.startswith(trouble) for each in found), found


def test_what_a_client_may_not_see_is_one(ledger: Ledger, tmp_path: Path) -> None:
    ledger.violations.append("503")
    assert "503" in troubles(ledger, [], [])
