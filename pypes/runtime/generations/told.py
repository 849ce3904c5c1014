"""The summary of what the instances of a node have told of their graphs: filters that rest, and counts."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pypes.ingest.receipt import rfc3339
from pypes.observe import Observer

#: Instances that ended unasked of which is told.
ENDINGS_KEPT = 50

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


def former(leaving: Iterable[tuple[int, float]]) -> list[dict[str, Any]]:
    """Former versions that finish what they have: ``{version, until}`` each, of the versions and ends of their instances."""
    return [{"version": version, "until": rfc3339(until)} for version, until in dict(sorted(leaving)).items()]


def no_endings() -> deque[dict[str, Any]]:
    """Room for the last instances that ended unasked, for ``status``."""
    return deque(maxlen=ENDINGS_KEPT)


class RestingNews:
    """Tells an observer which filters begin to rest, and which do so in no instance any more; ``resting`` as above, by graph."""

    def __init__(self, observer: Observer, resting: Callable[[str], list[dict[str, Any]]]) -> None:
        self._observer = observer
        self._resting = resting
        #: By graph, the filters of which was told that they rest.
        self._told: dict[str, set[str]] = {}

    def look(self, graph: str) -> None:
        """See what has changed of a graph."""
        told, found = self._told.pop(graph, set()), {each["filter"]: each["reason"] for each in self._resting(graph)}
        if found:
            self._told[graph] = set(found)
        for filter in sorted(found.keys() - told):
            self._observer.filter_rested(graph, filter, found[filter])
        for filter in sorted(told - found.keys()):
            self._observer.filter_went_on(graph, filter)

    def look_at(self, graphs: Iterable[str]) -> None:
        """See what has changed of those of these graphs of which something was told."""
        for graph in self._told.keys() & set(graphs):
            self.look(graph)


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
