"""Dead letters as events: what comes at a worker's shards, grouped, told to the supervisor once a second at most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import Unavailable
from pypes.ingest.outcome import DeadLetter
from pypes.runtime.contracts.events import EventCalls, FailedGroup

#: Seconds between two tellings; the first letter after a quiet time is told at once.
EVERY_S = 1.0
#: Groups that are told at once; the others are next.
GROUPS_AT_ONCE = 20
#: Groups that are kept apart; of a graph with more, the rest is one group.
MOST_GROUPS = 200
#: Characters of an error that are told.
ERROR_CHARS = 300


class Failures:
    """Counts dead letters by graph, filter and code until they are told."""

    def __init__(self, calls: EventCalls, tasks: WatchedTasks) -> None:
        self._calls = calls
        self._tasks = tasks
        self._groups: dict[tuple[str, str, str], FailedGroup] = {}
        self._is_telling = False

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Count dead letters of one delivery."""
        for letter in letters:
            key = letter.graph, letter.filter, letter.code
            if key not in self._groups and len(self._groups) >= MOST_GROUPS:
                key = letter.graph, "", ""
            known = self._groups.get(key)
            if known is None:
                known = FailedGroup(*key, 0, letter.id, letter.error[:ERROR_CHARS])
            self._groups[key] = msgspec.structs.replace(known, count=known.count + letter.failures)
        if letters and not self._is_telling:
            self._is_telling = True
            self._tasks.start(self._tell(), "telling of dead letters")

    async def _tell(self) -> None:
        try:
            # those of the same turn of the loop belong together
            await asyncio.sleep(0)
            while self._groups:
                told = list(self._groups)[:GROUPS_AT_ONCE]
                await self._calls.failed([self._groups.pop(key) for key in told])
                await asyncio.sleep(EVERY_S)
        except Unavailable:
            self._groups.clear()  # the supervisor ends, and this process with it
        finally:
            self._is_telling = False
