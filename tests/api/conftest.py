"""Fixtures for tests over HTTP; each module has a node of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes.testing.node import Node
from tests.api.asking import Asker
from tests.api.callers import Caller, calling
from tests.api.records import Hook
from tests.serving import in_thread


@pytest.fixture(scope="module")
def described(node: Node) -> dict[str, Any]:
    document: dict[str, Any] = node.get("/openapi.json").json()
    return document


@pytest.fixture
def ask(node: Node, described: dict[str, Any]) -> Asker:
    return Asker(node, described)


@pytest.fixture(scope="module")
def callers(node: Node) -> Iterator[list[Caller]]:
    """A caller for each of two workers."""
    with calling(node) as found:
        assert len(found) == 2
        yield found


@pytest.fixture
def caller(callers: list[Caller]) -> Caller:
    return callers[0]


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with in_thread(Hook()) as made:
        yield made
