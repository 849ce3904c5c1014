"""Watching: what another thread may ask of a running graph: whose turn it is, and whether that takes too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pypes.component import Component
from pypes.component.counts import Counts
from pypes.graph.model import Graph
from pypes.runtime.scheduler.breaker import Breakers
from pypes.runtime.scheduler.core import Core
from pypes.runtime.scheduler.driver import Driver


class Watch:
    """Reads the state of one graph and changes nothing."""

    def __init__(self, core: Core, resting: Breakers, graph: Graph, components: Mapping[str, Component]) -> None:
        self._core = core
        self._resting = resting
        self._graph = graph
        self._components = components

    @property
    def graph_name(self) -> str:
        """The name of the graph."""
        return self._graph.name

    @property
    def current(self) -> str:
        """The filter whose code runs now, empty if there is none; what is offloaded does not count."""
        running = self._core.running
        return "" if running is None else running.name

    @property
    def progress(self) -> tuple[int, int]:
        """Changes whenever a turn is begun, or a packet within one is finished."""
        running = self._core.running
        return self._core.turns, running.position() if isinstance(running, Driver) else 0

    def timeout_s(self, filter: str) -> float:
        """Longest work of a filter on one packet (or batch), in seconds. Raises ``KeyError`` for an unknown name."""
        own = self._graph.nodes[filter].timeout_s
        if own is None:
            own = self._components[filter].timeout_s
        return self._core.limits.filter_s if own is None else own

    @property
    def counts(self) -> dict[str, Counts]:
        """Counts of the filters, by their names."""
        return {name: component._counts for name, component in self._components.items()}

    def overdue(self) -> str:
        """A filter whose offloaded call takes longer than its timeout, empty if there is none."""
        now = self._core.clock()
        for filter, began in list(self._core.calls.began.items()):
            if now - began > self.timeout_s(filter.name):
                return str(filter.name)
        return ""

    @property
    def breakers(self) -> dict[str, dict[str, Any]]:
        """Filters whose service cannot be reached: ``state``, ``since`` (seconds since the epoch), ``reason``, ``next_s``.

        ``state`` is ``open`` while the filter rests (``next_s`` seconds more) and ``trying`` when its next turn will tell.
        """
        return self._resting.states()
