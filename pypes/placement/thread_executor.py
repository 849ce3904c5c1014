"""Thread executor: runs work in threads, for work that waits or lets go of the interpreter's lock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from pypes.placement.executor import ExecutorClosed, ExecutorFull, Listener, Make, Outcome, Runner, Work

log = logging.getLogger(__name__)

#: Seconds that closing waits for items which threads are in the midst of. A thread cannot be killed: what takes longer is left
#: behind, and does not keep the program.
CLOSING_S = 1.0

_Stride = tuple[Sequence[Any], Listener | None, bool, "Future[list[Outcome]]"]


class ThreadExecutor:
    """Runs strides in ``width`` threads, each with work of its own; see ``Executor``."""

    def __init__(self, make: Make, width: int, *, closing_s: float = CLOSING_S, folder: str = "") -> None:
        """``folder`` is where files are made for what is sent."""
        self.width = width
        #: One stride waits for each thread.
        self.capacity = 2 * width
        self._make = make
        self._closing_s = closing_s
        self._folder = folder
        self._strides: SimpleQueue[_Stride | None] = SimpleQueue()
        self._ready: SimpleQueue[BaseException | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        #: Futures of strides that are not done.
        self._open: set[Future[list[Outcome]]] = set()
        self._is_closed = True

    def setup(self) -> None:
        self._is_closed = False
        self._strides = SimpleQueue()  # a thread that was left behind has the former one
        for number in range(self.width):
            thread = threading.Thread(target=self._run, args=(self._strides,), name=f"pypes-pool-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        failures = [failure for failure in [self._ready.get() for _ in self._threads] if failure is not None]
        if failures:
            self.close()
            raise failures[0]

    def submit(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> Future[list[Outcome]]:
        future: Future[list[Outcome]] = Future()
        with self._lock:
            if self._is_closed:
                raise ExecutorClosed("the executor is closed")
            if len(self._open) >= self.capacity:
                raise ExecutorFull(f"{self.capacity} strides are out")
            self._open.add(future)
        self._strides.put((items, listener, together, future))
        return future

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            left, self._open = self._open, set()
        for future in left:
            future.set_exception(ExecutorClosed("the executor was closed"))
        for _ in self._threads:
            self._strides.put(None)
        until = time.monotonic() + self._closing_s  # for all of them: many may be stuck
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._threads.clear()

    def _run(self, strides: SimpleQueue[_Stride | None]) -> None:
        """The life of one thread."""
        work: Work | None = None
        try:
            work = self._make()
            runner = Runner(work, self._folder)
            work.setup()
        except BaseException as error:
            self._ready.put(error)
            _close(work)
            return
        self._ready.put(None)
        while (stride := strides.get()) is not None:
            self._stride(runner, *stride)
        _close(work)

    def _stride(
        self,
        runner: Runner,
        items: Sequence[Any],
        listener: Listener | None,
        together: bool,
        future: Future[list[Outcome]],
    ) -> None:
        outcomes = runner.run(items, listener, lambda: future in self._open, together=together)
        with self._lock:
            is_open = future in self._open
            self._open.discard(future)
        if is_open:
            future.set_result(outcomes)


def _close(work: Work | None) -> None:
    if work is not None:
        try:
            work.close()
        except BaseException:
            log.exception("closing the work of a pool failed")
