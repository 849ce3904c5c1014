"""Recent: the documents of a shard within the last minute, by graph."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from pypes.ingest.accounts import NONE, Counts
from pypes.ingest.contracts.queue import RecentCounts

#: Seconds between two looks, and for which they are kept.
EVERY_S: Final = 10.0
WINDOW_S: Final = 60.0


class Recent:
    """Looks at ``totals()`` every now and then, in the event loop, until it is closed."""

    def __init__(self, totals: Callable[[], Mapping[str, Counts]]) -> None:
        self._totals = totals
        self._loop = asyncio.get_running_loop()
        self._looks: deque[tuple[float, Mapping[str, Counts]]] = deque()
        self.look()

    def look(self) -> None:
        """Look now, and again later."""
        now_s = self._loop.time()
        self._looks.append((now_s, self._totals()))
        while self._looks[0][0] < now_s - WINDOW_S - EVERY_S / 2:
            self._looks.popleft()
        self._timer = self._loop.call_later(EVERY_S, self.look)

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def changes(self, now: Mapping[str, Counts]) -> dict[str, RecentCounts]:
        """The changes of graphs, whose totals are these now; none at the very first."""
        at_s, before = self._looks[0]
        seconds = round(self._loop.time() - at_s, 3)
        if seconds <= 0:
            return {}
        return {
            # a graph that was taken down and came back counts anew
            graph: RecentCounts(seconds, *(max(0, new - old) for new, old in zip(c, before.get(graph, NONE), strict=True)))
            for graph, c in now.items()
        }
