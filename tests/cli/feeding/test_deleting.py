"""Deletions that the server takes, and that fail later."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pypes.cli import feed as command
from pypes.cli.feed import feed
from tests.cli.feeding.server import Server


@pytest.fixture(autouse=True)
def _nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PATIENCE_S", 0)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(feed, [str(argument) for argument in arguments])


def folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text("content")
    return path


@pytest.mark.parametrize("wait", [[], ["--wait"]])
def test_a_deletion_that_fails_is_named_and_made_again(server: Server, tmp_path: Path, wait: list[str]) -> None:
    root = folder(tmp_path / "in", "a.txt", "b.txt", "poison.txt")
    invoke(server.url, root)
    (root / "poison.txt").unlink()
    for runs in (1, 2):
        result = invoke(server.url, root, *wait)
        assert result.exit_code == 1
        assert "failed: deletion of poison.txt: test.poison in html" in result.output
        assert server.deleted == ["poison.txt"] * runs
    # of what fails there is one letter: those of the document, and of the deletion before, have gone
    failed = [at for at, body in enumerate(server.accepted) if b"DELETE" in body[1]]
    assert server.cleared == [f"/deadletters?receipt={receipt}&id=poison.txt" for receipt in (0, failed[0])]
    (root / "poison.txt").write_text("back")
    assert invoke(server.url, root).exit_code == 0
    assert len(server.deleted) == 2
    assert server.cleared[2:] == [f"/deadletters?receipt={failed[1]}&id=poison.txt"]


def test_a_deletion_waits_for_what_it_deletes(server: Server, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", "a.txt")
    server.unfinished = {"0"}
    invoke(server.url, root)
    (root / "a.txt").unlink()
    result = invoke(server.url, root)
    assert (result.exit_code, server.deleted) == (0, [])
    assert f"deletions under way: {root}: 1" in result.output
    server.unfinished = set()
    assert invoke(server.url, root).exit_code == 0
    assert server.deleted == ["a.txt"]


def test_what_is_just_being_deleted_is_fed_afterwards(server: Server, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", "a.txt")
    invoke(server.url, root)
    (root / "a.txt").unlink()
    server.unfinished = {"1"}
    assert "deletions under way" in invoke(server.url, root).output
    (root / "a.txt").write_text("back")
    result = invoke(server.url, root)
    assert (result.exit_code, len(server.accepted)) == (1, 2)
    assert f"not accepted: {root / 'a.txt'}: its document is being deleted at the moment" in result.output
    server.unfinished = set()
    assert invoke(server.url, root).exit_code == 0
    assert (server.deleted, len(server.accepted)) == (["a.txt"], 3)


@pytest.mark.parametrize("wait", [[], ["--wait"]])
def test_a_document_that_fails_again_leaves_one_dead_letter(server: Server, tmp_path: Path, wait: list[str]) -> None:
    root = folder(tmp_path / "in", "a.txt")
    (root / "b.txt").write_text("poison")
    for runs in (0, 1, 2):
        assert invoke(server.url, root, "--changed", *wait).exit_code == len(wait)
        assert server.cleared == [f"/deadletters?receipt={receipt}&id=b.txt" for receipt in range(runs)]
    assert server.ids == ["a.txt", "b.txt", "b.txt", "b.txt"]
    (root / "b.txt").unlink()
    assert invoke(server.url, root, "--wait").exit_code == 0
    assert server.cleared[2:] == ["/deadletters?receipt=2&id=b.txt"]


def test_what_is_forgotten_while_it_is_waited_for_is_told(server: Server, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", "a.txt")
    server.forgotten = {"0"}
    result = invoke(server.url, root, "--wait")
    assert result.exit_code == 1
    assert "the outcome of receipt 0 and of later ones is unknown: 410 receipt.forgotten" in result.output
    assert "1 document accepted" in result.output


def test_reasons_are_asked_for_as_many_as_are_shown(server: Server, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", *(f"poison{number}.txt" for number in range(30)))
    result = invoke(server.url, root, "--wait", "--batch", "100")
    assert "and 10 more" in result.output
    assert len(server.asked) == 20
