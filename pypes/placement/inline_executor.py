"""Inline executor: runs work in the thread that submits it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from pypes.placement.executor import ExecutorClosed, Listener, Make, Outcome, Runner, Work


class InlineExecutor:
    """Runs each stride while it is submitted, for tests and for work that is not worth a process; see ``Executor``."""

    width = capacity = 1

    def __init__(self, make: Make) -> None:
        self._make = make
        self._work: Work | None = None
        self._runner: Runner

    def setup(self) -> None:
        work = self._make()
        self._runner = Runner(work)
        try:
            work.setup()
        except BaseException:
            work.close()
            raise
        self._work = work

    def submit(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> Future[list[Outcome]]:
        if self._work is None:
            raise ExecutorClosed("the executor is closed")
        future: Future[list[Outcome]] = Future()
        future.set_result(self._runner.run(items, listener, together=together))
        return future

    def close(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.close()
