"""The holding driver: runs components with ``process`` that hold packets beyond their turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.process_driver import ProcessDriver


class HoldingDriver(ProcessDriver):
    """Calls ``process`` packet by packet, so that what is sent is known to be made of what was taken so far."""

    holds_whole_chunks = False
    __slots__ = ("behind",)

    #: The packets after the one in hand; empty once that is back on the wire.
    behind: list[tuple[list[Any], Sequence[Lineage]]]

    def work_on(self, values: list[Any], lineages: Sequence[Lineage]) -> None:
        assert self.holding is not None
        epoch = self._pinned()
        for i, (value, lineage) in enumerate(zip(values, lineages, strict=True)):
            self.core.turns += 1
            self.holding.hold(epoch, (value,), (lineage,))
            self.behind = [(values[i + 1 :], lineages[i + 1 :])]
            super().work_on([value], [lineage])
            if not self.behind:
                break
            if self.holding.release_asked:
                self.holding.release()

    def left_over(self, values: list[Any], lineages: Sequence[Lineage]) -> tuple[list[Any], Sequence[Lineage]]:
        assert self.holding is not None
        self.holding.unhold(self._pinned(), values)
        behind = self.behind.pop()
        return [*values, *behind[0]], [*lineages, *behind[1]]
