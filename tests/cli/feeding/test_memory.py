"""What runs of pypes feed remember."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pypes.cli.feeding.loading import load
from pypes.cli.feeding.memory import Memory, default_folder, states
from pypes.cli.feeding.state import MADE, Known, Owed
from pypes.cli.feeding.walking import files_of
from pypes.errors import InvalidInput


@contextmanager
def memory_of(folder: Path, root: Path, address: str = "http://x/docs", template: str = "{path}") -> Iterator[Memory]:
    made = Memory(folder, address, root, template)
    try:
        yield made
    finally:
        made.close()


def test_a_run_finds_what_the_one_before_fed(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (root / name).write_text(name)
    files = files_of([root])
    with memory_of(tmp_path, root) as memory:
        assert all(map(memory.is_changed, files))
        memory.take(map(load, files), "R1")
        assert memory.state.owed == {}
        memory.save()
    assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".json"]
    (root / "b.txt").unlink()
    (root / "c.txt").write_text("changed")
    with memory_of(tmp_path, root) as again:
        assert again.vanished() == ["b.txt"]
        assert [file.name for file in files_of([root]) if again.is_changed(file)] == ["c.txt"]
        assert dict(again.state.ids()) == {"a.txt": "a.txt", "b.txt": "b.txt", "c.txt": "c.txt"}
    with memory_of(tmp_path, root, "http://x/docs/other") as other:
        assert other.state.known == {}
    with memory_of(tmp_path, root, template="x/{path}") as renamed:
        assert all(map(renamed.is_changed, files_of([root])))
        renamed.take(map(load, files_of([root], template="x/{path}")), "R2")
        assert renamed.state.owed == {"a.txt": Owed("R1", MADE), "c.txt": Owed("R1", MADE)}
        renamed.save()
    with memory_of(tmp_path, root, template="x/{path}") as read:
        assert (read.state.known, read.state.owed) == (renamed.state.known, renamed.state.owed)


def test_what_a_killed_run_noted_is_there(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    sent, unanswered = map(load, files_of([tmp_path / "a.txt", tmp_path / "b.txt"]))
    folder = tmp_path / "state"
    with memory_of(folder, tmp_path) as memory:
        memory.reserve(files_of([tmp_path / "a.txt", tmp_path / "b.txt"]))
        memory.claim([sent, unanswered])
        memory.take([sent], "R1")
        (state,) = states(folder, "http://x/docs")
        assert dict(state.ids()) == {"a.txt": "a.txt", "b.txt": "b.txt"}
    with memory_of(folder, tmp_path) as again:
        assert again.state.known == {"a.txt": Known("a.txt", sent.stamp, "R1")}
        assert again.state.claims == {"b.txt": "b.txt"}
        assert again.state.reserved == {}
        (tmp_path / "b.txt").unlink()
        assert again.vanished() == ["b.txt"]
        again.state.forget("b.txt")
        assert again.state.owed == {"b.txt": Owed("", MADE)}


def test_a_journal_is_not_applied_to_a_newer_state(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    folder = tmp_path / "state"
    with memory_of(folder, tmp_path) as memory:
        memory.take(map(load, files_of([tmp_path / "a.txt"])), "R1")
        (journal,) = folder.glob("*.journal")
        noted = journal.read_bytes()
        memory.state.forget("a.txt")
        memory.save()
        # as a kill leaves it between the two writes of a save
        journal.write_bytes(noted)
        (state,) = states(folder, "http://x/docs")
        assert state.known == {}


def test_a_file_that_became_a_folder_has_vanished(tmp_path: Path) -> None:
    with memory_of(tmp_path, tmp_path) as memory:
        memory.state.known["a"] = Known("a", (0, 0))
        (tmp_path / "a").mkdir()
        assert memory.vanished() == ["a"]


@pytest.mark.parametrize(
    "files",
    [
        '{"../a": ["a", 1, 1]}',
        '{"/a": ["a", 1, 1]}',
        '{"a\\u0000": ["a", 1, 1]}',
        '{"a": [5, 1, 1]}',
        '{"a": ["a", "1", 1]}',
        "[" * 9999,
    ],
)
def test_a_damaged_memory_is_named(tmp_path: Path, files: str) -> None:
    with memory_of(tmp_path, tmp_path):
        pass
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace('"files": {}', f'"files": {files}'))
    with pytest.raises(InvalidInput, match="is not a record of an earlier run") as caught:
        Memory(tmp_path, "http://x/docs", tmp_path, "{path}")
    assert caught.value.code == "feed.memory"


def test_few_deletions_need_no_confirmation(tmp_path: Path) -> None:
    with memory_of(tmp_path, tmp_path) as memory:
        memory.state.known = {f"{number}.txt": Known(None, (0, 0)) for number in range(30)}
        assert [memory.is_much(["x"] * number) for number in (10, 15, 16)] == [False, False, True]
        memory.state.known = {"a": Known("a", (0, 0))}
        assert not memory.is_much(memory.vanished())


def test_it_is_where_the_state_of_users_is(tmp_path: Path, monkeypatch: object) -> None:
    assert default_folder().parts[-2:] == ("pypes", "feed")
