"""A wall clock that a test moves, for the processes of one node only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pypes.core.clock import VARIABLE


class WallClock:
    """The wall clock of the processes that were started with :attr:`environ`; monotonic time goes on as it is.

    ``path`` is a file that this makes. A process sees a jump within 50 ms (``pypes.core.clock.REREAD_S``).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        #: Seconds by which it is ahead of the machine's clock.
        self.shift_s = 0.0
        self.jump(0.0)

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables to add to the environment of a node."""
        return {VARIABLE: str(self._path)}

    def jump(self, seconds: float) -> None:
        """Set the clock forward by so many seconds, or back if they are negative."""
        self.set(self.shift_s + seconds)

    def set(self, shift_s: float) -> None:
        """Set the clock ahead of the machine's by so many seconds; 0 puts it right."""
        self.shift_s = shift_s
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.write_text(repr(shift_s), encoding="ascii")
        fresh.replace(self._path)
