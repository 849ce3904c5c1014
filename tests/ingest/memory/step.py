"""A step of a queue in memory: an answer that takes as long as one over a network."""

from __future__ import annotations

import asyncio


async def step() -> None:
    """Let everything else in the loop go first, as an answer over a network would."""
    for _ in range(3):
        await asyncio.sleep(0)
