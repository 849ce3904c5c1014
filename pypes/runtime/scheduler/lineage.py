"""Lineage: the documents that a packet was made of."""

from __future__ import annotations

from collections.abc import Iterable

#: The documents that a packet was made of: the ordinal of one document of its epoch, or of several.
Lineage = int | tuple[int, ...]


def flatten(lineages: Iterable[Lineage]) -> tuple[int, ...]:
    """The ordinals of all documents in ``lineages``, each once, in order."""
    found: set[int] = set()
    for lineage in {*lineages}:  # PERF: rows of a table are many of one document
        if isinstance(lineage, int):
            found.add(lineage)
        else:
            found.update(lineage)
    return tuple(sorted(found))
