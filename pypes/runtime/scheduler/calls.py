"""Blocking calls of components that run in threads beside the scheduler."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from select import select
from typing import Any, TypeVar

from pypes.core.interruptible import LOOK_S
from pypes.errors import Retry

T = TypeVar("T")

THREADS = 8
#: Wait before a call is tried again for which no thread could be started, and before its end is told without memory to do so.
THREAD_RETRY_S = 1.0
MEMORY_RETRY_S = 0.01


class Calls:
    """Blocking calls in threads; the scheduler's thread finds out about their end through a socket.

    ``threads``: calls that may run at once, :data:`THREADS` at least.
    """

    def __init__(self, clock: Callable[[], float], threads: int = THREADS) -> None:
        self._clock = clock
        self._threads = max(THREADS, threads)
        self._pool: ThreadPoolExecutor | None = None
        #: Keys of calls that have ended, see :meth:`ended`.
        self.done: deque[Any] = deque()
        #: Calls under way, and since when those are that have got a thread, by key.
        self.running = 0
        self.began: dict[Any, float] = {}
        # a pair of sockets rather than a pipe, because select() takes only sockets on Windows
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    @property
    def fd(self) -> int:
        """Readable when a call has ended."""
        return self._wake_in.fileno()

    @property
    def has_ended(self) -> bool:
        return bool(self.done)

    def start(self, key: Any, fn: Callable[..., T], args: Any, kwargs: Any) -> Future[T]:
        """Run ``fn`` in a thread; ``key``, one call's at a time, is among :meth:`ended` once it has ended.

        Raises :class:`Retry` if no thread can be had for it.
        """
        future: Future[T] = Future()
        future.add_done_callback(lambda _: self._end(key))
        # taken by who comes first: the thread that makes the call, or the news that there is none
        claim = threading.Lock()

        def call() -> None:
            if not claim.acquire(blocking=False):
                return
            self.began[key] = self._clock()
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="pypes-offload")
        self.running += 1
        try:
            self._pool.submit(call)
        except RuntimeError as error:
            # it is queued all the same, for a thread that there is already or that comes later
            if claim.acquire(blocking=False):
                self.running -= 1
                raise Retry(THREAD_RETRY_S, f"no thread can be started for a blocking call: {error}") from error
        return future

    def follow(self, key: Any, future: Future[Any], *, is_timed: bool) -> None:
        """Have ``key`` among :meth:`ended` once somebody else is done with a future, who has begun already.

        ``is_timed``: it counts as a call that has its thread, for whoever looks at calls that take long.
        """
        self.running += 1
        if is_timed:
            self.began[key] = self._clock()
        future.add_done_callback(lambda _: self._end(key))

    def _end(self, key: Any) -> None:
        # runs in the thread of the call
        self.began.pop(key, None)
        while True:
            try:
                self.done.append(key)
                break
            except MemoryError:
                # what is not said here is waited for until the filter's time is over; a neighbour has the memory just now
                time.sleep(MEMORY_RETRY_S)
        self.wake()

    def wake(self) -> None:
        """Have :meth:`wait` return; in any thread."""
        # a buffer full of wake-ups, or a scheduler that is gone: either way there is nothing more to say
        with suppress(OSError):
            self._wake_out.send(b"!")

    def ended(self) -> list[Any]:
        """The keys of the calls that have ended since it was last asked."""
        # empty when the call is entered already but has not yet sent its wake-up
        with suppress(BlockingIOError):
            self._wake_in.recv(4096)
        keys = [self.done.popleft() for _ in range(len(self.done))]
        self.running -= len(keys)
        return keys

    def wait(self, timeout_s: float | None) -> None:
        """Block until a call has ended, or somebody wakes it, or for ``timeout_s``, but no longer than :data:`LOOK_S`."""
        slice_s = LOOK_S if timeout_s is None else min(timeout_s, LOOK_S)
        if select([self._wake_in], [], [], slice_s)[0] and not self.done:
            with suppress(BlockingIOError):
                self._wake_in.recv(4096)  # of no call that has ended: else the next wait would not be one

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._wake_in.close()
        self._wake_out.close()
