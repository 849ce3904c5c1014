"""Codecs with the compiled module and without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pypes.ingest.codecs import scan


@contextmanager
def uncompiled() -> Iterator[None]:
    """As if the module had not been compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "in_lines", lambda body, levels, line_bytes: -1)
        patch.setattr(scan, "in_value", lambda body, levels: -1)
        for name in ("in_maps", "in_messages"):
            patch.setattr(scan, name, lambda body, start, stop, levels, most: (0, start, False))
        yield


@pytest.fixture(scope="module", params=["compiled", "uncompiled"])
def both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the tests of a module with the compiled module, and without."""
    if request.param == "compiled":
        yield
    else:
        with uncompiled():
            yield
