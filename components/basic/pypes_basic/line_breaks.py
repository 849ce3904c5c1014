"""Marks of where a line may or may not break, which stand within words and are no part of them."""

from __future__ import annotations

from typing import Final

#: Soft hyphen, zero-width space, word joiner, zero-width no-break space.
MARKS: Final = "\u00ad\u200b\u2060\ufeff"


def unbroken(text: str) -> str:
    """The text without the invisible marks within its words."""
    if not text.isascii():
        for mark in MARKS:
            if mark in text:  # PERF: rarely, and finding that out costs a tenth of replacing nothing
                text = text.replace(mark, "")
    return text
