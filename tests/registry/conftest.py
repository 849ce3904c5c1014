"""A folder on ``sys.path`` for throw-away distributions."""

from __future__ import annotations

import sys
from pathlib import Path
from site import getsitepackages

import pytest


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which distributions are found here: to describe Pypes' own would take most of the time.

    The processes that describe find what is installed all the same, as their Python does.
    """
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in getsitepackages()])
    monkeypatch.syspath_prepend(str(folder))
    return folder
