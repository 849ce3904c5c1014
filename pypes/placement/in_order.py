"""Runs an executor over any number of items, with results in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, wait
from itertools import islice
from queue import SimpleQueue
from typing import Any

from pypes.core.interruptible import interruptible, next_of
from pypes.placement.executor import Executor, Outcome

#: Strides that may be done and wait for one before them, for each that may be out: pool workers go on while one item takes long.
AHEAD = 4


def in_order(executor: Executor, items: Iterable[Any], stride: int = 1) -> Generator[Outcome, None, None]:
    """The outcomes of ``items``, in their order; the executor is set up already, and stays.

    Items are taken in strides of ``stride``, and only as far ahead as the executor has room: whoever stops asking for outcomes
    stops the taking of items, too. Blocks as long as the next outcome takes. Closed early, it blocks until all strides that are
    out are done, so that the executor has room again.
    """
    each = iter(items)
    taken: deque[Future[list[Outcome]]] = deque()
    ended: SimpleQueue[object] = SimpleQueue()
    out = 0
    is_more = True
    try:
        while is_more or taken:
            while is_more and out < executor.capacity and len(taken) < AHEAD * executor.capacity:
                part = list(islice(each, stride))
                is_more = len(part) == stride
                if part:
                    future = executor.submit(part)
                    out += 1
                    taken.append(future)
                    future.add_done_callback(ended.put)
                    if taken[0].done():
                        break  # inline: it is asked for before the next stride is run
            if not taken:
                return
            if taken[0].done():
                yield from taken.popleft().result()
            else:
                next_of(ended)
                out -= 1
            while not ended.empty():
                ended.get()
                out -= 1
    except GeneratorExit:
        interruptible(lambda slice_s: not wait(taken, slice_s).not_done)
        raise
