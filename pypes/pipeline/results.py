"""Results: what comes out of a pipeline over the items of one run, as it comes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from typing import Any, Final, Protocol

from pypes.core.interruptible import LOOK_S
from pypes.errors import ComponentError
from pypes.pipeline.inflow import Inflow
from pypes.pipeline.options import check_wait
from pypes.pipeline.progress import Bar

#: In place of a result: there is none yet.
LATE: Final = object()
#: Time that a wave takes at least, where items are quick; see :func:`adapted`.
WAVE_S: Final = 0.001


def adapted(size: int, count: int, took_s: float, aim_s: float, most: int) -> int:
    """The number of items to be taken together, after ``count`` of at most ``size`` took some time: twice as many if that was
    less than ``aim_s``; if it was more than four times that, as many as would have taken ``aim_s``.

    It begins with one. So the first result comes when the first item is done, and the cost of what is done together is shared by
    many items where they are quick.
    """
    if took_s > 4 * aim_s:
        return max(1, int(count * aim_s / took_s))
    return min(2 * size, most) if took_s < aim_s else size


class Made(Protocol):
    """The results of a batch: a list, or what makes them as they are asked for."""

    def __iter__(self) -> Iterator[Any]:
        """Each of them."""

    def clear(self) -> None:
        """Let go of those that are left."""


class Batch:
    """Items that were taken together: ``count`` of them, from position ``first`` on."""

    __slots__ = ("count", "error", "first", "is_cancelled", "is_done", "items", "results", "run")

    def __init__(self, run: Pull, first: int, items: list[Any]) -> None:
        self.run = run
        self.first = first
        self.items = items
        self.count = len(items)
        self.results: Made = []
        #: The error that ends the run after these results.
        self.error: BaseException | None = None
        self.is_done = False
        self.is_cancelled = False


class Flow(Protocol):
    """The filters of a pipeline, as whoever wants results knows them."""

    #: Items that are submitted together; 0: as many as take a short time.
    stride: int
    #: The filters have been torn down.
    is_closed: bool = False

    #: The results of one item, given its position, at once; ``None`` where that may take longer.
    call: Callable[[Any, int], list[Any]] | None

    @property
    def has_room(self) -> bool:
        """True if a batch would not only wait."""

    def submit(self, batch: Batch) -> None:
        """Take a batch."""

    def run(self) -> None:
        """Do what can be done without waiting."""

    def wait(self, timeout_s: float, *, is_last: bool) -> None:
        """Wait until there is something to do; ``is_last``: nothing more comes before something is done."""

    def wake(self) -> None:
        """Have :meth:`wait` return; in any thread."""

    def drain(self) -> None:
        """Wait until nothing is under way."""

    def lend(self, thread: threading.Thread) -> None:
        """Have a thread alone use it, until that gives it back; waits until nothing is under way."""

    def give_back(self) -> None:
        """Let any thread use it again; called by the one that it was lent to. Waits until nothing is under way."""

    def check_free(self) -> None:
        """Raise ``ComponentError``: ``pipeline.busy`` in another thread than the one that it is lent to, ``pipeline.forked`` in a
        process that is a fork of its own.
        """

    def close(self) -> None:
        """End the filters."""


class Pull:
    """The work of one run: items are taken, and worked on, only while somebody asks for the next of its :meth:`parts`.

    It does not know who asks: whoever lets go of the results ends the run.
    """

    def __init__(
        self,
        flow: Flow,
        inflow: Inflow,
        *,
        buffer: int,
        ordered: bool,
        wave: int = 1,
        is_split: bool = False,
        is_counted: bool = False,
    ) -> None:
        """``wave`` is the number of items that are taken together at first; ``is_split``: each is one for each entry, by name.

        ``is_counted``: :attr:`failures` are of interest.
        """
        self._flow = flow
        self._inflow = inflow
        self._buffer = buffer
        self._is_ordered = ordered
        self._batches: deque[Batch] = deque()
        self._done: deque[Batch] = deque()
        #: Items that were taken, and those of them whose results were not.
        self._count = self._under_way = 0
        self._is_counted = is_counted
        #: Failures so far.
        self.failures = 0
        self._wave = wave
        self.is_split = is_split
        #: If it is wanted: first position and results of each batch, these with the output ports where they came out.
        self.by_port: list[tuple[int, list[tuple[str, Any]]]] | None = None
        #: Time until which the next result is waited for.
        self.deadline: float | None = None
        self._is_over = False
        #: The results that are given out one by one.
        self.current: Made = []

    @property
    def under_way(self) -> int:
        """Items that were taken and whose results were not."""
        return self._under_way

    @property
    def done(self) -> int:
        """Items whose results have come out."""
        return self._count - self._under_way

    def parts(self, owner: object) -> Generator[Iterable[Any], None, None]:
        """The results, some at a time, :data:`LATE` where there is none in time.

        ``owner``, the pipeline, lives as long as they do.
        """
        call = self._flow.call if self._buffer == 1 and not (self._flow.stride or self._is_counted) else None
        try:
            while True:
                if self._flow.is_closed:
                    raise closed()
                if call is not None:  # PERF: one at a time, without a batch
                    for item in self._inflow.each():
                        self._count += 1
                        self._under_way = 1
                        self.current = call(item, self._count - 1)
                        yield self.current
                        self._under_way = 0
                batch = self._next_batch()
                if batch is None:
                    if self._is_over and self._flow.is_closed:  # meanwhile: the results are not all there
                        raise closed()
                    if self._is_over:
                        return
                    yield (LATE,)
                    continue
                self.current = batch.results
                yield self.current
                self.current = batch.results = []
                self._under_way -= batch.count
                if batch.error is not None:
                    self.end()
                    self._flow.drain()
                    raise batch.error
        finally:
            self.end()

    def _next_batch(self) -> Batch | None:
        """The next batch that is done; ``None`` if there is none within the time, or none any more."""
        flow, inflow = self._flow, self._inflow
        flow.check_free()
        while True:
            if (batch := self._take_done()) is not None:
                return batch
            if self._is_over:  # the pipeline was closed
                return None
            begun = time.perf_counter()
            fed = self._feed()
            flow.run()
            if fed and not flow.stride:
                self._adapt(fed, time.perf_counter() - begun)
            if (batch := self._take_done()) is not None:
                return batch
            if not self._batches and inflow.is_over:
                self._is_over = True
                if inflow.error is not None:
                    raise inflow.error
                return None
            if fed:
                continue
            left = None if self.deadline is None else self.deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            if inflow.due is not None:
                until_due = max(0.0, inflow.due - time.monotonic())
                left = until_due if left is None else min(left, until_due)
            flow.wait(
                LOOK_S if left is None else min(left, LOOK_S),
                is_last=inflow.is_over or inflow.is_held or self._under_way >= self._buffer,
            )

    def _take_done(self) -> Batch | None:
        if not self._is_ordered:
            return self._done.popleft() if self._done else None
        if self._batches and self._batches[0].is_done:
            return self._batches.popleft()
        return None

    def _feed(self) -> int:
        """Take items, as many as there is room for and a wave has, and submit them. Returns their number."""
        room = self._buffer - self._under_way
        if room <= 0 or self._inflow.is_over or not self._flow.has_room:
            return 0
        most = self._flow.stride or self._wave
        items = self._inflow.take(min(room, most))
        if not items:
            return 0
        batch = Batch(self, self._count, items)
        self._count += len(items)
        self._under_way += len(items)
        self._batches.append(batch)
        self._flow.submit(batch)
        return batch.count

    def expect(self) -> Batch:
        """A batch without items that somebody else submits."""
        batch = Batch(self, self._count, [])
        self._batches.append(batch)
        return batch

    def _adapt(self, count: int, took_s: float) -> None:
        """Choose the size of the next wave by the time that the last one, of ``count`` items, took.

        One that is not done after that works elsewhere, and its items come out together: they are to be few.
        """
        if self._batches and not self._batches[-1].is_done:
            self._wave = max(1, self._wave // 2)
        else:
            self._wave = adapted(self._wave, count, took_s, WAVE_S, self._buffer)

    def batch_done(self, batch: Batch) -> None:
        """Called by the flow."""
        batch.is_done = True
        batch.items = []
        if not self._is_ordered and not batch.is_cancelled:
            self._batches.remove(batch)
            self._done.append(batch)

    def end(self) -> None:
        """Take no more items, and let go of those that wait. Does not wait for those that are worked on."""
        self._inflow.close()
        self._is_over = True
        for batch in self._batches:
            batch.is_cancelled = True
        self._batches.clear()
        self._done.clear()


class Results(Iterator[Any]):
    """The results of one run. Items are taken, and worked on, only while somebody asks for results.

    ``next(results)`` and ``for`` wait for the next one; :meth:`next` does so for a time. :meth:`close` ends the run, and so does
    letting go of it.
    """

    def __init__(self, pull: Pull, owner: object, bar: Bar | None = None) -> None:
        """``bar`` shows them; ``owner``, the pipeline, lives as long as they do."""
        self.pull = pull
        parts = pull.parts(owner)
        self._parts = parts if bar is None else bar.along(pull, parts)
        self._each = chain.from_iterable(self._parts)

    def __iter__(self) -> Iterator[Any]:
        return self._each  # PERF: each result of a part costs no call

    def __next__(self) -> Any:
        return next(self._each)

    def next(self, timeout_s: float | None = None) -> Any:
        """The next result. Raises ``TimeoutError`` if there is none in this time, and may be asked again; ``StopIteration``."""
        check_wait(timeout_s)
        self.pull.deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            result = next(self._each)
        finally:
            self.pull.deadline = None
        if result is LATE:
            raise TimeoutError(f"no result within {timeout_s} s")
        return result

    @property
    def under_way(self) -> int:
        """Items that were taken and whose results were not."""
        return self.pull.under_way

    def interrupt(self) -> None:
        """Have whoever waits for the next result come back without one, and wake the flow after; in any thread."""
        self.pull.deadline = 0.0

    def close(self) -> None:
        """End the run: no more items are taken, and those that wait are let go. Does not wait for those that are worked on."""
        self._parts.close()
        self.pull.current.clear()
        self.pull.end()


def closed() -> ComponentError:
    """The error of whoever asks a pipeline that is closed for results."""
    return ComponentError(
        "the pipeline is closed, and its workers have ended: ask for results within its with block", code="pipeline.closed"
    )
