"""The wall clock of the node, and the time that passes: every part of Pypes reads both here.

The wall clock can be set while a node runs, by hand or by a time server. So it tells people and other machines what time it
is, and nothing else: no age, no retention, no timeout and no order is taken from it. Timeouts go by ``time.monotonic``; ages
and the keys of commits go by the node's own time (:mod:`pypes.core.nodetime`).

For tests, the variable :data:`VARIABLE` names a file with a number of seconds by which the wall clock of the processes that
have the variable is shifted. It is read again every :data:`REREAD_S`, so that a test moves the clock of a running node by
writing the file. Monotonic time is never shifted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

#: Environment variable, for tests only: path of the file that holds the shift in seconds.
VARIABLE = "PYPES_TEST_CLOCK"
REREAD_S = 0.05


class Shifted:
    """A wall clock that is ahead of the machine's by the seconds in a file, 0 while there is no such file."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._shift_s = 0.0
        self._reread_at = 0.0

    def __call__(self) -> float:
        now = time.monotonic()
        if now >= self._reread_at:
            self._reread_at = now + REREAD_S
            try:
                self._shift_s = float(self._path.read_text(encoding="ascii"))
            except FileNotFoundError:
                self._shift_s = 0.0
        return time.time() + self._shift_s


def _wall_clock(path: str | None) -> Callable[[], float]:
    return Shifted(path) if path else time.time


#: The time of day, in seconds since the epoch, as the machine believes it to be.
wall: Callable[[], float] = _wall_clock(os.environ.get(VARIABLE))


def _elapsed_clock() -> Callable[[], float]:
    boot: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux counts sleep in this clock only
    return time.monotonic if boot is None else partial(time.clock_gettime, boot)


#: Seconds since an arbitrary moment, the sleep of the machine included where the system counts it; it never goes back.
elapsed: Callable[[], float] = _elapsed_clock()
