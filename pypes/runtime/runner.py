"""A runner: one graph within an instance, its scheduler and what waits for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

from pypes.component import Component
from pypes.core.limits import MIB, Limits
from pypes.graph.model import Graph
from pypes.runtime.intake import Intake, Waiting
from pypes.runtime.routing import Router
from pypes.runtime.scheduler import Epoch, Scheduler

#: Deliveries that wait together become one epoch of so much work at most, in seconds: nothing is acknowledged before its end.
EPOCH_S = 0.05
EPOCH_BYTES = 4 * MIB
#: While a large delivery runs, small ones are let in beside it this often.
BESIDE_LARGE_S = 0.02
#: A new measurement's weight in the running mean of the time that a document takes.
_WEIGHT = 0.2


class Runner:
    """Feeds deliveries of one graph into its scheduler, many small ones at a time."""

    def __init__(self, graph: Graph, version: int, components: Mapping[str, Component], limits: Limits) -> None:
        self.name = graph.name
        self.version = version
        self.waiting: deque[Waiting] = deque()
        self.scheduler = Scheduler(graph, components, limits=limits, on_done=self._done)
        self._router = Router(graph, components)
        self._limits = limits
        self._large_in_flight = 0
        self._let_in_at = 0.0
        #: Mean time in the scheduler per document, in seconds; what it waits for others does not count.
        self._document_s = 0.0
        self._busy_s = 0.0
        self._finished = 0

    @property
    def can_start(self) -> bool:
        """True if :meth:`start_next` would put something into the graph now."""
        if not self.waiting:
            return False
        if self.scheduler.is_idle:
            return True
        return self._large_in_flight > 0 and not self._is_large(self.waiting[0]) and self._is_time()

    @property
    def is_due(self) -> bool:
        """True if a deadline of the scheduler has come."""
        due = self.scheduler.next_deadline()
        return due is not None and due <= time.monotonic()

    def _is_time(self) -> bool:
        return time.monotonic() - self._let_in_at >= BESIDE_LARGE_S

    def _is_large(self, waiting: Waiting) -> bool:
        return bool(waiting.item.path) or waiting.documents > self._limits.wave_packets

    def start_next(self) -> None:
        """Put the next deliveries into the graph: as many small ones as make a good epoch, or a large one."""
        waiting = self.waiting
        first = waiting.popleft()
        self._let_in_at = time.monotonic()
        if self._is_large(first):
            self._large_in_flight += 1
            self._start([first])
            return
        room = self._limits.wave_packets
        if self._document_s * room > EPOCH_S:
            room = max(1, int(EPOCH_S / self._document_s))
        taken = [first]
        room -= first.documents
        room_bytes = EPOCH_BYTES - len(first.body)
        while waiting and room > 0 and room_bytes > 0 and not self._is_large(waiting[0]):
            following = waiting.popleft()
            taken.append(following)
            room -= following.documents
            room_bytes -= len(following.body)
        self._start(taken)

    def start_alone(self, waiting: Waiting) -> None:
        self._start([waiting])

    def _start(self, deliveries: list[Waiting]) -> None:
        intake = Intake(deliveries, self._router, self._limits)
        intake.epoch = self.scheduler.submit(intake.feed())

    def run(self) -> None:
        """Run for a slice of time."""
        begin = time.perf_counter()
        self.scheduler.run()
        self._busy_s += time.perf_counter() - begin
        if self._finished:
            pace = self._busy_s / self._finished
            self._document_s += _WEIGHT * (pace - self._document_s) if self._document_s else pace
            self._busy_s, self._finished = 0.0, 0

    def _done(self, epoch: Epoch) -> None:
        if not epoch.feed.deliveries:
            return  # a trigger
        intake: Intake = epoch.feed.deliveries[0]
        self._finished += intake.documents
        if len(intake.deliveries) == 1 and self._is_large(intake.deliveries[0]):
            self._large_in_flight -= 1
        intake.settle(self.name, self.version)
        intake.epoch = None  # or the two would keep each other alive until the next collection
