"""Reruns: what earlier runs of deliveries have committed, of which publishers see nothing again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypes.runtime.instance.arrived import Arrived


def committed_of(bases: Sequence[int], deliveries: Sequence[Arrived], *, is_ordered: bool) -> dict[str, frozenset[int]]:
    """By publisher, the documents that it has committed, by their number; ``bases`` are those of each delivery's first."""
    committed: dict[str, set[int]] = {}
    for base, waiting in zip(bases, deliveries, strict=True):
        if waiting.item.rerun is not None:
            for publisher, ordinals in waiting.item.rerun.committed.items():
                known = _without_gap(ordinals) if is_ordered else ordinals
                committed.setdefault(publisher, set()).update(base + ordinal for ordinal in known)
    return {publisher: frozenset(numbers) for publisher, numbers in committed.items()}


def _without_gap(ordinals: Iterable[int]) -> range:
    """Of committed documents, those before the first that was not.

    In an ordered graph, what comes again must be followed by whatever newer of its id had come after it.
    """
    known = set(ordinals)
    end = 0
    while end in known:
        end += 1
    return range(end)
