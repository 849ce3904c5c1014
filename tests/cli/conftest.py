"""Fixtures for tests of commands that feed: a server that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.feeding.server import Server
from tests.serving import in_thread


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """The server; what a run remembers is below the folder of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    with in_thread(Server()) as made:
        yield made
