"""Names of parts: where in a document something stands, the same in every run."""

from __future__ import annotations

import re
from typing import Final

_KIND: Final = re.compile(r"[a-z][a-z0-9_]*")
#: Characters that names of parts are made with, and controls.
_SPECIAL: Final = re.compile(r"[/=%~\x00-\x1f\x7f-\x9f]")


def part_of(kind: str, place: int | str) -> str:
    """The name of a part, ``kind=place``; raises ``ValueError`` for what cannot be one.

    In a place that is text, ``/``, ``=``, ``%``, ``~`` and controls are percent-encoded, so that each place has its own name.
    """
    # PERF: rows of a table are numbered, and most kinds are words of letters
    if not (kind.isascii() and kind.isalpha() and kind.islower()) and not _KIND.fullmatch(kind):
        raise ValueError(f"{kind!r} is no kind of part; use a word of the letters a to z, digits and underscores, such as 'row'")
    if type(place) is int:
        if place < 0:
            raise ValueError(f"a part cannot be at place {place} of its kind; count from 0 or 1")
        return f"{kind}={place}"
    if type(place) is not str:
        raise ValueError(f"the place of a part is a whole number or text, not {type(place).__name__}")
    return f"{kind}={_SPECIAL.sub(_encoded, place)}"


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())
