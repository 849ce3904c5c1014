"""Counting: tells the supervisor what the filters of an instance have counted since its start."""

from __future__ import annotations

import select
import time
from collections.abc import Collection, Mapping
from typing import Any

from pypes.component.counts import Change, Counts

#: Seconds between two tellings.
EVERY_S = 1.0


class CountsReport:
    """Tells of filters whose counts have changed; not while the supervisor does not read, since nothing may wait for it.

    Two gaps: what is larger than the room of the socket (hundreds of filters with a hundred names each) waits until it is read;
    and an instance that has nothing to do is not woken for what a component counts in a thread of its own.
    """

    def __init__(self, control: Any, graphs: Mapping[str, Mapping[str, Counts]]) -> None:
        self._control = control
        self._change = Change()
        self._due = time.monotonic()
        self._counts = dict(graphs)
        for filters in self._counts.values():
            for counts in filters.values():
                counts.change = self._change
        self._change.is_set = True  # set-up may have counted

    def tell(self) -> float | None:
        """Tell if there is anything to tell and it is time to; returns when it will be, by the monotonic clock."""
        if not self._change.is_set:
            return None
        now = time.monotonic()
        if now >= self._due:
            self._due = now + EVERY_S
            if select.select([], [self._control], [], 0.0)[1]:
                self._change.is_set = False
                self._send(self._counts)
                return None
        return self._due

    def end(self, graphs: Collection[str]) -> None:
        """Tell the last of graphs that are torn down."""
        ended = {graph: self._counts.pop(graph) for graph in graphs}
        if select.select([], [self._control], [], 0.0)[1]:
            self._send(ended)

    def end_all(self) -> None:
        """Tell the last of all graphs."""
        self.end([*self._counts])

    def _send(self, of: Mapping[str, Mapping[str, Counts]]) -> None:
        found: dict[str, dict[str, dict[str, int]]] = {}
        for graph, filters in of.items():
            for name, counts in filters.items():
                if (totals := counts.changed()) is not None:
                    found.setdefault(graph, {})[name] = totals
        if found:
            self._control.send(("counts", found))
