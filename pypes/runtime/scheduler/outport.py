"""OutPort: the wires of one output port, and what was sent there in a turn."""

from __future__ import annotations

from typing import Any

from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.wire import Wire


class OutPort:
    """Packets that were sent by one output port in this turn and are not yet on its wires."""

    __slots__ = ("at", "lineages", "mark", "name", "values", "wires")

    def __init__(self, name: str, wires: list[Wire]) -> None:
        self.name = name
        self.wires = wires
        self.values: list[Any] = []
        self.lineages: list[Lineage] = []
        #: The position of the packet over which something was sent last, and where in ``values`` that begins.
        self.at, self.mark = -1, 0
