"""Files that share an id, names that are not UTF-8, and directories that are another one now."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import ComponentError, InvalidInput
from pypes_basic.files import Files

from .sources import fetch, files_in, flat, write


def test_of_files_that_would_have_one_id_one_is_fetched(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write(tmp_path / "in" / folder / "a", folder)
    source = files_in(tmp_path, pattern="*/*", id="{name}")
    ((packets, cursor),) = fetch(source)
    assert [(packet.id, packet.get("data")) for packet in packets] == [("a", b"x")]
    assert source._passed_over == {"y/a": "its id would be that of x/a"}
    assert fetch(source, cursor) == []
    # the other takes its place, and not only is it not deleted
    (tmp_path / "in" / "x" / "a").unlink()
    ((packets, cursor), (_, behind)) = fetch(source, cursor)
    assert [(packet.id, packet.get("data")) for packet in packets] == [("a", b"y")]
    assert list(behind["seen"]) == ["y/a"]
    # one that comes before it by name does not
    write(tmp_path / "in" / "x" / "a", "x again")
    assert fetch(source, behind) == []


def test_documents_that_an_earlier_release_mixed_are_fetched_again(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write(tmp_path / "in" / folder / "a", folder)
    stamp = [1, 1_000_000_000_000, "a"]
    source = files_in(tmp_path, pattern="*/*", id="{name}")
    ((packets, cursor),) = fetch(source, {"directory": "in", "seen": {"x/a": stamp, "y/a": stamp}})
    assert [(packet.id, packet.get("data")) for packet in packets] == [("a", b"x")]
    assert list(cursor["seen"]) == ["x/a"]


def test_a_document_of_its_own_is_not_forgotten_when_its_new_id_is_taken(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write(tmp_path / "in" / folder / "a", folder)
    ((_, cursor),) = fetch(files_in(tmp_path, pattern="*/*"))
    source = files_in(tmp_path, pattern="*/*", id="{name}")
    for folder in ("x", "y"):
        write(tmp_path / "in" / folder / "a", f"{folder} changed")
    pairs = fetch(source, cursor)
    assert flat(pairs) == ["x/a", "-x/a"]
    (tmp_path / "in" / "y" / "a").unlink()
    assert flat(fetch(source, pairs[-1][1])) == ["-y/a"]


def test_odd_names_in_a_folder_that_cannot_be_looked_into_are_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in" / "\u00e4 %" / os.fsdecode(b"\xe9"), "odd")
    write(tmp_path / "in" / "\u00e4 %" / "plain", "plain")
    source = files_in(tmp_path, pattern="**/*")
    ((_, cursor),) = fetch(source)
    assert len(cursor["seen"]) == 2
    real = os.open

    def fails(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if path == "\u00e4 %":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fails)
        assert fetch(source, cursor) == []


def test_another_directory_has_other_files(tmp_path: Path) -> None:
    """Those of the same name are fetched though they look the same; what it does not have is deleted."""
    for name in "ab":
        write(tmp_path / "in" / name, "1")
    write(tmp_path / "other" / "a", "2")
    ((_, cursor),) = fetch(files_in(tmp_path))
    pairs = fetch(files_in(tmp_path, directory="other"), cursor)
    assert flat(pairs) == ["a", "-b"]
    assert pairs[0][0][0].get("data") == b"2"
    assert fetch(files_in(tmp_path, directory="other"), pairs[-1][1]) == []
    assert flat(fetch(files_in(tmp_path, directory="other", deletions=False), cursor)) == ["a"]


def test_a_directory_that_is_another_one_by_mistake_deletes_nothing(tmp_path: Path) -> None:
    for number in range(11):
        write(tmp_path / "in" / f"{number:02}", "x")
    write(tmp_path / "other" / "new", "x")
    ((_, cursor),) = fetch(files_in(tmp_path))
    source = files_in(tmp_path, directory="other")
    source.setup()
    run = source.fetch(cursor)
    ((new,), behind) = next(run)
    with pytest.raises(ComponentError, match="11 files"):
        next(run)
    assert new.id == "new"
    # put right, its documents are fetched once more, and the one of the other is deleted
    back = fetch(files_in(tmp_path), behind)
    assert flat(back) == [*(f"{number:02}" for number in range(11)), "-new"]


def test_documents_without_an_id_are_not_doubled_by_a_directory_that_was_not_mounted(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a", "1")
    source = files_in(tmp_path, id="")
    ((_, cursor),) = fetch(source)
    (tmp_path / "in").rename(tmp_path / "disk")
    (tmp_path / "in").mkdir()
    assert fetch(source, cursor) == []
    (tmp_path / "in").rmdir()
    (tmp_path / "disk").rename(tmp_path / "in")
    assert fetch(source, cursor) == []
    # gone from a directory that has others, it is gone
    (tmp_path / "in" / "a").rename(tmp_path / "in" / "b")
    assert list(fetch(source, cursor)[-1][1]["seen"]) == ["b"]


def test_most_is_most_of_what_can_be_deleted(tmp_path: Path) -> None:
    """Files that were published without an id do not make few of many deletions."""
    seen = {f"{number:02}": [1, 1, ""] for number in range(11)} | {f"old{number}": [1, 1] for number in range(40)}
    with pytest.raises(ComponentError, match="11 files"):
        fetch(files_in(tmp_path), {"directory": "in", "seen": seen})


@pytest.mark.parametrize("is_file", [True, False])
def test_a_directory_that_is_none(tmp_path: Path, is_file: bool) -> None:
    if is_file:
        write(tmp_path / "nowhere", "")
    with pytest.raises(ComponentError, match=r"nowhere cannot be looked into \(No.*\): nothing .* mount") as raised:
        fetch(files_in(tmp_path, directory="nowhere"))
    assert raised.value.code == "files.no_directory"


@pytest.mark.parametrize("pattern", [".", "./", "./.", "//"])
def test_a_pattern_names_files(pattern: str) -> None:
    with pytest.raises(InvalidInput):
        Files().configure({"directory": "in", "pattern": pattern})
