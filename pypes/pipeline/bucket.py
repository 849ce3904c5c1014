"""Bucket: records that somebody puts, from any thread, and a pipeline takes."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from pypes.core.interruptible import interruptible
from pypes.core.origin import Origin
from pypes.errors import ComponentError
from pypes.pipeline.inflow import Inflow
from pypes.pipeline.options import check_wait


class BucketClosed(ComponentError):
    """Raised by ``put``: nothing is taken any more, since the run has ended (``pipeline.bucket_closed``, ``pipeline.dried``)."""

    code = "pipeline.bucket_closed"


class Bucket(Inflow):
    """Records on their way into a pipeline; :meth:`put` waits while as many as the pipeline's buffer are in it and under way.

    ``idle_s``: whoever takes finds nothing for so many seconds: then the stream has dried, and nothing comes any more.
    ``is_batch``: nothing is taken before all was put, and so ``put`` does not wait.
    """

    def __init__(self, wake: Callable[[], None], buffer: int, *, idle_s: float | None = None, is_batch: bool = False) -> None:
        self._wake = wake
        self._buffer = buffer
        self._idle_s = idle_s
        self._is_batch = is_batch
        self._records: deque[Any] = deque()
        self._change = threading.Condition()
        self._origin = Origin()
        #: Items that were taken and whose results have not come out.
        self.under_way: Callable[[], int] = int
        self._taker = 0
        self._putting = 0
        self._is_awaited = self._has_ended = False
        self._closed: BucketClosed | None = None
        self.is_over = False
        self.error: BaseException | None = None
        self.due: float | None = None

    def put(self, record: Any, timeout_s: float | None = None) -> None:
        """Put a record in. Blocks while the buffer is full; may be called in any thread.

        Raises :class:`BucketClosed`, ``TimeoutError`` if there was no room for ``timeout_s``, and ``ComponentError``
        (``pipeline.busy``) instead of waiting for room in the very thread that would have to make it, or (``pipeline.forked``) in
        a process that is a fork of the one where it was made.
        """
        self._origin.check("the bucket")
        if timeout_s is not None:
            check_wait(timeout_s)
        with self._change:
            if self._is_full and self._closed is None:
                self._await_room(timeout_s)
            if self._closed is not None:
                raise BucketClosed(self._closed.message, code=self._closed.code)
            if self._has_ended:
                raise BucketClosed("the bucket takes no more records: its block was left, or its feed has returned")
            self._records.append(record)
            self.due = None
            is_awaited, self._is_awaited = self._is_awaited, False
        if is_awaited and not self._is_batch:
            self._wake()

    @property
    def is_closed(self) -> bool:
        """The run that takes from it has ended."""
        return self._closed is not None

    @property
    def _is_full(self) -> bool:
        return not self._is_batch and len(self._records) + self.under_way() >= self._buffer

    def _await_room(self, timeout_s: float | None) -> None:
        if threading.get_ident() == self._taker:
            raise ComponentError(
                f"the buffer of {self._buffer} is full, and the thread that puts is the one that takes from it: "
                "put in another thread, or give the pipeline a larger buffer",
                code="pipeline.busy",
            )
        self._putting += 1
        try:
            may_go_on = partial(self._change.wait_for, lambda: self._closed is not None or not self._is_full)
            if not interruptible(may_go_on, timeout_s):
                raise TimeoutError(f"the bucket had no room within {timeout_s} s")
        finally:
            self._putting -= 1

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes; after what is there, ``error`` ends the run."""
        with self._change:
            self._has_ended = True
            self.error = error if self._closed is None else None
        self._wake()

    # -- whoever takes ------------------------------------------------------------------------------------

    def take(self, count: int) -> list[Any]:
        with self._change:
            self._taker = threading.get_ident()
            records = self._records
            is_ready = self._has_ended or not self._is_batch
            found = [records.popleft() for _ in range(min(count, len(records)))] if is_ready else []
            self._is_awaited = not found
            if found or self._has_ended or self._putting:
                self.due = None
            elif self._idle_s is not None and not self._is_batch:
                self._look_at_the_time(self._idle_s)
            self.is_over = (self._has_ended or self._closed is not None) and not records
            self._change.notify_all()  # there may be room
        return found

    def _look_at_the_time(self, idle_s: float) -> None:
        now = time.monotonic()
        if self.due is None:
            self.due = now + idle_s
        elif now >= self.due:
            message = f"the stream brought nothing for {idle_s:g} s: it has dried, and the run has ended"
            logging.getLogger(__name__).warning(message)
            self._closed = BucketClosed(message, code="pipeline.dried")

    def close(self) -> None:
        """Take nothing more; whoever puts is told."""
        with self._change:
            self.is_over = True
            self.due = None
            self._closed = self._closed or BucketClosed("the run that takes from the bucket has ended")
            self._records.clear()
            self._change.notify_all()


class Fed(Bucket):
    """A bucket that a function fills in a thread of its own, which is started when somebody wants to take."""

    def __init__(
        self, feed: Callable[[Bucket], object], wake: Callable[[], None], buffer: int, *, idle_s: float | None, is_batch: bool
    ) -> None:
        super().__init__(wake, buffer, idle_s=idle_s, is_batch=is_batch)
        self._feed = feed
        self._thread: threading.Thread | None = None

    def take(self, count: int) -> list[Any]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._fill, name="pypes-feed", daemon=True)
            self._thread.start()
        return super().take(count)

    def _fill(self) -> None:
        """The life of the thread."""
        error: BaseException | None = None
        try:
            self._feed(self)
        except BaseException as raised:
            error = raised
        if self.is_closed and error is not None and not isinstance(error, BucketClosed):
            logging.getLogger(__name__).error("the feed raised after its run had ended", exc_info=error)
        self.end(error)
