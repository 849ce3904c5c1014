"""Path configuration files that came after the start of the process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pypes.registry.paths import follow_path_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site directory; what it adds to ``sys.path`` is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def added(folder: Path) -> list[str]:
    before = sys.path[:]
    follow_path_files([str(folder)])
    assert sys.path[: len(before)] == before
    return sys.path[len(before) :]


def test_folders_are_added_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (folder / "beside").mkdir()
    (folder / "a.pth").write_text(f"# where it lies\n\n{tmp_path / 'src'}\n")
    (folder / "b.pth").write_text(f"beside\n{tmp_path / 'src'}\n")
    assert added(folder) == [str(tmp_path / "src"), str(folder / "beside")]
    assert added(folder) == []


def test_the_rest_is_passed_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (folder / "code.pth").write_text("import sys; sys.path.append('ran')\nimport\tsys; sys.path.append('ran')\n")
    (folder / "gone.pth").write_text(f"{tmp_path / 'gone'}\n")
    (folder / ".hidden.pth").write_text(f"{tmp_path / 'src'}\n")
    (folder / "other.txt").write_text(f"{tmp_path / 'src'}\n")
    (folder / "odd.pth").write_bytes(b"\xff\xfe\x00\n")
    (folder / "folder.pth").mkdir()
    assert added(folder) == []
    assert added(folder / "missing") == []
