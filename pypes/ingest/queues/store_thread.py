"""A thread that does one blocking thing after another for an event loop."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from typing import Any

from pypes.core.watched import watched_thread

Job = tuple[Callable[[], Any], Callable[[Any, BaseException | None], None]]


class StoreThread:
    """Runs jobs in order in its own thread. Leaner than an executor: one hand-over each way per job."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        # nothing is appended any more without it
        self._thread = watched_thread(self._run, name)

    def submit(self, job: Callable[[], Any], on_done: Callable[[Any, BaseException | None], None]) -> None:
        """Run ``job`` in the thread, then ``on_done(result, error)`` in the event loop."""
        self._jobs.put((job, on_done))

    def call(self, job: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run ``job`` in the thread; the future gives what it returns or raises."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():  # whoever waited was cancelled
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.submit(job, settle)
        return future

    def stop(self, *, wait: bool = True) -> None:
        """End the thread after the jobs submitted so far; blocks until then, unless told not to ``wait``."""
        self._jobs.put(None)
        if wait:
            self._thread.join()

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, on_done = item
            try:
                result, error = job(), None
            except BaseException as caught:
                result, error = None, caught
            try:
                self._loop.call_soon_threadsafe(on_done, result, error)
            except RuntimeError:  # the loop was closed without closing the queue: no one is left to be told
                return
            del item, job, on_done, result, error  # an idle thread must not keep the last body alive
