"""OutPort: the wires of one output port, and what was sent there in a turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.wire import Wire


class OutPort:
    """Packets that were sent by one output port in this turn and are not yet on its wires."""

    __slots__ = ("at", "expected", "lineages", "mark", "passing", "values", "wires")

    def __init__(self, wires: list[Wire]) -> None:
        self.wires = wires
        self.values: list[Any] = []
        self.lineages: list[Lineage] = []
        #: The packets of the turn in the order in which a component that changes no order sends them on, and
        #: whether it has done so until now: then they are not even in ``values`` (see ``LoopDriver``).
        self.expected: Iterator[Any] = iter(())
        self.passing = False
        #: The position of the packet over which something was sent last, and where in ``values`` that begins.
        self.at, self.mark = -1, 0
