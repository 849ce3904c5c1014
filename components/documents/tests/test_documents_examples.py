"""What each component of this distribution shows of itself: an icon, tags and an example, which is what happens."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from pypes.component import Component
from pypes.testing import run_example
from pypes_documents.ocr import INSTALL
from tests.needed import missing

#: As they are registered, so that a new component is tested with the others.
ENTRIES = metadata.distribution("pypes-documents").entry_points.select(group="pypes.components")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_example_is_what_happens(entry: metadata.EntryPoint, tmp_path: Path) -> None:
    cls: type[Component] = entry.load()
    assert cls.icon
    assert cls.tags
    if entry.name == "OCR" and shutil.which("tesseract") is None:
        missing(f"no tesseract; {INSTALL}")
    run_example(cls, tmp_path, {})
