"""Pace: bulk bodies are taken only as fast as live ones leave room in the ingest worker."""

from __future__ import annotations

import asyncio
import time

#: So long after a live document bulk is held back for the next, in seconds.
LIVE_S = 1.0
#: While live documents come, what is bulk gets one part in so many of the worker's time.
SHARE = 3.0
#: Longest wait that one bulk body adds, in seconds.
MAX_STEP_S = 0.1
#: A new measurement's weight in the running mean of the time that a bulk body takes.
_WEIGHT = 0.2


class Pace:
    """Lets bulk bodies in one after the other with room between while live documents come; without any, as they come."""

    def __init__(self) -> None:
        #: The time of the last live document, in seconds of the monotonic clock; set by whoever takes one.
        self.live_at = -LIVE_S
        self._next_at = 0.0
        self._took_s = 0.0

    async def enter(self) -> float:
        """Wait for a bulk body's turn; returns when it began, for :meth:`leave`."""
        now = time.monotonic()
        if now - self.live_at < LIVE_S:
            self._next_at = max(now, self._next_at) + min(SHARE * self._took_s, MAX_STEP_S)
            await asyncio.sleep(self._next_at - now)
            now = time.monotonic()
        return now

    def leave(self, began: float) -> None:
        """A bulk body has been checked and queued."""
        took_s = min(time.monotonic() - began, MAX_STEP_S)
        self._took_s += _WEIGHT * (took_s - self._took_s)
