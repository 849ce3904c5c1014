"""The watchdog: what hangs is ended, what merely was not allowed to run is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pypes.runtime.instance.crash_record import CrashRecord
from pypes.runtime.instance.watchdog import MOST_S, Stillness, Watchdog, is_stopped
from pypes.testing.node import until
from tests.runtime.clock import Clock


class Scheduler:
    graph_name = "g"
    """One whose state the test sets."""

    current = ""
    progress = (0, 0)
    call_since: float | None = None

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def timeout_s(self, filter: str) -> float:
        return 5.0

    def overdue(self) -> str:
        return "call" if self.call_since is not None and self.clock() - self.call_since > 5.0 else ""


class Bench:
    def __init__(self, max_memory_bytes: int = 0) -> None:
        self.clock = Clock()
        self.scheduler = Scheduler(self.clock)
        self.record = CrashRecord()
        self.ends = 0
        self.dog = Watchdog(
            [self.scheduler],
            self.record,
            shortest_s=5.0,
            max_memory_bytes=max_memory_bytes,
            clock=self.clock,
            end=self.end,
        )

    def end(self) -> None:
        self.ends += 1

    def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.now += 0.1
            if not self.ends:
                self.dog.tick()


def test_a_filter_that_finishes_nothing_for_its_time_ends_the_process() -> None:
    bench = Bench()
    bench.scheduler.current = "pdf"
    bench.pass_s(4.9)
    assert bench.ends == 0
    bench.pass_s(0.5)
    assert bench.ends == 1
    assert (bench.record.read().reason, bench.record.read().ended_by) == ("not done after 5 s", "pdf")


def test_progress_and_rest_begin_the_count_anew() -> None:
    bench = Bench()
    for turn in range(4):
        bench.scheduler.current, bench.scheduler.progress = "pdf", (turn, 0)
        bench.pass_s(3)
    bench.scheduler.current = ""
    bench.pass_s(30)
    assert not bench.ends


def test_time_in_which_the_process_was_stopped_does_not_count() -> None:
    bench = Bench()
    bench.scheduler.current = "pdf"
    bench.pass_s(3)
    bench.clock.now += 3600
    bench.dog.tick()
    bench.pass_s(1)
    assert not bench.ends
    bench.pass_s(1.5)
    assert bench.ends


def test_a_call_in_a_thread_that_is_overdue_ends_the_process() -> None:
    bench = Bench()
    bench.scheduler.call_since = bench.clock()
    bench.pass_s(4.9)
    assert not bench.ends
    bench.pass_s(0.5)
    assert (bench.record.read().reason, bench.record.read().ended_by) == ("not done after 5 s", "call")


def test_a_call_gets_the_time_for_which_the_process_was_stopped() -> None:
    bench = Bench()
    bench.scheduler.call_since = bench.clock()
    bench.pass_s(1)
    bench.clock.now += 60
    bench.dog.tick()
    bench.pass_s(3)
    assert not bench.ends
    bench.pass_s(70)
    assert bench.ends


def test_too_much_memory_ends_the_process() -> None:
    bench = Bench(max_memory_bytes=1 << 20)
    bench.scheduler.current = "pdf"
    bench.pass_s(0.5)
    assert (bench.record.read().reason, bench.record.read().ended_by) == ("over 1 MiB of memory", "pdf")


def test_an_interpreter_that_does_not_tick_is_seen_from_outside() -> None:
    clock, record = Clock(), CrashRecord()
    stillness = Stillness(os.getpid(), record, clock)
    clock.now += 100
    assert not stillness.look(), "one that has never ticked is not watched yet"

    def watch(seconds: float) -> str:
        for _ in range(round(seconds * 4)):
            clock.now += 0.25
            if reason := stillness.look():
                return reason
        return ""

    record.tick(5.0)
    assert not watch(5.0)
    record.tick(5.0)
    clock.now += 3600  # the supervisor itself did not run
    assert not watch(4.5)
    assert watch(4 * MOST_S) == "not done after 5 s"
    assert record.read().reason == "not done after 5 s"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_stopped_process_is_known_as_one(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert not is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        until(lambda: is_stopped(process.pid), 5, "stopped")
        process.send_signal(signal.SIGCONT)
        until(lambda: not is_stopped(process.pid), 5, "running")
    finally:
        process.kill()
        process.wait()
    assert is_stopped(process.pid)
