"""A folder on ``sys.path`` for throw-away distributions."""

from __future__ import annotations

import importlib
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
    # not syspath_prepend, which would leave the list of before as it finds it here
    monkeypatch.setattr(sys, "path", [str(folder), *(entry for entry in sys.path if entry not in getsitepackages())])
    importlib.invalidate_caches()
    return folder
