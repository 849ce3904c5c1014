"""Numbers with their nouns, as a person says them."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """``1 document``, ``2 documents``; a plural that is not made with an s is given as ``several``."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"
