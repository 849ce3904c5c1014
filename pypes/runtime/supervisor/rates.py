"""Rates: what filters and wires did in the last second, and how they are now, as events, while somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pypes.observe import metrics as m
from pypes.observe.events import Event
from pypes.observe.gathering import Gathering
from pypes.observe.tallies import Series

#: The part of an event that a metric belongs to, and its name there.
FIGURES: Final = {
    m.FILTER_IN.name: ("filters", "in"),
    m.FILTER_OUT.name: ("filters", "out"),
    m.FILTER_SECONDS.name: ("filters", "busy"),
    m.FILTER_PARKED.name: ("filters", "parked"),
    m.FILTER_FAILURES.name: ("filters", "failures"),
    m.FILTER_RETRIES.name: ("filters", "retries"),
    m.FILTER_RESTING.name: ("filters", "resting"),
    m.WIRE_PACKETS.name: ("wires", "packets"),
    m.WIRE_PARKED.name: ("wires", "parked"),
    m.WIRE_DEPTH.name: ("wires", "depth"),
    m.WIRE_BOUND.name: ("wires", "bound"),
}
#: Figures that are whole numbers as they are now; all others are per second.
LEVELS: Final = frozenset({"resting", "depth", "bound"})


class _Place(NamedTuple):
    """The place of a series in the sums, and in an event: ``part`` is ``filters`` or ``wires``."""

    place: int
    series: Series
    graph: str
    part: str
    name: str
    figure: str
    is_level: bool


class Rates:
    """Compares the counts of filters and wires with those of the last time. ``now()`` gives the time as it is shown.

    ``clock()`` gives seconds that only rise.
    """

    def __init__(self, gathering: Gathering, now: Callable[[], str], clock: Callable[[], float]) -> None:
        self._gathering = gathering
        self._now = now
        self._clock = clock
        self._revision = -1
        self._places: list[_Place] = []
        self._values: dict[Series, float] | None = None
        self._at_s = 0.0
        #: Graphs of which something was told the last time.
        self._busy: set[str] = set()

    def forget(self) -> None:
        """Nobody looks: begin anew the next time."""
        self._values = None
        self._busy = set()

    def step(self) -> list[Event]:
        """An event for each graph in which something has happened since the last time or waits now; none at first.

        One more tells that a graph has come to rest.
        """
        sums, at_s = self._gathering.read(), self._clock()
        if self._gathering.revision != self._revision:
            self._revision = self._gathering.revision
            self._places = [found for series, place in self._gathering.places.items() if (found := _place(series, place))]
        before, seconds = self._values, at_s - self._at_s
        self._values = {each.series: sums[each.place] for each in self._places}
        self._at_s = at_s
        if before is None or seconds <= 0:
            return []
        bodies: dict[str, dict[str, dict[str, dict[str, float]]]] = {graph: {} for graph in self._busy}
        self._busy = set()
        for each in self._places:
            # PERF: mostly nothing has changed
            figure = sums[each.place] if each.is_level else sums[each.place] - before.get(each.series, 0.0)
            if figure:
                self._busy.add(each.graph)
                figures = bodies.setdefault(each.graph, {}).setdefault(each.part, {}).setdefault(each.name, {})
                figures[each.figure] = int(figure) if each.is_level else round(figure / seconds, 3)
        return [Event(0, "counters", (graph,), self._body(graph, seconds, parts)) for graph, parts in sorted(bodies.items())]

    def _body(self, graph: str, seconds: float, parts: dict[str, Any]) -> dict[str, Any]:
        return {"time": self._now(), "graph": graph, "seconds": round(seconds, 3), "filters": {}, "wires": {}, **parts}


def _place(series: Series, place: int) -> _Place | None:
    found = FIGURES.get(series.metric)
    if found is None or len(series.labels) != 2:
        return None
    (part, figure), (graph, name) = found, series.labels
    return _Place(place, series, graph, part, name, figure, figure in LEVELS)
