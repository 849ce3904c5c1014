"""Tapping: wires of a running graph at which somebody looks.

A wire is one of another class while it is tapped, so that the others cost nothing. Meanwhile the filter before it takes no short
cut past it; all others do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pypes.graph.model import Graph
from pypes.runtime.scheduler.core import Core
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.loop_driver import LoopDriver
from pypes.runtime.scheduler.process_driver import ProcessDriver
from pypes.runtime.scheduler.wire import Wire

#: Is shown packets as they go on; it must not change them, nor keep them, nor raise.
Look = Callable[[Sequence[Any]], None]

#: In the place of the filter and port before the wire on which documents enter.
ENTRY = "entry"


class TappedWire(Wire):
    """A wire that shows what is put on it. Retries, and what is put back, are no news."""

    __slots__ = ()

    def put(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        for look in self.taps:
            look(values)
        return Wire.put(self, epoch, values, lineages)

    def feed(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        for look in self.taps:
            look(values)
        return Wire.feed(self, epoch, values, lineages)


class Tapping:
    """The wires of one graph by their names: ``a.out-b.in``, and ``entry-a.in`` where documents enter."""

    def __init__(self, core: Core, graph: Graph, wires: Sequence[Wire], drivers: Sequence[Driver]) -> None:
        self._core = core
        named = {f"{w.source}.{w.output}-{w.target}.{w.input}": made for w, made in zip(graph.wires, wires, strict=True)}
        targets = {wire.target for wire in graph.wires}
        entries = {
            f"{ENTRY}-{driver.name}.{port}": found[0]
            for driver in drivers
            if driver.name not in targets
            for port, found in driver.inputs.items()
        }
        self.wires: Mapping[str, Wire] = {**entries, **named}
        senders = {driver.name: driver for driver in drivers if isinstance(driver, ProcessDriver | LoopDriver)}
        #: By the names of wires, the filters before them that may hand packets past them.
        self._senders = {name: senders[w.source] for name, w in zip(named, graph.wires, strict=True) if w.source in senders}
        #: By the name of a tapped wire, to whom the filter before it handed packets.
        self._following: dict[str, Any] = {}

    def add(self, name: str, look: Look) -> None:
        """Look at a wire from now on. Raises ``KeyError`` if there is none of that name."""
        wire = self.wires[name]
        wire.taps += (look,)
        wire.__class__ = TappedWire
        if name in self._senders and name not in self._following:
            self._cut(name)

    def remove(self, name: str, look: Look) -> None:
        """Look no more."""
        wire = self.wires[name]
        wire.taps = tuple(each for each in wire.taps if each is not look)
        if wire.taps:
            return
        wire.__class__ = Wire
        following = self._following.pop(name, None)
        # in a lone run nobody takes a short cut, and all are found again behind it
        if following is not None and self._core.record_turn is None:
            self._senders[name].following = following

    def renew(self) -> None:
        """The short cuts of all filters were found again: take away those past tapped wires."""
        for name in self._following:
            self._cut(name)

    def _cut(self, name: str) -> None:
        sender = self._senders[name]
        # what was handed over before counts where no short cut is taken just now
        self._following[name] = sender.following or self._following.get(name)
        sender.following = None
