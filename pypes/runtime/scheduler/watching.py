"""Watching: what others may ask of a scheduler while it runs, also from another thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.graph.model import Graph
from pypes.runtime.scheduler.breaker import Breakers
from pypes.runtime.scheduler.epoch import Epoch, Roster
from pypes.runtime.scheduler.standstill import Standstill
from pypes.runtime.scheduler.tasklet import Tasklet
from pypes.runtime.scheduler.waiting import Calls, Timers


class Watched:
    """The part of a scheduler that is read, never called upon to change anything."""

    clock: Callable[[], float]
    limits: Limits
    graph: Graph
    components: Mapping[str, Component]
    roster: Roster
    resting: Breakers
    #: Turns begun, and whose it is now; see `current` and `progress`.
    turns: int
    running: Tasklet | None
    #: What is in flight, as it was fed.
    epochs: set[Epoch]
    timers: Timers
    standstill: Standstill
    _calls: Calls

    @property
    def in_flight(self) -> int:
        """Number of epochs that are not done."""
        return len(self.epochs)

    @property
    def is_idle(self) -> bool:
        """True if ``run`` would find nothing to do now."""
        raise NotImplementedError

    @property
    def awaits_something(self) -> bool:
        """True while something may still happen by itself: a call under way, a time to come."""
        return bool(self._calls.running or self.timers)

    @property
    def stands_still(self) -> bool:
        """True if something is in flight and nothing but new input would ever have ``run`` do anything: a bug of our own."""
        return self.in_flight > 0 and self.is_idle and not self.awaits_something

    @property
    def is_resting(self) -> bool:
        """True if all that is in flight waits until a filter that rests is tried again."""
        if not self.in_flight or not self.resting.open or self._calls.running or not self.is_idle:
            return False
        return any(breaker.until is not None for breaker in self.resting.open.values())

    @property
    def wakeup_fd(self) -> int:
        """Readable when an offloaded call has finished; call :meth:`run` then."""
        return self._calls.fd

    def next_deadline(self) -> float | None:
        """Clock time at which ``run`` has something to do again without new input, ``None`` if never."""
        return self.timers.next_s

    def runs_at(self) -> float | None:
        """Clock time at which ``run`` should be called without new input: the next deadline, or a look at what stands still."""
        due = self.timers.next_s
        if not self.in_flight:
            return due
        look_at = self.standstill.look_at
        return look_at if due is None or look_at < due else due

    @property
    def publishers(self) -> tuple[str, ...]:
        return self.roster.publishers

    @property
    def current(self) -> str:
        """The filter whose code runs now, empty if there is none; what is offloaded does not count."""
        running = self.running
        return "" if running is None else running.name

    @property
    def progress(self) -> tuple[int, int]:
        """Changes whenever a turn is begun, or a packet within one is finished."""
        running = self.running
        return self.turns, 0 if running is None else running.position()

    def timeout_s(self, filter: str) -> float:
        """Longest work of a filter on one packet (or batch), in seconds. Raises ``KeyError`` for an unknown name."""
        own = self.graph.nodes[filter].timeout_s
        if own is None:
            own = self.components[filter].timeout_s
        return self.limits.filter_s if own is None else own

    def overdue(self) -> str:
        """A filter whose offloaded call takes longer than its timeout, empty if there is none."""
        now = self.clock()
        for task, began in list(self._calls.began.items()):
            if now - began > self.timeout_s(task.name):
                return str(task.name)
        return ""

    @property
    def breakers(self) -> dict[str, dict[str, Any]]:
        """Publishers whose destination cannot be reached: ``state``, ``since`` (seconds since the epoch), ``reason``, ``next_s``.

        ``state`` is ``open`` while the publisher rests (``next_s`` seconds more) and ``trying`` when its next turn will tell.
        """
        return self.resting.states()
