"""Inline executor: runs work in the thread that submits it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from pypes.placement.executor import ExecutorClosed, Make, Outcome, Work, outcome_of


class InlineExecutor:
    """Runs each stride while it is submitted, for tests and for work that is not worth a process; see ``Executor``."""

    width = capacity = 1

    def __init__(self, make: Make) -> None:
        self._make = make
        self._work: Work | None = None

    def setup(self) -> None:
        work = self._make()
        work.setup()
        self._work = work

    def submit(self, items: Sequence[object]) -> Future[list[Outcome]]:
        if self._work is None:
            raise ExecutorClosed("the executor is closed")
        run = self._work.run
        future: Future[list[Outcome]] = Future()
        future.set_result([outcome_of(run, item) for item in items])
        return future

    def close(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.close()
