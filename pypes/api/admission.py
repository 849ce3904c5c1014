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
    """A body of ``size`` bytes, as far as they are known; ``turn`` is done once it was let in."""

    __slots__ = ("size", "turn")

    def __init__(self, size: int) -> None:
        self.size = size
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()


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

    @asynccontextmanager
    async def turn(self, stream: Stream, size: int) -> AsyncIterator[None]:
        """Wait for the turn of a body; within the ``async with`` block it is received, checked and queued."""
        body = _Body(size)
        self._lines.setdefault(stream, deque()).append(body)
        self._look_at(stream)
        try:
            if not body.turn.done():
                await self._wait(stream, body)
            yield
        finally:
            if body.turn.done():
                self._arriving[stream] -= size
            else:
                self._lines[stream].remove(body)
            self._look_at(stream)

    async def _wait(self, stream: Stream, body: _Body) -> None:
        self._work.watch_hand_over(self.look)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._max_wait_s
        while not body.turn.done() and loop.time() < until:
            await asyncio.wait([body.turn], timeout=LOOK_S)
            self._look_at(stream)
        if not body.turn.done():
            self._lines[stream].remove(body)
            self._let_in(stream, body)

    def look(self) -> None:
        """Let in what may come."""
        for stream in tuple(self._lines):
            self._look_at(stream)

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
        body.turn.set_result(None)
