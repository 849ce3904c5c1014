"""Delay of an event loop: how late a timer is, which is how long the loop was busy with something else."""

from __future__ import annotations

import asyncio
from typing import Final

from pypes.observe.metrics import LOOP_DELAY
from pypes.observe.tallies import Tallies

EVERY_S: Final = 1.0


async def observe_delay(tallies: Tallies, process: str) -> None:
    """Count how late a timer is, each second until cancelled; ``process`` is the label."""
    delays = tallies.histogram(LOOP_DELAY, process)
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY_S
        await asyncio.sleep(EVERY_S)
        # a timer may ring a little early
        delays.observe(max(0.0, loop.time() - due))
