"""Share of each graph in the bounds of a queue, so that a graph that fills up holds up no other.

A graph may fill half of a bound, or as much as a limit of its own says. When more than nine tenths are taken, only graphs go on
that have less than their equal part, one for each graph. Where there is only one, the whole bound is its. Pure bookkeeping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pypes.core.graph_limits import NO_LIMITS, GraphLimits
from pypes.core.limits import Limits
from pypes.ingest.contracts.queue import GraphUse

#: The part of a bound that one graph may take while there are others.
MOST = 0.5
#: Part of a bound that is taken before it is kept for those graphs that have little of it.
SCARCE = 0.9


class Use:
    """Usage of a graph: in the queue, among the dead letters, and of receipts."""

    __slots__ = ("bytes", "deliveries", "keys", "letter_bytes", "letters", "receipt_bytes")

    def __init__(self) -> None:
        self.deliveries = 0
        self.bytes = 0
        self.letters = 0
        self.letter_bytes = 0
        self.receipt_bytes = 0
        self.keys = 0

    @property
    def disk_bytes(self) -> int:
        """Bytes of all of it."""
        return self.bytes + self.letter_bytes + self.receipt_bytes

    @property
    def is_empty(self) -> bool:
        """True if there is nothing of the graph."""
        return not (self.deliveries or self.letters or self.receipt_bytes or self.keys)


class Share(NamedTuple):
    """The most that a graph may have of a bound. ``is_own``: a limit of its own says so."""

    most: int
    is_own: bool


class Reached(NamedTuple):
    """A bound that a graph has reached: the name of the limit, its value for all graphs, and the graph's share of it."""

    limit: str
    bound: int
    share: int
    is_own: bool

    def __str__(self) -> str:
        return f"{self.limit}: {self.share} of {self.bound}"


class Uses(dict[str, Use]):
    """The uses by graph; that of a new graph is made when it is asked for."""

    def __missing__(self, graph: str) -> Use:
        use = self[graph] = Use()
        return use


class Shares:
    """The ``uses`` of all graphs. ``held`` is filled with those at their bound of dead letters, of which nothing must run.

    ``own`` has the limits of those graphs that have some of their own, as far as this queue enforces them.
    """

    def __init__(self, limits: Limits, held: set[str]) -> None:
        self.letters = 0
        self.letter_bytes = 0
        self.keys = 0
        self._limits = limits
        self._held = held
        self.uses = Uses()
        self.own: dict[str, GraphLimits] = {}
        self._deployed: frozenset[str] = frozenset()

    def deploy(self, graphs: Mapping[str, GraphLimits]) -> None:
        """These are the graphs that share, and any that has something left here; with the limits that they have here."""
        self._deployed = frozenset(graphs)
        self.own.clear()
        self.own.update({graph: limits for graph, limits in graphs.items() if limits != NO_LIMITS})
        self._judge()

    def _sharing_queue(self) -> int:
        """Number of graphs that share the queue: those that are deployed, and others of which something waits."""
        return len(self._deployed) + sum(1 for graph, use in self.uses.items() if use.deliveries and graph not in self._deployed)

    def _sharing_letters(self) -> int:
        """Number of graphs that share the room for dead letters: those that are deployed, and others that have some."""
        return len(self._deployed) + sum(1 for graph, use in self.uses.items() if use.letters and graph not in self._deployed)

    def _sharing_keys(self) -> int:
        """Number of graphs that share the room for idempotency keys: those that are deployed, and others that have some."""
        return len(self._deployed) + sum(1 for graph, use in self.uses.items() if use.keys and graph not in self._deployed)

    def _share(self, bound: int, own: int | None, taken: int, sharing: Callable[[], int]) -> Share:
        """The share of a graph in a bound of which so much is taken; ``sharing()`` counts the graphs that share it."""
        count = sharing()
        most = bound if own is not None or count < 2 else int(MOST * bound)
        if count > 1 and taken > SCARCE * bound:
            most = min(most, bound // count)
        if own is not None and own <= most:
            return Share(own, is_own=True)
        return Share(max(1, most), is_own=False)

    # -- the queue ---------------------------------------------------------------------------------------

    def reached(self, graph: str, size: int, total: tuple[int, int], part: float = 1.0) -> Reached | None:
        """The bound of the queue that a delivery of ``size`` bytes would be beyond as far as its graph goes; ``None`` if it fits.

        ``total`` is deliveries and bytes of all graphs, ``part`` the part of all bounds that counts. A graph of which nothing
        waits may have one delivery, whatever its size.
        """
        use = self.uses.get(graph)
        if use is None:
            return None
        own = self.own.get(graph, NO_LIMITS)
        if use.deliveries:
            for name, used, everything, more in (
                ("queue_max_deliveries", use.deliveries, total[0], 1),
                ("queue_max_bytes", use.bytes, total[1], size),
            ):
                bound = int(part * getattr(self._limits, name))
                share = self._share(bound, _part(getattr(own, name), part), everything + more, self._sharing_queue)
                if used + more > share.most:
                    return Reached(name, bound, *share)
        most = _part(own.disk_bytes, part)
        if most is not None and (use.deliveries or use.letters) and use.disk_bytes + size > most:
            return Reached("disk_bytes", most, most, is_own=True)
        return None

    def is_within_own(self, graph: str, size: int) -> bool:
        """True if a delivery is within the limits that its graph has of its own, as :meth:`reached` says of the live lane.

        PERF: asked for each append of such a graph; a quarter of the time that the whole answer takes.
        """
        use, own = self.uses[graph], self.own[graph]
        deliveries, size_bytes, disk_bytes = own.queue_max_deliveries, own.queue_max_bytes, own.disk_bytes
        if use.deliveries and (
            (deliveries is not None and use.deliveries >= deliveries)
            or (size_bytes is not None and use.bytes + size > size_bytes)
        ):
            return False
        return disk_bytes is None or use.bytes + use.letter_bytes + use.receipt_bytes + size <= disk_bytes

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
        own = self.own.get(graph, NO_LIMITS)
        for name, used, everything in (
            ("dead_letters_kept", use.letters, self.letters),
            ("dead_letters_bytes", use.letter_bytes, self.letter_bytes),
        ):
            bound = getattr(self._limits, name)
            share = self._share(bound, getattr(own, name), everything, self._sharing_letters)
            if used >= share.most:
                return Reached(name, bound, *share)
        # what waits does not count: it makes room when it is run
        if own.disk_bytes is not None and use.letter_bytes + use.receipt_bytes >= own.disk_bytes:
            return Reached("disk_bytes", own.disk_bytes, own.disk_bytes, is_own=True)
        return None

    # -- receipts and idempotency keys -------------------------------------------------------------------

    def set_receipts(self, graph: str, size: int) -> None:
        """The receipts of a graph take so many bytes."""
        self.uses[graph].receipt_bytes = size
        if graph in self.own:
            self._judge()

    def add_keys(self, graph: str, count: int) -> None:
        """Idempotency keys of a graph came, or were forgotten (less than zero)."""
        self.uses[graph].keys += count
        self.keys += count

    def reached_keys(self, graph: str) -> Reached | None:
        """The bound of idempotency keys, if a graph has reached it; ``None`` if there is room for more of them."""
        used, bound = self.uses[graph].keys, self._limits.keys_kept
        share = self._share(bound, self.own.get(graph, NO_LIMITS).keys_kept, self.keys, self._sharing_keys)
        return Reached("keys_kept", bound, *share) if used >= share.most else None

    # -- what is shown -----------------------------------------------------------------------------------

    def shown(self, deliveries: int, size: int) -> dict[str, GraphUse]:
        """The uses of graphs that are deployed or have something left, with the bounds in force while so much is queued."""
        queue, letters, keys = self._sharing_queue(), self._sharing_letters(), self._sharing_keys()
        bounds = (
            ("queue_max_deliveries", deliveries, lambda: queue),
            ("queue_max_bytes", size, lambda: queue),
            ("dead_letters_kept", self.letters, lambda: letters),
            ("dead_letters_bytes", self.letter_bytes, lambda: letters),
            ("keys_kept", self.keys, lambda: keys),
        )
        found = {}
        for graph in sorted(self._deployed | {graph for graph, use in self.uses.items() if not use.is_empty}):
            use, own = self.uses.get(graph) or Use(), self.own.get(graph, NO_LIMITS)
            limits = {
                name: self._share(getattr(self._limits, name), getattr(own, name), taken, sharing).most
                for name, taken, sharing in bounds
            }
            if own.disk_bytes is not None:
                limits["disk_bytes"] = own.disk_bytes
            found[graph] = GraphUse(use.deliveries, use.bytes, use.letters, use.letter_bytes, use.receipt_bytes, use.keys, limits)
        return found

    @property
    def held_deliveries(self) -> int:
        """Deliveries of graphs of which nothing must run."""
        return sum(self.uses[graph].deliveries for graph in self._held)

    def _judge(self) -> None:
        held = {graph for graph in self.uses if self.reached_letters(graph) is not None}
        if held != self._held:
            self._held.clear()
            self._held.update(held)


def _part(own: int | None, part: float) -> int | None:
    return None if own is None else max(1, int(part * own))
