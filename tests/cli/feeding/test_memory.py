"""What runs of pypes feed remember."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.cli.feeding.loading import load
from pypes.cli.feeding.memory import Known, Memory, default_folder
from pypes.cli.feeding.walking import files_of
from pypes.errors import InvalidInput


def test_a_run_finds_what_the_one_before_fed(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (root / name).write_text(name)
    files = files_of([root])
    memory = Memory(tmp_path, "http://x/docs", root, "{path}")
    assert all(map(memory.is_changed, files))
    memory.take(map(load, files))
    assert memory.owed == []
    memory.save()
    assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".json"]
    (root / "b.txt").unlink()
    (root / "c.txt").write_text("changed")
    again = Memory(tmp_path, "http://x/docs", root, "{path}")
    assert again.vanished() == ["b.txt"]
    assert [file.name for file in files_of([root]) if again.is_changed(file)] == ["c.txt"]
    assert set(again.ids()) == {"a.txt", "b.txt", "c.txt"}
    assert Memory(tmp_path, "http://x/docs/other", root, "{path}").known == {}
    renamed = Memory(tmp_path, "http://x/docs", root, "x/{path}")
    assert all(map(renamed.is_changed, files_of([root])))
    renamed.take(map(load, files_of([root], template="x/{path}")))
    assert sorted(renamed.owed) == ["a.txt", "c.txt"]
    renamed.save()
    assert Memory(tmp_path, "http://x/docs", root, "x/{path}").owed == renamed.owed


def test_a_file_that_became_a_folder_has_vanished(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "http://x/docs", tmp_path, "{path}")
    memory.known = {"a": Known("a", (0, 0))}
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
    memory = Memory(tmp_path, "http://x/docs", tmp_path, "{path}")
    memory.save()
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace('"files": {}', f'"files": {files}'))
    with pytest.raises(InvalidInput, match="is not what an earlier run wrote") as caught:
        Memory(tmp_path, "http://x/docs", tmp_path, "{path}")
    assert caught.value.code == "feed.memory"


def test_few_deletions_need_no_confirmation(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "http://x/docs", tmp_path, "{path}")
    memory.known = {f"{number}.txt": Known(None, (0, 0)) for number in range(30)}
    assert [memory.is_much(["x"] * number) for number in (10, 15, 16)] == [False, False, True]
    memory.known = {"a": Known("a", (0, 0))}
    assert not memory.is_much(memory.vanished())


def test_it_is_where_the_state_of_users_is(tmp_path: Path, monkeypatch: object) -> None:
    assert default_folder().parts[-2:] == ("pypes", "feed")
