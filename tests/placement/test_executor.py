"""Every executor shows the same behaviour."""

from __future__ import annotations

from pypes.placement.executor import Executor, Make
from pypes.placement.inline_executor import InlineExecutor
from pypes.placement.process_executor import processes
from pypes.placement.thread_executor import ThreadExecutor
from pypes.testing.executors import ExecutorSuite


class TestInline(ExecutorSuite):
    def make(self, make: Make, width: int) -> Executor:
        return InlineExecutor(make)


class TestThreads(ExecutorSuite):
    def make(self, make: Make, width: int) -> Executor:
        return ThreadExecutor(make, width, closing_s=0.05)


class TestProcesses(ExecutorSuite):
    def make(self, make: Make, width: int) -> Executor:
        return processes(make, width)
