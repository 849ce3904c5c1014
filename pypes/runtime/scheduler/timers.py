"""Timers of the scheduler: times to come at which it has something to do."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class Timers:
    """Calls that are due at a time of the clock, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: The next one is first; empty if there is none.
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        #: Calls that may be taken back, with the time at which they are due, by key; there are few of them.
        self.alarms: dict[Any, tuple[float, Callable[[], object]]] = {}
        self._order = count()

    def __bool__(self) -> bool:
        return bool(self.heap or self.alarms)

    @property
    def next_s(self) -> float | None:
        """The time at which the next one is due, ``None`` if there is none."""
        next_s = self.heap[0][0] if self.heap else None
        for due_s, _ in self.alarms.values():
            if next_s is None or due_s < next_s:
                next_s = due_s
        return next_s

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (self._clock() + delay_s, next(self._order), call))

    def fire(self) -> None:
        """Make the calls that are due."""
        now = self._clock()
        while self.heap and self.heap[0][0] <= now:
            heapq.heappop(self.heap)[2]()
        if self.alarms:
            for key in [key for key, (due_s, _) in self.alarms.items() if due_s <= now]:
                self.alarms.pop(key)[1]()
