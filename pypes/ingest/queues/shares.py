"""Share of each graph in the bounds of a queue, so that a graph that fills up holds up no other.

A graph may fill half of a bound. When more than nine tenths are taken, only graphs go on that have less than their equal part,
one for each graph. Where there is only one, the whole bound is its. Pure bookkeeping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pypes.core.graph_limits import GraphLimits
from pypes.core.limits import Limits

#: The part of a bound that one graph may take while there are others.
MOST = 0.5
#: Part of a bound that is taken before it is kept for those graphs that have little of it.
SCARCE = 0.9


class Use:
    """Usage of a graph: in the queue, among the dead letters, and of receipts."""

    __slots__ = ("bytes", "deliveries", "letter_bytes", "letters", "receipt_bytes")

    def __init__(self) -> None:
        self.deliveries = 0
        self.bytes = 0
        self.letters = 0
        self.letter_bytes = 0
        self.receipt_bytes = 0


class Reached(NamedTuple):
    """A bound that a graph has reached: the name of the limit, its value, and the graph's share of it."""

    limit: str
    bound: int
    share: int


class Uses(dict[str, Use]):
    """The uses by graph; that of a new graph is made when it is asked for."""

    def __missing__(self, graph: str) -> Use:
        use = self[graph] = Use()
        return use


class Shares:
    """The ``uses`` of all graphs. ``held`` is filled with those at their bound of dead letters, of which nothing must run."""

    def __init__(self, limits: Limits, held: set[str]) -> None:
        self.letters = 0
        self.letter_bytes = 0
        self._limits = limits
        self._held = held
        self.uses = Uses()
        self._deployed: Mapping[str, GraphLimits] = {}

    def deploy(self, graphs: Mapping[str, GraphLimits]) -> None:
        """These are the graphs that share, and any that has something left here; with the limits that they have here."""
        self._deployed = dict(graphs)
        self._judge()

    def _others(self, has_any: Callable[[Use], int]) -> int:
        """Number of graphs that are no longer deployed and have deliveries or dead letters left."""
        return sum(1 for graph, use in self.uses.items() if graph not in self._deployed and has_any(use))

    # -- the queue ---------------------------------------------------------------------------------------

    def reached(self, graph: str, size: int, total: tuple[int, int], bounds: tuple[int, int]) -> Reached | None:
        """The bound of the queue that a delivery of ``size`` bytes would be beyond as far as its graph goes; ``None`` if it fits.

        ``total`` and ``bounds`` are deliveries and bytes of all graphs. A graph that has nothing here may have one, whatever its
        size.
        """
        use = self.uses.get(graph)
        if use is None or not use.deliveries:
            return None
        count = len(self._deployed) + self._others(lambda use: use.deliveries)
        names = ("queue_max_deliveries", "queue_max_bytes")
        wanted, taken = (1, size), (use.deliveries, use.bytes)
        for name, bound, everything, own, more in zip(names, bounds, total, taken, wanted, strict=True):
            share = self._share(bound, everything + more, count)
            if own + more > share:
                return Reached(name, bound, share)
        return None

    @staticmethod
    def _share(bound: int, taken: int, count: int) -> int:
        if count < 2:
            return bound
        return max(1, int(bound * (min(MOST, 1 / count) if taken > SCARCE * bound else MOST)))

    # -- dead letters ------------------------------------------------------------------------------------

    def add_letters(self, graph: str, count: int, size: int) -> None:
        """Dead letters of a graph came, or went (less than zero)."""
        use = self.uses[graph]
        use.letters += count
        use.letter_bytes += size
        self.letters += count
        self.letter_bytes += size
        self._judge()

    def set_letters(self, found: Iterable[tuple[str, int, int]]) -> None:
        """These are all there are: graph, count and bytes."""
        for use in self.uses.values():
            use.letters = use.letter_bytes = 0
        self.letters = self.letter_bytes = 0
        for graph, count, size in found:
            self.add_letters(graph, count, size)
        self._judge()

    def reached_letters(self, graph: str) -> Reached | None:
        """The bound of dead letters that a graph has reached; ``None`` if there is room for more of them."""
        use = self.uses.get(graph)
        if use is None or not use.letters:
            return None
        limits = self._limits
        count = len(self._deployed) + self._others(lambda use: use.letters)
        for name, bound, everything, own in (
            ("dead_letters_kept", limits.dead_letters_kept, self.letters, use.letters),
            ("dead_letters_bytes", limits.dead_letters_bytes, self.letter_bytes, use.letter_bytes),
        ):
            share = self._share(bound, everything, count)
            if own >= share:
                return Reached(name, bound, share)
        return None

    @property
    def held_deliveries(self) -> int:
        """Deliveries of graphs of which nothing must run."""
        return sum(self.uses[graph].deliveries for graph in self._held)

    def _judge(self) -> None:
        held = {graph for graph in self.uses if self.reached_letters(graph) is not None}
        if held != self._held:
            self._held.clear()
            self._held.update(held)
