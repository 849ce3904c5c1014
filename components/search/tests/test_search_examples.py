"""What each component of this distribution shows of itself: an icon, tags and an example, which is what happens."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from pypes.component import Component
from pypes.testing import run_example

#: Examples that need a server: their suites run them (tests/servers).
ON_SERVERS = ("Elasticsearch", "OpenSearch", "PostgreSQL", "Qdrant")
#: As they are registered, so that a new component is tested with the others.
ENTRIES = [
    entry
    for entry in metadata.distribution("pypes-search").entry_points.select(group="pypes.components")
    if entry.name not in ON_SERVERS
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_example_is_what_happens(entry: metadata.EntryPoint, tmp_path: Path) -> None:
    cls: type[Component] = entry.load()
    assert cls.icon
    assert cls.tags
    run_example(cls, tmp_path, {})
