"""The turn to change a graph."""

from __future__ import annotations

import asyncio

import pytest

from pypes.errors import Changed
from pypes.runtime.fleet.granting import LONGEST_S, Grants


def test_a_graph_is_changed_once_at_a_time() -> None:
    async def play() -> None:
        grants = Grants(lambda node: False)
        await grants.grant("g", 1, "first")
        await grants.grant("g", 1, "first")  # its answer was lost
        with pytest.raises(Changed, match="node 1 changes it"):
            await grants.grant("g", 2, "second")
        grants.release("second")  # not its own
        waiting = asyncio.create_task(grants.grant("h", 2, "third"))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        grants.release("first")
        await waiting
        await asyncio.wait_for(grants.grant("h", 2, "third"), 1)

    asyncio.run(play())


def test_the_turn_ends_with_its_holder() -> None:
    async def play() -> None:
        away: set[int] = set()
        now = [0.0]
        grants = Grants(away.__contains__, lambda: now[0])
        await grants.grant("g", 1, "first")
        away.add(1)
        await grants.grant("g", 2, "second")
        now[0] = LONGEST_S + 1
        await grants.grant("g", 3, "third")

    asyncio.run(play())
