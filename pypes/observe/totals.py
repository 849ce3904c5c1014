"""Totals: an observer that counts, for each filter of one running graph, packets and seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pypes.observe.observer import Observer, WireName


@dataclass(slots=True)
class FilterTotal:
    """Counts of one filter.

    ``taken`` packets came to it, ``sent`` it has sent on or, if it is a publisher, committed; a packet that goes on several
    wires counts once. Nothing went on of those ``dropped``; ``failed`` are dead letters, counted when their delivery ends.

    ``work_s`` is wall-clock time in the filter's code, in pool workers too, ``waiting_s`` that of its calls beside the graph
    (``offload``, an isolated component's process); both are sums over whatever ran at the same time.
    """

    taken: int = 0
    sent: int = 0
    dropped: int = 0
    failed: int = 0
    work_s: float = 0.0
    waiting_s: float = 0.0

    def add(self, other: FilterTotal) -> None:
        """Add the counts of another."""
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_NAMES = tuple(each.name for each in fields(FilterTotal))


class Totals(Observer):
    """Counts for the filters of one graph, by their names; under an empty one documents failed that could not be read.

    One thread: hooks and :meth:`take` are called where the graph runs.
    """

    def __init__(self) -> None:
        self._totals: dict[str, FilterTotal] = {}
        #: By filter and output, the wire whose packets count: on each of a port's wires the same go on.
        self._counted: dict[tuple[str, str], WireName] = {}

    def take(self) -> dict[str, FilterTotal]:
        """Totals since this was last called, of the filters for which there is something to tell."""
        taken, self._totals = self._totals, {}
        return taken

    @property
    def so_far(self) -> dict[str, FilterTotal]:
        """Totals since :meth:`take` was last called, as they go on to change; in any thread."""
        return dict(self._totals)

    def add(self, totals: Mapping[str, FilterTotal]) -> None:
        """Add what another one has taken."""
        for filter, total in totals.items():
            self._of(filter).add(total)

    def _of(self, filter: str) -> FilterTotal:
        found = self._totals.get(filter)
        if found is None:
            found = self._totals[filter] = FilterTotal()
        return found

    def packets_sent(self, graph: str, wire: WireName, packets: Sequence[Any]) -> None:
        self._of(wire.target).taken += len(packets)
        if wire.source and self._counted.setdefault((wire.source, wire.output), wire) == wire:
            self._of(wire.source).sent += len(packets)

    def filter_ran(self, graph: str, filter: str, seconds: float) -> None:
        self._of(filter).work_s += seconds

    def filter_waited(self, graph: str, filter: str, seconds: float) -> None:
        self._of(filter).waiting_s += seconds

    def pool_worked(self, graph: str, filter: str, seconds: float) -> None:
        self._of(filter).work_s += seconds

    def packets_dropped(self, graph: str, filter: str, packets: int) -> None:
        self._of(filter).dropped += packets

    def packets_committed(self, graph: str, publisher: str, packets: int) -> None:
        self._of(publisher).sent += packets

    def packets_failed(self, graph: str, filter: str, code: str, packets: int) -> None:
        self._of(filter).failed += packets
