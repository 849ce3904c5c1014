"""The browser of a session, and nodes of a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.chromium import Seen, chromium, looking


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def seen(browser: Any) -> Iterator[Seen]:
    """A page on a desk; the browser may complain of nothing on it."""
    with looking(browser) as made:
        yield made
        assert made.complaints == []
