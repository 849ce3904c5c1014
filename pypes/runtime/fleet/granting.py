"""The turn to change a graph: the member with the lowest number gives it, to one change of a graph at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from pypes.errors import Changed, Unavailable

#: Longest time for a turn, in seconds, and for a change of another graph to wait for it.
LONGEST_S = 300.0
WAIT_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class _Turn:
    name: str
    by: int
    id: str
    until: float


class Grants:
    """Gives the turn. A member that ``is_away`` has lost its own.

    One graph is changed at a time: members that prepare two changes in different order would wait for each other.
    """

    def __init__(self, is_away: Callable[[int], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._is_away = is_away
        self._clock = clock
        self._turn: _Turn | None = None

    async def grant(self, name: str, by: int, id: str) -> None:
        """Give the turn, or raise :class:`Changed` (``fleet.busy``) while somebody else changes the same graph."""
        deadline = self._clock() + WAIT_S
        while (turn := self._held()) is not None and turn.id != id:
            if turn.name == name:
                raise busy(name, f"node {turn.by} changes it at the moment")
            if self._clock() > deadline:
                raise Unavailable(f"node {turn.by} changes the graph {turn.name!r}; try again", code="fleet.busy", where=name)
            await asyncio.sleep(POLL_S)
        self._turn = _Turn(name, by, id, self._clock() + LONGEST_S)

    def release(self, id: str) -> None:
        """Take the turn back."""
        if self._turn is not None and self._turn.id == id:
            self._turn = None

    def _held(self) -> _Turn | None:
        turn = self._turn
        return None if turn is None or turn.until < self._clock() or self._is_away(turn.by) else turn


def busy(name: str, reason: str) -> Changed:
    """The error of a change that another one is in the way of."""
    return Changed(f"the graph is being changed through another node: {reason}; read it again", code="fleet.busy", where=name)
