"""Thread executor: runs work in threads, for work that waits or lets go of the interpreter's lock."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any

from pypes.core.interruptible import next_of
from pypes.core.origin import Origin
from pypes.core.watched import watched_thread
from pypes.errors import Reject
from pypes.placement.executor import ExecutorClosed, ExecutorFull, Listener, Make, Outcome, Runner, Work
from pypes.placement.pool_process import TIMEOUT

log = logging.getLogger(__name__)

#: Seconds that closing waits for items which threads are in the midst of. A thread cannot be killed: what takes longer is left
#: behind, and does not keep the program.
CLOSING_S = 1.0


class ItemStillRunning(Reject, TimeoutError):
    """The error of an item that took too long in a thread, which cannot be ended."""


class _Stride:
    """Items that were submitted together, the outcomes that there are, and the thread that works on them."""

    def __init__(self, items: Sequence[Any], listener: Listener | None, *, together: bool) -> None:
        self.items = items
        self.listener = listener
        self.together = together
        self.outcomes: list[Outcome] = []
        self.future: Future[list[Outcome]] = Future()


class _Seat:
    """The place of one thread: it is given up with what it works on, and then another one takes it."""

    def __init__(self, number: int) -> None:
        self.number = number
        #: The stride in hand, how many of its items were begun, and when the last of them was.
        self.stride: _Stride | None = None
        self.begun = 0
        self.begun_s = 0.0
        self.thread: threading.Thread | None = None


class ThreadExecutor:
    """Runs strides in ``width`` threads, each with work of its own; see ``Executor``.

    An item that takes longer than ``timeout_s`` has failed with ``TimeoutError``. Its thread cannot be ended: it is given up,
    another one takes its place, and it ends by itself after that item.
    """

    def __init__(
        self, make: Make, width: int, *, closing_s: float = CLOSING_S, folder: str = "", timeout_s: float | None = None
    ) -> None:
        """``folder`` is where files are made for what is sent."""
        self.width = width
        #: One stride waits for each thread.
        self.capacity = 2 * width
        self._make = make
        self._closing_s = closing_s
        self._folder = folder
        self._timeout_s = timeout_s
        self._strides: SimpleQueue[_Stride | None] = SimpleQueue()
        self._ready: SimpleQueue[BaseException | None] = SimpleQueue()
        self._seats: list[_Seat] = []
        self._watcher: threading.Thread | None = None
        self._lock = threading.Lock()
        #: Told when it is closed.
        self._change = threading.Condition(self._lock)
        #: Strides that are not done.
        self._open: set[_Stride] = set()
        self._is_closed = True
        self._origin = Origin()

    def setup(self) -> None:
        self._is_closed = False
        self._origin = Origin()
        # a thread that was left behind has the former ones
        self._strides, self._ready = SimpleQueue(), SimpleQueue()
        self._seats = [_Seat(number) for number in range(self.width)]
        for seat in self._seats:
            self._start(seat)
        failures = [failure for failure in [next_of(self._ready) for _ in self._seats] if failure is not None]
        if failures:
            self.close()
            raise failures[0]
        if self._timeout_s is not None:
            self._watcher = watched_thread(partial(self._watch, self._timeout_s), "pypes-pool-watch", self.close)

    def submit(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> Future[list[Outcome]]:
        self._origin.check("the executor")
        stride = _Stride(items, listener, together=together)
        with self._lock:
            if self._is_closed:
                raise ExecutorClosed("the executor is closed")
            if len(self._open) >= self.capacity:
                raise ExecutorFull(f"{self.capacity} strides are out")
            self._open.add(stride)
        self._strides.put(stride)
        return stride.future

    def close(self) -> None:
        if not self._origin.is_here:
            return
        with self._lock:
            self._is_closed = True
            left, self._open = self._open, set()
            seats, self._seats = self._seats, []
            self._change.notify()
        for stride in left:
            stride.future.set_exception(ExecutorClosed("the executor was closed"))
        for _ in seats:
            self._strides.put(None)
        until = time.monotonic() + self._closing_s  # for all of them: many may be stuck
        for thread in (*(seat.thread for seat in seats), self._watcher):
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    # -- one thread for each seat -------------------------------------------------------------------------

    def _start(self, seat: _Seat) -> None:
        name = f"pypes-pool-{seat.number}"
        seat.thread = threading.Thread(target=self._run, args=(seat, self._strides, self._ready), name=name, daemon=True)
        seat.thread.start()

    def _run(self, seat: _Seat, strides: SimpleQueue[_Stride | None], ready: SimpleQueue[BaseException | None]) -> None:
        """The life of one thread."""
        work: Work | None = None
        try:
            work = self._make()
            runner = Runner(work, self._folder)
            work.setup()
        except BaseException as error:
            ready.put(error)
            _close(work)
            return
        ready.put(None)
        while (stride := strides.get()) is not None:
            if not self._run_stride(seat, runner, stride):
                break
            del stride  # its items need not stay until there are others
        _close(work)

    def _run_stride(self, seat: _Seat, runner: Runner, stride: _Stride) -> bool:
        """Run the items that have no outcome; False if the thread was given up meanwhile."""
        me = threading.current_thread()
        outcomes = stride.outcomes

        def begin() -> bool:
            self._end_if_forked()
            with self._lock:
                if seat.thread is not me or stride not in self._open:
                    return False
                seat.stride, seat.begun, seat.begun_s = stride, len(outcomes) + 1, time.monotonic()
                return True

        if stride.together:
            begin()
        runner.run(stride.items, stride.listener, begin, together=stride.together, outcomes=outcomes)
        self._end_if_forked()
        with self._lock:
            if seat.thread is not me:
                return False
            seat.stride = None
            is_open = stride in self._open
            self._open.discard(stride)
        if is_open:
            stride.future.set_result(outcomes)
        return True

    def _end_if_forked(self) -> None:
        """End a process that the work has forked, and that has come back from the work: nobody submits anything there."""
        if not self._origin.is_here:
            os._exit(0)

    # -- items that take too long -------------------------------------------------------------------------

    def _watch(self, timeout_s: float) -> None:
        """Give up threads that are late, until the executor is closed."""
        with self._lock:
            while not self._is_closed:
                now = time.monotonic()
                late = [seat for seat in self._seats if seat.stride is not None and seat.begun_s + timeout_s <= now]
                done = [stride for seat in late if (stride := self._give_up(seat, timeout_s)) is not None]
                if done:
                    self._change.release()
                    try:
                        for stride in done:
                            stride.future.set_result(stride.outcomes)
                    finally:
                        self._change.acquire()
                    continue
                # an item that is begun from now on has more time than this
                until = min((seat.begun_s for seat in self._seats if seat.stride is not None), default=now) + timeout_s
                self._change.wait(max(0.0, until - now))

    def _give_up(self, seat: _Seat, timeout_s: float) -> _Stride | None:
        """Have another thread take the place of one that is late; returns the stride if that is done with it."""
        stride = seat.stride
        outcomes = [] if stride is None else [*stride.outcomes]  # once: its thread adds to them without a lock
        if stride is None or len(outcomes) >= seat.begun:  # its item is done by now
            seat.begun_s = time.monotonic()
            return None
        error = ItemStillRunning(f"not done after {timeout_s:g} s, and still running: a thread cannot be ended", TIMEOUT)
        seat.stride, seat.thread = None, None
        stride.outcomes = [*outcomes, Outcome(None, error)]  # the thread has the former list
        stride.together = False
        if stride.listener is not None:
            stride.listener.outcome(len(stride.outcomes) - 1, stride.outcomes[-1])
        self._start(seat)
        if len(stride.outcomes) < len(stride.items):
            self._strides.put(stride)
            return None
        self._open.discard(stride)
        return stride


def _close(work: Work | None) -> None:
    if work is not None:
        try:
            work.close()
        except BaseException:
            log.exception("closing the work of a pool failed")
