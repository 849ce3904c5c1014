"""Sizes in bytes as people write them: ``1048576``, ``64MiB``, ``1.5 G``."""

from __future__ import annotations

import math
import re
from typing import Final

_SIZE: Final = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*(?:([KMGT])i?B?|B)?", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size_of(text: str) -> float:
    """The number of bytes; units are powers of 1024 in every spelling. Raises ``ValueError``."""
    found = _SIZE.fullmatch(text.strip())
    number = math.inf if found is None else float(found[1]) * 1024 ** _POWERS[(found[2] or "").upper()]
    if not math.isfinite(number):
        raise ValueError("must be a size, such as 1048576 or 64MiB")
    return number
