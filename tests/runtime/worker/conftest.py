"""What tests of a fleet get."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.runtime.worker import sources


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The folder of a fleet."""
    path = tmp_path / "fleet"
    path.mkdir()
    return path


@pytest.fixture
def quick_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for its turn in a fleet looks at once."""
    monkeypatch.setattr(sources, "FLEET_POLL_S", 0.005)
