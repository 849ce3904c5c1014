"""Adapters of files, given packets that are no files."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.ocr import INSTALL
from tests.needed import missing

from .test_bounds import ADAPTERS


@pytest.mark.parametrize(
    ("name", "params"), [*((name, {}) for name in ADAPTERS), ("XML", {"fields": {"size": "@size"}, "rows": "//part"})]
)
def test_fields_without_data_pass_as_they_are(name: str, params: dict[str, Any]) -> None:
    if name == "OCR" and shutil.which("tesseract") is None:
        missing(f"no tesseract; {INSTALL}")
    edited = Packet({"text": "said by hand"}, {"id": "7", "filename": "a.pdf"})
    result = run_component(ADAPTERS[name], [edited, Packet(meta={"id": "8"})], **params)
    assert result.packets == [edited]
    assert [letter.code for letter in result.dead_letters] == ["document.no_data"]
