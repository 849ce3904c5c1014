"""Taps: looks at wires of graphs, in all instances that run these, for as long as somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pypes.ingest import protocol
from pypes.ingest.contracts.leasing import Stream
from pypes.ingest.dispatch.link import Link
from pypes.ingest.protocol import Tapped


class Looking(Protocol):
    """Whoever looks at a wire."""

    def packets(self, instance: int, packets: Sequence[bytes], missed: int) -> None:
        """Packets that went over it, as JSON; ``missed`` others went there before."""

    def wires(self, names: Sequence[str]) -> None:
        """The names of the wires of the graph, from an instance that runs it."""

    def ended(self, reason: str) -> None:
        """Nothing more comes."""


class Tap:
    """A wire that is looked at; without a name, only the names of all wires are asked for."""

    def __init__(self, number: int, graph: str, wire: str) -> None:
        self.number = number
        self.graph = graph
        self.wire = wire
        self.looking: list[Looking] = []
        #: Instances that were asked, and the answer of one that runs the graph.
        self.asked: set[int] = set()
        self.names: Sequence[str] = ()


class Taps:
    """The taps of an ingest worker; ``running`` gives those of some links whose instances run a graph."""

    def __init__(self, links: Iterable[Link], running: Callable[[list[Link], Stream], list[Link]]) -> None:
        self._links = links
        self._running = running
        self._taps: dict[int, Tap] = {}
        self._last_number = 0

    def open(self, graph: str, wire: str, looking: Looking) -> Tap:
        """Look at a wire from now on; call :meth:`sync` afterwards. Those who look at the same share what comes."""
        tap = next((tap for tap in self._taps.values() if (tap.graph, tap.wire) == (graph, wire)), None)
        if tap is None:
            self._last_number += 1
            tap = self._taps[self._last_number] = Tap(self._last_number, graph, wire)
        tap.looking.append(looking)
        if tap.names:
            looking.wires(tap.names)
        return tap

    def close(self, tap: Tap, looking: Looking) -> None:
        """One who looked does so no more."""
        if looking in tap.looking:
            tap.looking.remove(looking)
        if not tap.looking and self._taps.pop(tap.number, None) is not None:
            for link in self._links:
                if link.id in tap.asked:
                    link.write(protocol.untap(tap.number))

    def sync(self) -> None:
        """Ask the instances that have come since; to be called whenever links or graphs may have changed."""
        for tap in self._taps.values():
            for link in self._running([link for link in self._links if link.is_open], Stream(tap.graph, is_bulk=False)):
                if link.id not in tap.asked:
                    tap.asked.add(link.id)
                    link.write(protocol.tap(tap.number, tap.graph, tap.wire))

    def take(self, link: Link, said: Tapped) -> None:
        """Pass on what an instance has said."""
        tap = self._taps.get(said.number)
        if tap is None:
            return  # nobody looks any more
        looking = list(tap.looking)
        if said.error:
            self._end(tap, said.error)
        elif said.wires is None:
            for each in looking:
                each.packets(link.id, said.packets, said.missed)
        elif said.wires:
            tap.names = said.wires
            for each in looking:
                each.wires(said.wires)
            if tap.wire and tap.wire not in said.wires:
                self._end(tap, f"the graph has no wire {tap.wire} any more")

    def _end(self, tap: Tap, reason: str) -> None:
        for each in list(tap.looking):
            each.ended(reason)
            self.close(tap, each)

    def __bool__(self) -> bool:
        return bool(self._taps)
