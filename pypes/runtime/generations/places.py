"""Places: which instances of a generation run which graphs, where some are to run in a few of them only."""

from __future__ import annotations

from collections.abc import Mapping


def places(most: Mapping[str, int | None], count: int) -> list[frozenset[str]]:
    """For each of ``count`` instances the graphs that it runs; ``most`` is graph → ``max_instances``.

    Graphs that are bounded are spread: each goes where the fewest of them are. The same graphs give the same places.
    """
    found: list[set[str]] = [{name for name, bound in most.items() if bound is None} for _ in range(count)]
    for name in sorted(name for name, bound in most.items() if bound is not None):
        for place in sorted(found, key=len)[: most[name]]:
            place.add(name)
    return [frozenset(names) for names in found]
