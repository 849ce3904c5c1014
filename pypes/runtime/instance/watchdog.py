"""The watchdog of an instance: a thread that ends the process when a filter does not come back, or memory runs out.

It counts the time for which one filter is at work without finishing anything, a little with every tick. A process that was
stopped, or a machine that slept, makes one tick late: that is counted as if it were hardly late at all, so that nothing is
taken for hanging that had no chance to run. Where a component keeps the interpreter to itself (a C call, a regular expression
that never ends) this thread cannot tick either: :class:`Stillness` sees that from outside, from the ticks in the crash record.
"""

from __future__ import annotations

import logging
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pypes.core.lifeline import exit_now
from pypes.core.limits import MIB
from pypes.core.machine import resident_bytes
from pypes.core.watched import watched_thread
from pypes.runtime.instance.crash_record import CrashRecord

log = logging.getLogger(__name__)

TICK_S = 0.1
#: Most that one tick adds to the time a filter has taken, in seconds, however late it comes.
MOST_S = 0.5
#: Most that a call in a thread is given beyond its time because the process was stopped meanwhile, in seconds.
MOST_SPARE_S = 600.0
#: Innermost calls of a thread that the log shows.
STACK_CALLS = 8
#: Ticks between two looks at the memory: it is a system call.
MEMORY_TICKS = 2


class Watched(Protocol):
    """The properties of a scheduler that another thread watches (see :class:`pypes.runtime.scheduler.Scheduler`)."""

    @property
    def graph_name(self) -> str: ...
    @property
    def current(self) -> str: ...
    @property
    def progress(self) -> tuple[int, int]: ...
    def timeout_s(self, filter: str) -> float: ...
    def overdue(self) -> str: ...


class _Count:
    """A clock of the time that one scheduler spends on the same thing, in seconds that the process could use."""

    def __init__(self, scheduler: Watched) -> None:
        self.scheduler = scheduler
        self._at: tuple[str, tuple[int, int]] = ("", (0, 0))
        self._since_s = 0.0
        #: Time that a call which is overdue by the clock is still given, since the process could not run for so long.
        self._spare_s = 0.0

    def late(self, elapsed_s: float, missed_s: float) -> str:
        """The filter that takes too long, if there is one; ``missed_s`` is time that passed and does not count."""
        scheduler = self.scheduler
        at = (scheduler.current, scheduler.progress)
        if not at[0] or at != self._at:
            self._at, self._since_s = at, 0.0
        else:
            self._since_s += elapsed_s
            if self._since_s > scheduler.timeout_s(at[0]):
                return at[0]
        self._spare_s = min(self._spare_s + missed_s, MOST_SPARE_S)
        called = scheduler.overdue()
        if called and self._spare_s > 0:
            self._spare_s -= elapsed_s
            return ""
        return called


class Watchdog:
    """Watches ``schedulers``; :meth:`start` it once, in the process that it watches.

    ``max_memory_bytes`` is resident memory, 0 for no bound. ``end`` is called in the watchdog's thread, after the reason was
    recorded, and does not return.
    """

    def __init__(
        self,
        schedulers: Collection[Watched],
        record: CrashRecord,
        *,
        shortest_s: float,
        max_memory_bytes: int = 0,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[], None] = exit_now,
    ) -> None:
        self._record = record
        self._counts: list[_Count] = []
        self.watch(schedulers, shortest_s)
        self._max_memory_bytes = max_memory_bytes
        self._clock = clock
        self._end = end
        self._ticks = 0
        self._last = clock()
        self._stop = threading.Event()

    def watch(self, schedulers: Collection[Watched], shortest_s: float) -> None:
        """Watch these from now on, and no others."""
        known = {id(count.scheduler): count for count in self._counts}
        self._counts = [known.get(id(scheduler)) or _Count(scheduler) for scheduler in schedulers]
        self._shortest_s = shortest_s

    def start(self) -> None:
        self.tick()
        watched_thread(self._run, "watchdog")

    def stop(self) -> None:
        """End the thread soon; the process is not watched any more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            # no memory even for a tick: the one that takes it will soon have failed
            with suppress(MemoryError):
                self.tick()

    def tick(self) -> None:
        """Look once."""
        now = self._clock()
        elapsed_s, self._last = now - self._last, now
        missed_s = max(0.0, elapsed_s - MOST_S)
        elapsed_s -= missed_s
        self._ticks += 1
        self._record.tick(self._shortest_s)
        for count in self._counts:
            late = count.late(elapsed_s, missed_s)
            if late:
                self._give_up(overtime(count.scheduler.timeout_s(late)), count.scheduler.graph_name, late)
                return
        if self._max_memory_bytes and self._ticks % MEMORY_TICKS == 0 and resident_bytes() > self._max_memory_bytes:
            watched = (count.scheduler for count in self._counts)
            graph, by = next(((each.graph_name, current) for each in watched if (current := each.current)), ("", ""))
            self._give_up(over_memory(self._max_memory_bytes), graph, by)

    def _give_up(self, reason: str, graph: str, filter: str) -> None:
        self._record.end(reason, filter)
        # should the log be held by what hangs, the supervisor will see that this thread does not tick any more
        log.critical("instance ends", extra={"reason": reason, "graph": graph, "filter": filter, "stacks": _stacks()})
        self._end()


def _stacks() -> list[str]:
    """The stacks of the threads of this process, the innermost call first; threads that only wait for work are left out."""
    found = []
    for frame in sys._current_frames().values():
        calls = [f"{call.filename}:{call.lineno} {call.name}" for call in reversed(traceback.extract_stack(frame)[-STACK_CALLS:])]
        if not calls[0].endswith((" _stacks", " _worker", " wait")):
            found.append(" < ".join(calls))
    return found


class Stillness:
    """The supervisor's watch on an instance: the time for which it has not ticked while it could have."""

    def __init__(self, pid: int, record: CrashRecord, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid = pid
        self._record = record
        self._clock = clock
        self._ticks = 0
        self._still_s = 0.0
        self._last = clock()

    def look(self) -> str:
        """Once every :data:`TICK_S` or a few; returns why the process should be ended, which the record then says, or ``""``."""
        now = self._clock()
        elapsed_s, self._last = now - self._last, now
        recorded = self._record.read()
        if recorded.ticks != self._ticks or is_stopped(self._pid):
            self._ticks, self._still_s = recorded.ticks, 0.0
            return ""
        self._still_s += min(elapsed_s, MOST_S)
        if not recorded.ticks or self._still_s <= recorded.limit_s + MOST_S:
            return ""
        reason = overtime(recorded.limit_s)
        self._record.end(reason, recorded.filter)
        return reason


def overtime(timeout_s: float) -> str:
    """The cause of an end by the clock, in words."""
    return f"not done after {timeout_s:g} s"


def over_memory(max_bytes: int) -> str:
    """The cause of an end by memory, in words; 0: there was no bound but that of the machine."""
    return f"over {max_bytes // MIB} MiB of memory" if max_bytes else "over the memory that there was"


def is_stopped(pid: int) -> bool:
    """True if a process is stopped by a signal or a debugger, has ended, or nothing can be known about it (Linux only)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return sys.platform.startswith("linux")
    # the command, in parentheses, may hold anything
    return stat[stat.rindex(b")") + 2 :][:1] in b"TtZX"


def limit_memory(max_bytes: int) -> None:
    """Have the kernel refuse this process more than ``max_bytes`` of data, so that what asks for it gets a ``MemoryError``."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or max_bytes <= hard:
        with suppress(ValueError, OSError):  # not every system has this limit
            resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, hard))
