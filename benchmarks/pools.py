"""What executors cost: against ``multiprocessing.Pool.imap`` and ``ThreadPoolExecutor.map`` with as many workers.

Both sides stay up; rounds are interleaved, each side begins in turn, and ratios are medians of the ratios of rounds. Functions
that compute take a given processor time, so that others on the machine slow both sides alike.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil

from benchmarks.load import Skipped
from benchmarks.report import Line
from pypes.placement.executor import Calling, Executor
from pypes.placement.in_order import in_order
from pypes.placement.process_executor import processes
from pypes.placement.thread_executor import ThreadExecutor

ROUNDS = 7
WIDTH = 2
ARRAYS = 100
WAITS, WAIT_S = 64, 0.05


def compute_1_ms(item: int) -> int:
    return _compute(item, 0.001)


def compute_50_ms(item: int) -> int:
    return _compute(item, 0.05)


def _compute(item: int, seconds: float) -> int:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return item


def add_one(array: Any) -> Any:
    return array + 1


def wait(item: int) -> int:
    time.sleep(WAIT_S)
    return item


def own_time() -> float:
    """Processor seconds of this process and its children."""
    return sum(sum(_times(process)) for process in (psutil.Process(), *psutil.Process().children(recursive=True)))


def _times(process: psutil.Process) -> tuple[float, float]:
    found = process.cpu_times()
    return found.user, found.system


def timed(run: Callable[[], Iterator[Any]], expected: int) -> tuple[float, float]:
    """Seconds, and processor seconds, until all results are there."""
    used, begin = own_time(), time.perf_counter()
    count = sum(1 for _ in run())
    took = time.perf_counter() - begin
    assert count == expected
    return took, own_time() - used


def rounds(ours: Callable[[], Iterator[Any]], theirs: Callable[[], Iterator[Any]], items: int) -> list[Sequence[float]]:
    """Our and their seconds, our and their processor seconds, of each round."""
    found: list[Sequence[float]] = []
    timed(ours, items), timed(theirs, items)
    for number in range(ROUNDS):
        if number % 2:
            their, our = timed(theirs, items), timed(ours, items)
        else:
            our, their = timed(ours, items), timed(theirs, items)
        found.append((our[0], their[0], our[1], their[1]))
    return found


def line(claim: str, found: list[Sequence[float]], items: int, must: float, stretch: float) -> Line:
    our, their, our_time, their_time = (statistics.median(side) for side in zip(*found, strict=True))
    return Line(
        f"pools: {claim}",
        f"{items / our:,.0f}/s against {items / their:,.0f}/s; processor {our_time / items * 1e3:.2f} ms "
        f"against {their_time / items * 1e3:.2f} ms each",
        statistics.median(theirs / ours for ours, theirs, _, _ in found),
        must=must,
        stretch=stretch,
        more_is_better=True,
    )


def against_pool(function: Callable[[Any], Any], items: Sequence[Any], stride: int) -> list[Sequence[float]]:
    executor = processes(Calling(function), WIDTH)
    executor.setup()
    with multiprocessing.get_context("spawn").Pool(WIDTH) as pool:
        try:
            return rounds(lambda: outcomes(executor, items, stride), lambda: pool.imap(function, items, stride), len(items))
        finally:
            executor.close()


def outcomes(executor: Executor, items: Sequence[Any], stride: int) -> Iterator[Any]:
    for outcome in in_order(executor, items, stride):
        assert outcome.error is None
        yield outcome.value


def lines() -> Iterator[Line]:
    for claim, function, count, stride in (
        ("functions of 1 ms in two processes, in strides of 16", compute_1_ms, 512, 16),
        ("functions of 1 ms in two processes, one at a time", compute_1_ms, 512, 1),
        ("functions of 50 ms in two processes, one at a time", compute_50_ms, 20, 1),
    ):
        found = against_pool(function, range(count), stride)
        yield line(f"{claim}, against `multiprocessing.Pool.imap`", found, count, must=0.95, stretch=1.0)
    yield from _array_lines()
    yield _wait_line()


def arrays() -> list[Any]:
    """Arrays of 1 MB. Raises :class:`Skipped`."""
    # one thread each, or the linear algebra of numpy starts as many as there are cores
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        import numpy
    except ImportError:
        raise Skipped("numpy is not installed") from None
    return [numpy.full(1 << 17, float(number)) for number in range(ARRAYS)]


def _array_lines() -> Iterator[Line]:
    items = arrays()
    for stride in (1, 4):
        found = against_pool(add_one, items, stride)
        claim = f"arrays of 1 MB to two processes and back, in strides of {stride}, against `multiprocessing.Pool.imap`"
        yield line(claim, found, ARRAYS, must=2.0, stretch=4.0)


def _wait_line() -> Line:
    executor = ThreadExecutor(Calling(wait), WAITS)
    executor.setup()
    with ThreadPoolExecutor(WAITS) as pool:
        try:
            found = rounds(lambda: outcomes(executor, range(WAITS), 1), lambda: pool.map(wait, range(WAITS)), WAITS)
        finally:
            executor.close()
    return line(
        f"{WAITS} waits of 50 ms in as many threads, against `ThreadPoolExecutor.map`", found, WAITS, must=0.95, stretch=1.0
    )
