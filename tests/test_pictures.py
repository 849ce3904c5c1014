"""The pictures of the documents: each that is shown is there, and each of the editor that is there is shown."""

from __future__ import annotations

import re
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / ".pictures"
DOCS = PICTURES.parent
SHOWN = re.compile(r"\]\(((?:docs/)?\.pictures/[^)]+)\)")


def test_pictures_are_there_and_shown() -> None:
    pages = [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
    shown = {(page.parent / place).resolve() for page in pages for place in SHOWN.findall(page.read_text(encoding="utf-8"))}
    assert {place for place in shown if not place.exists()} == set()
    assert {place for place in PICTURES.glob("editor-*") if place.resolve() not in shown} == set()
    assert sum(place.stat().st_size for place in PICTURES.glob("editor-*")) < 2_000_000
