"""The pages of a TIFF (TIFF 6.0, section 2), counted without reading them."""

from __future__ import annotations

from typing import Final, Literal

#: Pages beyond are not counted: their places may lead round and round.
MOST_PAGES: Final = 100_000


def pages_of(data: bytes) -> int:
    """The number of pages of a TIFF, also where one of them cannot be read; 0 for what is no TIFF."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II*\0") else "big"
    if order == "big" and not data.startswith(b"MM\0*"):
        return 0
    at = int.from_bytes(data[4:8], order)
    seen: set[int] = set()
    while at and at not in seen and len(seen) < MOST_PAGES:
        seen.add(at)
        end = at + 2 + 12 * int.from_bytes(data[at : at + 2], order)
        # a page that lies beyond the end was cut off: it is one nevertheless
        at = int.from_bytes(data[end : end + 4], order)
    return len(seen)
