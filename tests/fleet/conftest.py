"""What tests of fleets get."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet.nodes import Fleet, fleet


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three nodes that all tests of a module share, and leave as they were."""
    with fleet(tmp_path_factory.mktemp("fleet")) as nodes:
        yield nodes
