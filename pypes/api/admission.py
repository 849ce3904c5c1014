"""Admission: large bodies are taken as fast as their graph works, not faster.

An ingest worker checks bodies sooner than filters run. What it takes beyond the work at hand lies in the queue, is put out of its
memory, and is read and inflated once more when its turn comes: a body that waits with its client costs nothing. So a large body
waits before it is read, for a second at most, and only while its graph moves: what rests, is paused or has no instance is for the
queue to keep. Small bodies never wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from pypes.ingest.contracts.leasing import Stream

#: Longest wait of one body, in seconds.
MAX_WAIT_S = 1.0
#: Seconds between two looks at a stream of which nothing is handed over: it may have been paused, or the worker may end.
LOOK_S = 0.05


class _Body:
    """A body of ``size`` bytes, as far as they are known and at least one, which waits no longer than ``until``.

    ``turn`` is done once it is in.
    """

    __slots__ = ("is_in", "size", "turn", "until")

    def __init__(self, size: int, until: float) -> None:
        self.size = size
        self.until = until
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_in = False


class Work(Protocol):
    """The work of instances, as an ingest worker knows it."""

    def is_ahead(self, stream: Stream, arriving: int) -> bool:
        """True if instances have enough to do of a stream, ``arriving`` bytes that were let in included."""

    def watch_hand_over(self, on_handed_over: Callable[[], None]) -> None:
        """Have a function called whenever deliveries may have been handed over."""


class Admission:
    """Lets bodies in, those of one stream in their order."""

    def __init__(self, work: Work, max_wait_s: float = MAX_WAIT_S) -> None:
        self._work = work
        self._max_wait_s = max_wait_s
        self._arriving: dict[Stream, int] = {}
        self._lines: dict[Stream, deque[_Body]] = {}
        #: One for all that wait: there may be as many as connections.
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, stream: Stream, size: int) -> AsyncIterator[None]:
        """Wait for the turn of a body; within the ``async with`` block it is received, checked and queued."""
        # one of no bytes, or of unknown size, is there as well
        body = _Body(max(size, 1), asyncio.get_running_loop().time() + self._max_wait_s)
        self._lines.setdefault(stream, deque()).append(body)
        self._look_at(stream)
        try:
            if not body.is_in:
                self._work.watch_hand_over(self.look)
                self._look_later()
                await body.turn
            yield
        finally:
            if body.is_in:
                self._arriving[stream] -= body.size
            else:
                self._lines[stream].remove(body)
            self._look_at(stream)

    def look(self) -> None:
        """Let in what may come."""
        for stream in tuple(self._lines):
            self._look_at(stream)

    def _look_later(self) -> None:
        if self._timer is None and self._lines:
            loop = asyncio.get_running_loop()
            first = min(line[0].until for line in self._lines.values())
            self._timer = loop.call_at(min(first, loop.time() + LOOK_S), self._look_again)

    def _look_again(self) -> None:
        """Let in who has waited long enough, and what may come although nobody was told."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        for stream, line in self._lines.items():
            while line and line[0].until <= now:
                self._let_in(stream, line.popleft())
        self.look()
        self._look_later()

    def _look_at(self, stream: Stream) -> None:
        line = self._lines.get(stream)
        while line and not self._work.is_ahead(stream, self._arriving.get(stream, 0)):
            self._let_in(stream, line.popleft())
        if not line:
            self._lines.pop(stream, None)
            if not self._arriving.get(stream, 1):
                del self._arriving[stream]

    def _let_in(self, stream: Stream, body: _Body) -> None:
        self._arriving[stream] = self._arriving.get(stream, 0) + body.size
        body.is_in = True
        if not body.turn.done():  # else its client has gone, and it is about to say so
            body.turn.set_result(None)
