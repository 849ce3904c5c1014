"""Tapping: wires of a running graph at which somebody looks.

A wire is one of another class while it is tapped, so that what is put on others is not looked at. Filters that hand packets past
a wire ask it whether somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pypes.graph.model import Graph
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.wire import Wire

#: Is shown packets as they go on; it must not change them, nor keep them, nor raise.
Look = Callable[[Sequence[Any]], None]

#: In the place of the filter and port before the wire on which documents enter.
ENTRY = "entry"


class TappedWire(Wire):
    """A wire that shows what is put on it. Retries, and what is put back, are no news."""

    __slots__ = ()

    def put(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        self.show(values)
        return Wire.put(self, epoch, values, lineages)

    def feed(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        self.show(values)
        return Wire.feed(self, epoch, values, lineages)


class Tapping:
    """The wires of one graph by their names: ``a.out-b.in``, and ``entry-a.in`` where documents enter."""

    def __init__(self, graph: Graph, wires: Sequence[Wire], drivers: Sequence[Driver]) -> None:
        named = {f"{w.source}.{w.output}-{w.target}.{w.input}": made for w, made in zip(graph.wires, wires, strict=True)}
        targets = {wire.target for wire in graph.wires}
        entries = {
            f"{ENTRY}-{driver.name}.{port}": found[0]
            for driver in drivers
            if driver.name not in targets
            for port, found in driver.inputs.items()
        }
        self.wires: Mapping[str, Wire] = {**entries, **named}

    def add(self, name: str, look: Look) -> None:
        """Look at a wire from now on. Raises ``KeyError`` if there is none of that name."""
        wire = self.wires[name]
        wire.taps += (look,)
        wire.__class__ = TappedWire

    def remove(self, name: str, look: Look) -> None:
        """Look no more."""
        wire = self.wires[name]
        wire.taps = tuple(each for each in wire.taps if each is not look)
        if not wire.taps:
            wire.__class__ = Wire
