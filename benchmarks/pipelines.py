"""Cost of pipelines in Python: against pools and threads of the standard library, nested calls, and queues between processes.

Both sides stay up; rounds are interleaved, each side begins in turn, and ratios are medians of the ratios of rounds. Ratios are
of seconds or, where all is done in this process, of its processor seconds, which others on the machine hardly change.
Functions that compute take a given processor time.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from benchmarks.pools import ARRAYS, WAITS, WIDTH, add_one, arrays, compute_1_ms, compute_50_ms, rounds, wait
from benchmarks.report import Line
from pypes.pipeline import Pipeline, node

ROUNDS = 7
TINY = 50_000
ONE_BY_ONE = 10_000
QUEUED = 5_000


def add(value: int) -> int:
    return value + 1


def double(value: int) -> int:
    return value * 2


def negative(value: int) -> int:
    return -value


def lines() -> Iterator[Line]:
    yield from _tiny_lines()
    yield from _queue_lines()
    yield from _computing_lines()
    yield from _array_lines()
    yield _wait_line()


# -- functions that take no time ------------------------------------------------------------------------------


def _tiny_lines() -> Iterator[Line]:
    items = [*range(TINY)]
    few = items[:ONE_BY_ONE]
    with Pipeline(add, double, negative) as waves, Pipeline(add, double, negative, buffer=1) as narrow:
        yield _tiny_line("in waves, of a list", items, waves.run, must=1.5, stretch=1.0)
        yield _tiny_line("in waves, of a generator", items, lambda each: waves.run(_each(each)), _each, must=1.5, stretch=1.0)
        yield _tiny_line("one by one, with `next`", few, lambda each: _asked(waves.run(each)), must=8.0, stretch=4.0)
        yield _tiny_line("one by one, with `push([item])`", few, lambda each: _pushed(waves, each), must=8.0, stretch=4.0)
        yield _tiny_line("one by one, with `buffer=1`", few, narrow.run, must=8.0, stretch=4.0)


def _tiny_line(
    claim: str,
    items: Sequence[int],
    run: Callable[[Sequence[int]], Iterable[int]],
    given: Callable[[Sequence[int]], Iterable[int]] = iter,
    *,
    must: float,
    stretch: float,
) -> Line:
    """``run`` is our side; ``given`` gives the items to nested calls as they are given to us."""
    found = []
    for number in range(ROUNDS + 1):
        # the side that is measured second finds caches warm
        sides = (_ours(run, items), _nested(given, items)) if number % 2 else (_nested(given, items), _ours(run, items))[::-1]
        if number:
            found.append(sides)
    our, their = (statistics.median(side) / len(items) * 1e6 for side in zip(*found, strict=True))
    return Line(
        f"pipelines: three tiny functions {claim}, against nested calls",
        f"processor {our:.2f} µs against {their:.2f} µs each",
        statistics.median(ours / theirs for ours, theirs in found),
        must=must,
        stretch=stretch,
    )


def _ours(run: Callable[[Sequence[int]], Iterable[int]], items: Sequence[int]) -> float:
    begun, count = time.process_time(), 0
    for _ in run(items):
        count += 1
    took = time.process_time() - begun
    assert count == len(items)
    return took


def _nested(given: Callable[[Sequence[int]], Iterable[int]], items: Sequence[int]) -> float:
    begun, count = time.process_time(), 0
    for item in given(items):
        negative(double(add(item)))
        count += 1
    took = time.process_time() - begun
    assert count == len(items)
    return took


def _each(items: Iterable[int]) -> Iterator[int]:
    yield from items


def _asked(results: Iterator[int]) -> Iterator[int]:
    with suppress(StopIteration):
        while True:
            yield next(results)


def _pushed(pipeline: Pipeline, items: Iterable[int]) -> Iterator[int]:
    for item in items:
        yield from pipeline.push([item])


# -- the form of PaPy and PipeFrame: a process for each function, and queues between them ---------------------


class Queued:
    """Processes that each call one function, with ``multiprocessing.Queue`` before, between and behind them."""

    def __init__(self, functions: Sequence[Callable[[Any], Any]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._queues = [context.Queue() for _ in range(len(functions) + 1)]
        ends = zip(functions, self._queues, self._queues[1:], strict=False)
        self._processes = [context.Process(target=_serve, args=each, daemon=True) for each in ends]
        for process in self._processes:
            process.start()

    def run(self, items: Sequence[Any]) -> Iterator[Any]:
        """The results; all items are put in first, as a thread of the queue sends them on."""
        for item in items:
            self._queues[0].put(item)
        for _ in items:
            yield self._queues[-1].get()

    def close(self) -> None:
        """End the processes."""
        self._queues[0].put(None)
        for process in self._processes:
            process.join()


def _serve(function: Callable[[Any], Any], given: Any, made: Any) -> None:
    while (value := given.get()) is not None:
        made.put(function(value))
    made.put(None)


def _queue_lines() -> Iterator[Line]:
    items = [*range(QUEUED)]
    queued = Queued((add, double, negative))
    try:
        with Pipeline(add, double, negative) as pipeline:
            found = rounds(lambda: pipeline.run(iter(items)), lambda: queued.run(items), QUEUED)
    finally:
        queued.close()
    claim = "three tiny functions, against a process for each and `multiprocessing.Queue` between them"
    yield _line(claim, found, QUEUED, must=10.0, stretch=50.0)


# -- functions that compute, arrays, and waiting --------------------------------------------------------------


def _computing_lines() -> Iterator[Line]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(WIDTH) as pool, ProcessPoolExecutor(WIDTH, mp_context=context) as executor:
        for claim, function, count, stride in (
            ("functions of 1 ms in two processes, in strides of 16", compute_1_ms, 512, 16),
            ("functions of 1 ms in two processes, one at a time", compute_1_ms, 512, 1),
            ("functions of 50 ms in two processes, in strides of 16", compute_50_ms, 32, 16),
            ("functions of 50 ms in two processes, one at a time", compute_50_ms, 20, 1),
        ):
            items = [*range(count)]
            with Pipeline(node(function, processes=WIDTH, stride=stride)) as pipeline:
                for name, theirs in (
                    ("multiprocessing.Pool.imap", lambda: pool.imap(function, items, stride)),  # noqa: B023
                    ("ProcessPoolExecutor.map", lambda: executor.map(function, items, chunksize=stride)),  # noqa: B023
                ):
                    found = rounds(lambda: pipeline.run(items), theirs, count)  # noqa: B023
                    yield _line(f"{claim}, against `{name}`", found, count, must=0.97, stretch=1.0)


def _array_lines() -> Iterator[Line]:
    items = arrays()
    with multiprocessing.get_context("spawn").Pool(WIDTH) as pool:
        for stride in (1, 4):
            with Pipeline(node(add_one, processes=WIDTH, stride=stride)) as pipeline:
                found = rounds(lambda: pipeline.run(items), lambda: pool.imap(add_one, items, stride), ARRAYS)  # noqa: B023
            claim = f"arrays of 1 MB to two processes and back, in strides of {stride}, against `multiprocessing.Pool.imap`"
            yield _line(claim, found, ARRAYS, must=2.0, stretch=4.0)


def _wait_line() -> Line:
    items = [*range(WAITS)]
    with Pipeline(node(wait, threads=WAITS)) as pipeline, ThreadPoolExecutor(WAITS) as pool:
        found = rounds(lambda: pipeline.run(items), lambda: pool.map(wait, items), WAITS)
    claim = f"{WAITS} waits of 50 ms in as many threads, against `ThreadPoolExecutor.map`"
    return _line(claim, found, WAITS, must=0.95, stretch=1.0)


def _line(claim: str, found: list[Sequence[float]], items: int, must: float, stretch: float) -> Line:
    our, their, our_time, their_time = (statistics.median(side) / items * 1e6 for side in zip(*found, strict=True))
    return Line(
        f"pipelines: {claim}",
        f"{1e6 / our:,.0f}/s against {1e6 / their:,.0f}/s; processor {our_time:,.0f} µs against {their_time:,.0f} µs each",
        statistics.median(theirs / ours for ours, theirs, _, _ in found),
        must=must,
        stretch=stretch,
        more_is_better=True,
    )
