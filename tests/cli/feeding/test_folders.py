"""Several folders that are fed to one address, one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pypes.cli import feed as command
from pypes.cli.feed import feed
from pypes.errors import InvalidInput
from tests.cli.feeding.server import Server


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(feed, [str(argument) for argument in arguments])


def folder(path: Path, *names: str) -> Path:
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).write_text(f"{name} in {path.name}")
    return path


def test_an_id_of_another_folder_is_refused_and_never_deleted(server: Server, tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", "a.txt", "b.txt"), folder(tmp_path / "two", "a.txt", "c.txt")
    assert invoke(server.url, one).exit_code == 0
    result = invoke(server.url, two)
    assert result.exit_code == 1
    assert (
        f"not accepted: {two / 'a.txt'}: the file would replace the document 'a.txt', which was fed from {one}" in result.output
    )
    assert "--id '{root}/{path}'" in result.output
    assert sorted(server.ids) == ["a.txt", "b.txt", "c.txt"]
    (two / "a.txt").unlink()
    assert invoke(server.url, two).exit_code == 0
    assert server.deleted == []
    result = invoke(server.url, folder(tmp_path / "three", "a.txt") / "a.txt")
    assert (result.exit_code, "the file would replace" in result.output) == (1, True)
    # the same file under the same id is no other one, and another route is another address
    assert invoke(server.url, one / "a.txt").exit_code == 0
    assert invoke(f"{server.url}/docs/elsewhere", tmp_path / "three").exit_code == 0


def test_what_was_fed_to_another_node_binds_nobody(server: Server, tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", "a.txt", "b.txt"), folder(tmp_path / "two", "a.txt", "c.txt")
    assert invoke(server.url, one).exit_code == 0
    # its data are thrown away, and it is started anew at the same address
    server.node = "2"
    assert invoke(server.url, two).exit_code == 0
    assert sorted(server.ids[2:]) == ["a.txt", "c.txt"]
    result = invoke(server.url, one, "--changed")
    assert f"another node: {one}: its files were fed to one that is not at this address now" in result.output
    assert (result.exit_code, "which was fed from " + str(two) in result.output, server.ids[4:]) == (1, True, ["b.txt"])
    result = invoke(server.url, one, "--changed")
    assert ("another node" in result.output, server.ids[5:]) == (False, [])


def test_a_node_that_does_not_say_which_it_is_is_the_same(server: Server, tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", "a.txt"), folder(tmp_path / "two", "a.txt")
    assert invoke(server.url, one).exit_code == 0
    server.node = ""
    assert invoke(server.url, one, "--changed").exit_code == 0
    assert invoke(server.url, two).exit_code == 1
    assert server.ids == ["a.txt"]


def test_what_another_folder_has_too_is_not_deleted(server: Server, tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two")
    for root in (one, two):
        (root / f"{root.name}.json").write_text('{"id": "both"}')
        assert invoke(server.url, root).exit_code == 0
    (two / "two.json").unlink()
    assert invoke(server.url, two).exit_code == 0
    assert server.deleted == []
    (one / "one.json").unlink()
    assert invoke(server.url, one).exit_code == 0
    assert server.deleted == ["both"]


def test_what_one_folder_of_a_run_is_just_deleting_another_does_not_send(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PATIENCE_S", 0)
    one, two = folder(tmp_path / "one", "a.txt"), folder(tmp_path / "two", "b.txt")
    assert invoke(server.url, one, two).exit_code == 0
    (one / "a.txt").unlink()
    server.unfinished = {"1"}
    assert "deletions under way" in invoke(server.url, one).output
    (two / "a.txt").write_text("moved")
    for roots in ([one, two], [two]):
        result = invoke(server.url, *roots)
        assert (result.exit_code, "being deleted at the moment" in result.output) == (1, True)
    server.unfinished = set()
    assert invoke(server.url, one, two).exit_code == 0
    assert (server.deleted, server.ids[-1]) == (["a.txt"], "b.txt")
    assert server.ids.count("a.txt") == 2


def test_a_folder_that_was_moved_is_taken_over(server: Server, tmp_path: Path) -> None:
    old, new = folder(tmp_path / "old", "a.txt", "b.txt", "c.txt"), tmp_path / "new"
    assert invoke(server.url, old).exit_code == 0
    old.rename(new)
    (new / "b.txt").unlink()
    result = invoke(server.url, new)
    assert result.exit_code == 1
    assert f"was fed from {old}, which is gone; if that folder was moved to {new}, add --moved-from {old}" in result.output
    assert server.deleted == []
    server.accepted.clear()
    (new / "c.txt").write_text("changed")
    result = invoke(server.url, new, "--moved-from", old, "--changed")
    assert result.exit_code == 0, result.output
    assert server.ids == ["c.txt"]
    assert server.deleted == ["b.txt"]
    result = invoke(server.url, new, "--moved-from", old)
    assert isinstance(result.exception, InvalidInput)
    assert "no earlier run fed" in result.exception.message
    result = invoke(server.url, new, "--moved-from", folder(old))
    assert isinstance(result.exception, InvalidInput)
    assert "is still there" in result.exception.message


def test_a_folder_that_is_gone_is_told_where_ids_have_its_name(server: Server, tmp_path: Path) -> None:
    old, new = folder(tmp_path / "old", "a.txt"), tmp_path / "new"
    assert invoke(server.url, old, "--id", "{root}/{path}").exit_code == 0
    old.rename(new)
    result = invoke(server.url, new, "--id", "{root}/{path}")
    assert f"gone: {old}: 1 known file came from there" in result.output
    assert f"--moved-from {old}" in result.output
    assert invoke(server.url, new, "--id", "{root}/{path}", "--moved-from", old).exit_code == 0
    assert server.deleted == ["old/a.txt"]
