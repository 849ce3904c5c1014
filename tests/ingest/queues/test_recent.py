"""Documents of the last minute, by graph, out of totals that only rise."""

from __future__ import annotations

import asyncio

from pypes.ingest.accounts import Counts
from pypes.ingest.contracts.queue import RecentCounts
from pypes.ingest.queues import recent
from pypes.ingest.queues.recent import Recent


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time the test tells."""

    now_s = 1000.0

    def time(self) -> float:
        return self.now_s


def changes(*steps: dict[str, Counts]) -> list[dict[str, RecentCounts]]:
    """What is told after each step, ten seconds apart; a look comes after each."""
    loop = Clock()
    totals: dict[str, Counts] = {}

    async def told() -> list[dict[str, RecentCounts]]:
        seen = Recent(lambda: dict(totals))
        found = []
        for step in steps:
            totals.update(step)
            loop.now_s += recent.EVERY_S
            found.append(seen.changes(totals))
            seen.close()
            seen.look()
        seen.close()
        return found

    try:
        return loop.run_until_complete(told())
    finally:
        loop.close()


def test_changes_are_those_since_the_oldest_look() -> None:
    first, second = changes({"shop": Counts(10, 5, 0, 1)}, {"shop": Counts(30, 25, 2, 1), "mail": Counts(1)})
    assert first == {"shop": RecentCounts(10.0, 10, 5, 0, 1)}
    assert second == {"shop": RecentCounts(20.0, 30, 25, 2, 1), "mail": RecentCounts(20.0, 1, 0, 0, 0)}


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    *_, last = changes(*({"shop": Counts(accepted=number)} for number in range(1, 13)))
    assert last == {"shop": RecentCounts(70.0, 7, 0, 0, 0)}


def test_a_graph_that_begins_anew_does_not_count_backwards() -> None:
    assert changes({"shop": Counts(9)}, {"shop": Counts(2)})[1] == {"shop": RecentCounts(20.0, 2, 0, 0, 0)}


def test_nothing_is_known_at_first() -> None:
    async def told() -> dict[str, RecentCounts]:
        seen = Recent(dict)
        try:
            return seen.changes({"shop": Counts(1)})
        finally:
            seen.close()

    loop = Clock()
    try:
        assert loop.run_until_complete(told()) == {}
    finally:
        loop.close()
