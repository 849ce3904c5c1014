"""Origins: which documents a packet was made of."""

from __future__ import annotations

from collections.abc import Iterable

#: Where a packet comes from: the ordinal of one document of its epoch, or of several.
Origin = int | tuple[int, ...]


def flatten(origins: Iterable[Origin]) -> tuple[int, ...]:
    """The ordinals of all documents in ``origins``, each once, in order."""
    found: set[int] = set()
    for origin in origins:
        if isinstance(origin, int):
            found.add(origin)
        else:
            found.update(origin)
    return tuple(sorted(found))
