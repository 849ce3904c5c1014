"""What each component of this distribution shows of itself: an icon, tags and an example, which is what happens."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from pypes.component import Component
from pypes.testing import run_example

from .embeddings import Embeddings
from .models import make_model

#: As they are registered, so that a new component is tested with the others.
ENTRIES = metadata.distribution("pypes-text").entry_points.select(group="pypes.components")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_example_is_what_happens(entry: metadata.EntryPoint, tmp_path: Path) -> None:
    cls: type[Component] = entry.load()
    assert cls.icon
    assert cls.tags
    server = Embeddings() if "${EMBEDDINGS}" in str(cls.example) else None
    try:
        if server:
            server.vector = lambda text, dims: [0.5, 0.25]
        environ = {"EMBEDDINGS": server.url} if server else {}
        if "${MODEL}" in str(cls.example):
            environ["MODEL"] = str(make_model(tmp_path / "model"))
        run_example(cls, tmp_path, environ)
    finally:
        if server:
            server.close()
