"""Reruns: what earlier runs of deliveries have committed, of which publishers see nothing again."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from pypes.runtime.instance.arrived import Arrived


def committed_of(
    bases: Sequence[int], deliveries: Sequence[Arrived], told: Container[str], version: int, *, is_ordered: bool
) -> dict[str, frozenset[int]]:
    """By publisher, the documents that it has committed, by their number; ``bases`` are those of each delivery's first.

    Another version of the graph than ``version``, which runs now, may have split documents in other ways. Publishers that are
    ``told`` of complete documents get everything again then, so that they can remove what was left of that.
    """
    committed: dict[str, set[int]] = {}
    for base, waiting in zip(bases, deliveries, strict=True):
        rerun = waiting.item.rerun
        if rerun is not None:
            for publisher, ordinals in rerun.committed.items():
                if publisher in told and rerun.version != version:
                    continue
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
