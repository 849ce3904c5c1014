"""Pools of a pipeline: threads or processes in which functions work on items, those of one filter or of several."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import Any

import cloudpickle

from pypes.core.limits import MIB
from pypes.core.origin import Origin
from pypes.core.pools import LEAST_MEMORY, MOST_PROCESSES, MOST_THREADS
from pypes.core.sizes import size_of
from pypes.errors import InvalidGraph
from pypes.pipeline.options import check_count, seconds, wrong
from pypes.placement.executor import Executor, ExecutorClosed, Outcome
from pypes.placement.pool_process import Bounds
from pypes.placement.process_executor import processes as process_executor
from pypes.placement.thread_executor import ThreadExecutor

#: Seconds for which closing waits for items that threads are in the midst of: who interrupts the program does not wait long.
CLOSING_S = 0.5

#: A function in bytes.
Carried = bytes


#: The seconds that a function took, and its result.
Timed = tuple[float, Any]


class FunctionWork:
    """Calls the function that comes with each value; a function is put together once by each worker."""

    #: Time within is not that of the item in hand.
    untimed: Callable[[], AbstractContextManager[object]] = nullcontext

    def __init__(self) -> None:
        self._known: dict[Carried, Callable[[Any], Any]] = {}

    def setup(self) -> None:
        """Nothing to get ready."""

    def run(self, item: tuple[Carried, Any]) -> Timed:
        carried, value = item
        function = self._known.get(carried)
        if function is None:
            with self.untimed():  # the modules that it imports are no fault of the item
                function = self._known[carried] = cloudpickle.loads(carried)
        begun = perf_counter()
        result = function(value)
        return perf_counter() - begun, result

    def close(self) -> None:
        """Let go of the functions."""
        self._known.clear()


class PlainWork:
    """Calls the function that comes with each value, where functions need not travel."""

    def setup(self) -> None:
        """Nothing to get ready."""

    def run(self, item: tuple[Callable[[Any], Any], Any]) -> Timed:
        function, value = item
        begun = perf_counter()
        result = function(value)
        return perf_counter() - begun, result

    def close(self) -> None:
        """Nothing to let go of."""


class Pool:
    """Workers that filters share: ``with Pool(processes=4) as pool: Pipeline(node(a, pool=pool), node(b, pool=pool))``.

    They are started when it is entered, or when the first pipeline that uses it is made; whoever started them ends them.
    ``timeout_s`` is for one item, ``memory`` the address space of a process.
    """

    def __init__(
        self,
        *,
        processes: int | None = None,
        threads: int | None = None,
        timeout_s: float | None = None,
        memory: int | str | None = None,
    ) -> None:
        if (processes is None) == (threads is None):
            raise InvalidGraph("a pool has threads= or processes=", code="pipeline.pool")
        name, count, most = ("threads", threads, MOST_THREADS) if processes is None else ("processes", processes, MOST_PROCESSES)
        check_count(name, count, "pipeline.pool", most=most)
        if timeout_s is not None and seconds(timeout_s) is None:
            raise wrong("timeout_s", "a number of seconds greater than zero", timeout_s, "pipeline.pool")
        self.processes, self.threads, self.timeout_s = processes or 0, threads or 0, timeout_s
        self.width = self.processes or self.threads
        try:
            self.memory = None if memory is None else int(size_of(str(memory)))
        except ValueError as error:
            raise InvalidGraph(f"memory {error}, not {memory!r}", code="pipeline.pool") from None
        if self.memory is not None and self.threads:
            raise InvalidGraph("memory is that of a process; threads have this one's: leave it out", code="pipeline.pool")
        if self.memory is not None and self.memory < LEAST_MEMORY:
            text = f"memory must be {LEAST_MEMORY // MIB} MiB or more, not {memory!r}: no process can be set up with less"
            raise InvalidGraph(text, code="pipeline.pool")
        self._executor: Executor | None = None
        #: Of the workers.
        self._origin = Origin()
        self._users = 0
        #: Held while workers are started or ended, and while something is submitted.
        self._starting, self._lock = threading.Lock(), threading.Lock()
        self._out = 0
        self._waiting: deque[tuple[list[Any], Future[list[Outcome]]]] = deque()

    @property
    def capacity(self) -> int:
        """Strides that one filter may have out."""
        return 2 * self.width

    def setup(self) -> None:
        """Start the workers, unless another user has; each user calls :meth:`close` once.

        Raises ``ComponentError`` (``pipeline.forked``) if that was in a process of which this one is a fork.
        """
        if self._executor is not None:
            self._origin.check("the pool")
        with self._starting:
            if self._executor is None:
                self._origin = Origin()
                executor = self._made()
                executor.setup()
                self._executor = executor
            self._users += 1

    def _made(self) -> Executor:
        if self.processes:
            return process_executor(FunctionWork, self.processes, Bounds(max_bytes=self.memory, timeout_s=self.timeout_s))
        return ThreadExecutor(PlainWork, self.threads, timeout_s=self.timeout_s, closing_s=CLOSING_S)

    def submit(self, function: Any, values: Sequence[Any]) -> Future[list[Outcome]]:
        """Have the workers call a function, as :meth:`carried` gives it, with each value; waits for room.

        Raises ``ExecutorClosed`` if the workers have been ended.
        """
        items = [(function, value) for value in values]
        with self._lock:
            executor = self._executor
            if executor is None:
                raise ExecutorClosed("the pool is closed")
            if self._waiting or self._out >= executor.capacity:
                future: Future[list[Outcome]] = Future()
                future.set_running_or_notify_cancel()
                self._waiting.append((items, future))
                return future
            future = executor.submit(items)  # in the lock: one thread submits at a time
            self._out += 1
        future.add_done_callback(self._ended)
        return future

    def carried(self, function: Callable[[Any], Any]) -> Any:
        """The function as it travels to the workers. Raises :class:`InvalidGraph` for one that cannot."""
        if not self.processes:
            return function
        try:
            return cloudpickle.dumps(function)
        except Exception as error:  # whatever the function refers to raises
            raise InvalidGraph(f"{function!r} cannot be sent to a process: {error}", code="pipeline.pool") from error

    def _submit_waiting(self) -> None:
        while True:
            with self._lock:
                executor = self._executor
                if executor is None or not self._waiting or self._out >= executor.capacity:
                    return
                items, future = self._waiting.popleft()
                try:
                    inner = executor.submit(items)
                except ExecutorClosed as error:
                    self._waiting.appendleft((items, future))
                    refusal = error
                    break
                self._out += 1
            inner.add_done_callback(partial(_pass_on, future))
            inner.add_done_callback(self._ended)
        self._refuse_waiting(refusal)

    def _refuse_waiting(self, error: ExecutorClosed) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            future.set_exception(error)

    def _ended(self, done: Future[list[Outcome]]) -> None:
        with self._lock:
            self._out -= 1
            if not self._waiting:
                return
        self._submit_waiting()

    def close(self) -> None:
        """End the workers, once nobody uses them any more. Does nothing in a fork of their process."""
        if not self._origin.is_here:
            return
        with self._starting:
            self._users = max(0, self._users - 1)
            if self._users or self._executor is None:
                return
            with self._lock:
                executor, self._executor = self._executor, None
            executor.close()
        self._refuse_waiting(ExecutorClosed("the pool was closed"))

    def __del__(self) -> None:
        # nobody can use the workers any more; ended beside, because this may be one of their own threads
        executor = getattr(self, "_executor", None)
        if executor is not None and self._origin.is_here and not sys.is_finalizing():
            threading.Thread(target=executor.close, name="pypes-pool-end", daemon=True).start()

    def __reduce__(self) -> Any:
        """A pool of the same kind, in the process that it is sent to."""
        return _pool_of, (self.processes, self.threads, self.timeout_s, self.memory)

    def __enter__(self) -> Pool:
        self.setup()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _pass_on(future: Future[list[Outcome]], done: Future[list[Outcome]]) -> None:
    error = done.exception()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(done.result())


def _pool_of(processes: int, threads: int, timeout_s: float | None, memory: int | None) -> Pool:
    return Pool(processes=processes or None, threads=threads or None, timeout_s=timeout_s, memory=memory)


class FunctionExecutor:
    """The workers of a pool, as one filter uses them; see ``Executor``."""

    def __init__(self, pool: Pool, function: Callable[[Any], Any]) -> None:
        self._pool = pool
        self._carried = pool.carried(function)
        self.width = pool.width
        self.capacity = pool.capacity
        self._is_user = False

    def setup(self) -> None:
        self._pool.setup()
        self._is_user = True

    def submit(self, items: Sequence[Any], listener: object = None, *, together: bool = False) -> Future[list[Outcome]]:
        """Have the function called with each of the items; the value of each outcome is :data:`Timed`."""
        return self._pool.submit(self._carried, items)

    def close(self) -> None:
        if self._is_user:  # also asked for where another filter could not be set up
            self._is_user = False
            self._pool.close()
