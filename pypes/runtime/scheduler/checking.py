"""Checking: what ``process`` returned, as far as it is not simply a packet or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypes.core.returned import fault_of, unrun
from pypes.runtime.scheduler.failing import Failing
from pypes.runtime.scheduler.lineage import Lineage


class Checking:
    """The part of a driver that fails a packet here for which something was returned that should not go on."""

    __slots__ = ()

    values: list[Any]
    lineages: Sequence[Lineage]
    results: list[Any]
    lost: list[int]
    failing: Failing

    def _check_result(self, at: int) -> None:
        """Fail a packet here for which ``process`` returned something else than a packet, if that should not go on."""
        given = self.values[at] if at < len(self.values) else None
        fault = fault_of(self.results[at], given)
        if fault is not None:
            self.results[at] = None
            self.lost.append(at)
            self.failing.failed(given, self.lineages[at], fault)

    def _check_unrun(self, failed: list[int]) -> None:
        """Nobody takes what ``process`` returned; but where that is a generator or a coroutine, it has not done its work."""
        for at, result in enumerate(self.results):
            fault = unrun(result, "process")
            if fault is not None:
                failed.append(at)
                self.failing.failed(self.values[at], self.lineages[at], fault)
