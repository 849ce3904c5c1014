"""Totals: packets and seconds of the filters of a running graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields


@dataclass(slots=True)
class FilterTotal:
    """Counts of one filter.

    ``taken`` packets came to it, ``sent`` it has sent on or, if it is a publisher, committed; a packet that goes on several
    wires counts once. Nothing went on of those ``dropped``; those ``failed`` are dead letters, or went on by the port ``error``.

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

    def minus(self, other: FilterTotal) -> FilterTotal:
        """The counts without those of another."""
        return FilterTotal(*(getattr(self, name) - getattr(other, name) for name in _NAMES))


_NAMES = tuple(each.name for each in fields(FilterTotal))


class Totals:
    """Totals of the filters of one graph, by their names, without those that have done nothing. ``read`` gives them so far."""

    def __init__(self, read: Callable[[], Mapping[str, FilterTotal]] = dict) -> None:
        self._read = read
        self._taken: dict[str, FilterTotal] = {}

    @property
    def so_far(self) -> dict[str, FilterTotal]:
        """Totals since the graph was made; in any thread."""
        nothing = FilterTotal()
        return {name: total for name, total in self._read().items() if total != nothing}

    def take(self) -> dict[str, FilterTotal]:
        """Totals since this was last called."""
        before, self._taken = self._taken, self.so_far
        nothing = FilterTotal()
        fresh = {name: total.minus(before.get(name, nothing)) for name, total in self._taken.items()}
        return {name: total for name, total in fresh.items() if total != nothing}
