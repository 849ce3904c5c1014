"""Instances for a dispatcher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest.dispatch.harness import ScriptedInstance


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[list[ScriptedInstance]]:
    """Instances 1, 2, …: the test decides which of them are announced."""
    made = [ScriptedInstance(tmp_path / f"{number}.sock") for number in range(1, 6)]
    yield made
    for each in made:
        each.die()
