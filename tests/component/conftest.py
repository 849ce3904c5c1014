"""A fixture for tests of what components share."""

from __future__ import annotations

import pytest

from tests.component.clients import Client


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(Client, "told", told)
    return told
