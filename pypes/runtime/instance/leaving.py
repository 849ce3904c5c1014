"""Leaving: an instance lets go of graphs that run elsewhere by now, and keeps the others.

As at the end of an instance, what is in the graph is finished and what only waits goes back to the workers, and no sooner: in an
ordered graph nothing newer may run while something older is still at work here. What the graph had in memory is freed then; the
modules that it has imported stay.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

from pypes.runtime.instance.runner import Runner


class Leaving:
    """The graphs that an instance lets go of, and in ``left`` those that it has let go of: it never takes one up again."""

    def __init__(self) -> None:
        self.left: set[str] = set()
        self._going: list[Runner] = []

    def __bool__(self) -> bool:
        return bool(self._going)

    def begin(self, runner: Runner) -> None:
        """Begin nothing more of a graph."""
        runner.is_leaving = True
        self._going.append(runner)

    def ended(self, lone: Runner | None) -> list[Runner]:
        """The graphs with nothing in flight; components of the others must not hold packets any longer.

        ``lone`` is the graph of a delivery that runs alone, or is about to.
        """
        found = []
        for runner in self._going:
            if runner.scheduler.in_flight:
                if runner.scheduler.is_idle:
                    runner.scheduler.flush_holds()
            elif runner is not lone:
                found.append(runner)
        return found

    def part(self, runner: Runner) -> None:
        """Tear a graph down, after the workers were told; :func:`free` gives back what it had once nobody refers to it."""
        self._going.remove(runner)
        self.left.add(runner.name)
        runner.end()


def free() -> None:
    """Give memory back that nobody refers to any more, also what is in circles that were spared from collection."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    with suppress(AttributeError, OSError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)
