"""What runs of pypes feed remember."""

from __future__ import annotations

from pathlib import Path

from pypes.cli.feeding.loading import load
from pypes.cli.feeding.memory import Known, Memory, default_folder
from pypes.cli.feeding.walking import files_of


def test_a_run_finds_what_the_one_before_fed(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (root / name).write_text(name)
    files = files_of([root])
    memory = Memory(tmp_path, "http://x/docs", root, "{path}")
    assert all(map(memory.is_changed, files))
    assert memory.take(map(load, files)) == []
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
    assert sorted(renamed.take(map(load, files_of([root], template="x/{path}")))) == ["a.txt", "c.txt"]


def test_few_deletions_need_no_confirmation(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "http://x/docs", tmp_path, "{path}")
    memory.known = {f"{number}.txt": Known(None, (0, 0)) for number in range(30)}
    assert [memory.is_much(["x"] * number) for number in (10, 15, 16)] == [False, False, True]
    memory.known = {"a": Known("a", (0, 0))}
    assert not memory.is_much(memory.vanished())


def test_it_is_where_the_state_of_users_is(tmp_path: Path, monkeypatch: object) -> None:
    assert default_folder().parts[-2:] == ("pypes", "feed")
