"""Every executor shows the same behaviour."""

from __future__ import annotations

import threading
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from pypes.placement.executor import Executor, ExecutorClosed, ExecutorFull, Make
from pypes.placement.inline_executor import InlineExecutor
from pypes.placement.process_executor import processes
from pypes.placement.thread_executor import ThreadExecutor
from pypes.testing.executors import PATIENCE_S, ExecutorSuite
from pypes.testing.node import until
from tests.placement.engine import EngineExecutor


@pytest.fixture(autouse=True, scope="module")
def _tracker() -> None:
    """A process that :mod:`multiprocessing` starts once, and keeps."""
    resource_tracker.ensure_running()


class TestInline(ExecutorSuite):
    def make(self, make: Make, width: int) -> Executor:
        return InlineExecutor(make)


class TestThreads(ExecutorSuite):
    def make(self, make: Make, width: int) -> Executor:
        return ThreadExecutor(make, width, closing_s=0.05)


class TestProcesses(ExecutorSuite):
    def make(self, make: Make, width: int) -> Executor:
        return processes(make, width)


class TestEngine(ExecutorSuite):
    """An engine that is not ours, as one for many machines would be; it cannot end an item in its midst."""

    def make(self, make: Make, width: int) -> Executor:
        return EngineExecutor(make, width)

    def let_go_after_closing(self, executor: Executor, go: Path) -> None:
        closing = threading.Thread(target=executor.close)
        closing.start()
        until(lambda: _is_closed(executor), PATIENCE_S, "what is out has ended here")
        go.touch()
        closing.join()


def _is_closed(executor: Executor) -> bool:
    try:
        executor.submit([])
    except ExecutorFull:
        return False
    except ExecutorClosed:
        return True
    raise AssertionError("it has room for more strides")
