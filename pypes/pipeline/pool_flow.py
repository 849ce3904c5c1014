"""Pool flow: has the workers of a pool call one function, where that is all of a pipeline."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from time import perf_counter

from pypes.core.interruptible import next_of, next_within
from pypes.pipeline.filters import PooledFilter
from pypes.pipeline.flow import Lendable, Settling
from pypes.pipeline.results import Batch
from pypes.placement.executor import ExecutorClosed, Outcome
from pypes.runtime.one_thread import OneThread

#: A batch, when it was submitted, and its outcomes.
Ended = tuple[Batch, float, Future[list[Outcome]]]


class PoolFlow(Lendable):
    """Hands batches to the workers of a pool as they are: there is no graph in which something else could happen to them."""

    call = None

    def __init__(self, filter: PooledFilter, settling: Settling, *, most_open: int) -> None:
        super().__init__()
        self.stride = filter.most_together
        self._most_open = most_open
        self._filter = filter
        self._executor = filter.executor
        self._settling = settling
        self._waiting: deque[Batch] = deque()
        #: Batches that were submitted here, and those of them that the workers have.
        self._open = self._out = 0
        #: Filled by threads of the pool; ``None`` only ends a wait.
        self._ended: SimpleQueue[Ended | None] = SimpleQueue()
        self._is_woken = False
        self._use = OneThread()
        self._executor.setup()

    @property
    def has_room(self) -> bool:
        return self._open < self._most_open

    def submit(self, batch: Batch) -> None:
        with self._use.at_work():
            self._open += 1
            self._waiting.append(batch)
            self._send()

    def _send(self) -> None:
        """Give the workers what they have room for: what only waits can still be let go."""
        while self._waiting and self._out < self._executor.capacity:
            batch = self._waiting.popleft()
            if batch.is_cancelled:
                self._open -= 1
                continue
            try:
                future = self._executor.submit(batch.items)
            except ExecutorClosed as error:
                future = Future()
                future.set_exception(error)
            self._out += 1
            future.add_done_callback(partial(self._end, batch, perf_counter()))

    def _end(self, batch: Batch, begun: float, future: Future[list[Outcome]]) -> None:
        self._ended.put((batch, begun, future))

    def run(self) -> None:
        if self._ended.empty():  # PERF: asked after each batch that is submitted
            return
        with self._use.at_work():
            while not self._ended.empty():
                self._take(self._ended.get())

    def _take(self, ended: Ended | None) -> None:
        if ended is None:
            self._is_woken = True
            return
        batch, begun, future = ended
        self._open -= 1
        self._out -= 1
        self._send()
        if batch.is_cancelled:
            return
        try:
            outcomes = future.result()
        except ExecutorClosed as error:
            outcomes = [Outcome(None, error)] * batch.count
        step = self._filter.step
        step.items += batch.count
        positions = range(batch.first, batch.first + batch.count)
        made = step.sorted_out(positions, self._filter.results_of(batch.items, outcomes, begun))
        self._settling.settle(batch, step.noted(made, begun))

    def wait(self, timeout_s: float, *, is_last: bool) -> None:
        with self._use.at_work():
            # a wake-up may be found by `run`, before anybody waits
            if not self._is_woken:
                self._take(next_within(self._ended, timeout_s))
            self._is_woken = False

    def wake(self) -> None:
        self._ended.put(None)

    def drain(self) -> None:
        with self._use.at_work():
            while self._open:
                self._take(next_of(self._ended))

    def leave_thread(self) -> None:
        self._use.leave_thread()

    def close(self) -> None:
        self._use.check_idle()
        self._executor.close()
