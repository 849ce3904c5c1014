"""Files below the paths that are given, and their ids."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypes.cli.feeding.walking import files_of, media_type, walk
from pypes.errors import InvalidInput


def test_walk_takes_what_is_asked_for(tmp_path: Path) -> None:
    for name in ("a.html", "b.TXT", "c.bin", ".hidden.txt", "deep/d.txt", ".git/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in walk([tmp_path], ["html,.txt"])] == ["a.html", "b.TXT", "d.txt"]
    assert [path.name for path in walk([tmp_path / "c.bin"], ["txt"])] == ["c.bin"]


def test_walk_passes_over_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling.txt").symlink_to("nowhere")
    (tmp_path / "a.txt").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    passed: list[str] = []
    found = walk([tmp_path, tmp_path / "pipe"], (), lambda path, reason: passed.append(f"{path.name}: {reason}"))
    assert [path.name for path in found] == ["a.txt"]
    linked = "loop: a link to a folder; to feed the folder, give its path too"
    assert passed == [linked, *(f"{name}: not a regular file" for name in ("dangling.txt", "pipe", "pipe"))]


def test_media_types(tmp_path: Path) -> None:
    assert media_type(Path("x.ndjson")) == "application/x-ndjson"
    (tmp_path / "Makefile").write_bytes(b"all:")
    (tmp_path / "blob").write_bytes(b"\0\1")
    assert media_type(tmp_path / "Makefile") == "text/plain"
    assert media_type(tmp_path / "blob") == "application/octet-stream"


def test_temporary_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.txt", "a.txt~", "#a.txt#", "b.zip.part"):
        (tmp_path / name).write_text("x")
    passed: list[str] = []
    found = list(walk([tmp_path, tmp_path / "a.txt~"], (), lambda path, reason: passed.append(path.name)))
    assert [path.name for path in found] == ["a.txt", "a.txt~"]
    assert passed == ["#a.txt#", "a.txt~", "b.zip.part"]
    assert [path.name for path in walk([tmp_path], ["part"])] == ["b.zip.part"]


def test_files_have_ids_by_their_place_below_the_root(tmp_path: Path) -> None:
    for name in ("one/a/b.txt", "two/a/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
    assert [file.id for file in files_of([tmp_path])] == ["one/a/b.txt", "two/a/b.txt"]
    assert [file.id for file in files_of([tmp_path / "one/a/b.txt"], template="x/{path}")] == ["x/b.txt"]
    assert [file.id for file in files_of([tmp_path], template="")] == [None, None]
    twice = files_of([tmp_path / "one", tmp_path / "one", tmp_path / "one/a/b.txt"])
    assert [file.id for file in twice] == ["a/b.txt"]
    with pytest.raises(InvalidInput) as caught:
        files_of([tmp_path / "one", tmp_path / "two"])
    assert caught.value.code == "feed.same_id"
    roots = [tmp_path / "one", tmp_path / "two"]
    assert [file.id for file in files_of(roots, template="{root}/{path}")] == ["one/a/b.txt", "two/a/b.txt"]


def test_names_that_are_not_utf_8_have_ids(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/gr\xfcn.txt")).write_text("x")
    assert [file.id for file in files_of([tmp_path])] == ["gr%FCn.txt"]
    # a name that is spelled like that is passed over, and stops nothing else
    (tmp_path / "gr%FCn.txt").write_text("x")
    passed: list[str] = []
    found = files_of([tmp_path], (), lambda path, reason: passed.append(reason))
    assert [file.name for file in found] == ["gr%FCn.txt"]
    assert passed == [f"{tmp_path / 'gr%FCn.txt'} has the id 'gr%FCn.txt' too; rename one of the two files"]
