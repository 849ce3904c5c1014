"""Interruptible waits: those that a user's program makes in its main thread, where Ctrl-C has to end them.

Python's handler of a signal notes that it came; the main thread looks at the note between two steps of Python, and a signal that
comes during a call of the kernel ends that call. A signal that comes after the last such step and before the call, or that the
kernel gives to another thread, is noted and ends no call: a wait without an end would go on for ever, and Ctrl-C seem lost.
So such waits are made in slices of :data:`LOOK_S`, between which Python looks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

T = TypeVar("T")

#: Longest time, in seconds, for which a wait does not look whether a signal came.
LOOK_S: Final = 0.25


def interruptible(wait: Callable[[float], T], timeout_s: float | None = None) -> T:
    """Call ``wait`` with at most :data:`LOOK_S` until what it returns is true or ``timeout_s`` is over, and return that."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = LOOK_S if until is None else until - time.monotonic()
        found = wait(max(0.0, min(left_s, LOOK_S)))
        if found or (left_s <= LOOK_S and until is not None):
            return found


def next_of(queue: SimpleQueue[T]) -> T:
    """Take the next value out of a queue; blocks until there is one."""
    while True:
        try:
            return queue.get(timeout=LOOK_S)
        except Empty:
            continue


def next_within(queue: SimpleQueue[T], timeout_s: float) -> T | None:
    """Take the next value out of a queue; ``None`` if there is none within so many seconds."""
    # NOTE: contextlib.suppress would call Python here, where an interruption is raised while ``Empty`` is: both would be shown
    try:
        return queue.get(timeout=timeout_s)
    except Empty:
        return None


class News:
    """Tells one thread that something has happened; any thread, and a handler of a signal, may do so.

    In place of ``threading.Event``: an interruption at any time of the wait ends it, and nothing else comes of it. In that of an
    event it may come when the event's own lock has been let go, which raises ``RuntimeError`` beside it.
    """

    def __init__(self) -> None:
        #: Free while there is something to be told.
        self._nothing = threading.Lock()
        self._nothing.acquire()

    def tell(self) -> None:
        """Have :meth:`wait` return, now or the next time."""
        if self._nothing.locked():
            with suppress(RuntimeError):  # another thread has told meanwhile
                self._nothing.release()

    def wait(self, timeout_s: float) -> None:
        """Block until somebody tells, unless somebody has since the last time, or for so many seconds."""
        self._nothing.acquire(timeout=timeout_s)
