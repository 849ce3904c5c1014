"""The summary of what the instances of a node have told of their graphs: filters that rest, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

#: By graph and filter, the totals of one instance.
Counts = Mapping[str, Mapping[str, Mapping[str, int]]]


def resting(told: Sequence[Mapping[str, tuple[float, str]]]) -> list[dict[str, Any]]:
    """Filters that rest in some of the instances: ``{filter, since, reason, instances}`` each, as of who began first."""
    found = [(name, *each) for filters in told for name, each in filters.items()]
    instances = Counter(name for name, _, _ in found)
    first = {name: (since, reason) for name, since, reason in sorted(found, reverse=True)}
    return [
        {
            "filter": name,
            "since": datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "reason": reason,
            "instances": instances[name],
        }
        for name, (since, reason) in sorted(first.items())
    ]


class EndedCounts:
    """Counts of instances that have ended, so that totals do not run backwards with the end of one."""

    def __init__(self) -> None:
        self._totals: dict[str, dict[str, Counter[str]]] = {}

    def add(self, counts: Counts, graphs: Collection[str]) -> None:
        """Keep the counts of an instance that has ended, as far as these ``graphs`` are theirs."""
        for graph in counts.keys() & graphs:
            _add(self._totals.setdefault(graph, {}), counts[graph])

    def forget(self, graphs: Iterable[str]) -> None:
        """Drop the counts of graphs that are removed from the node."""
        for graph in graphs:
            self._totals.pop(graph, None)

    def and_of(self, graph: str, running: Iterable[Counts]) -> dict[str, dict[str, int]]:
        """By filter, the totals of a graph: those that are kept, and those of instances that run."""
        found: dict[str, Counter[str]] = {}
        for filters in (self._totals.get(graph, {}), *(counts.get(graph, {}) for counts in running)):
            _add(found, filters)
        return {name: dict(sorted(totals.items())) for name, totals in sorted(found.items())}


def _add(to: dict[str, Counter[str]], filters: Mapping[str, Mapping[str, int]]) -> None:
    for name, totals in filters.items():
        to.setdefault(name, Counter()).update(totals)
