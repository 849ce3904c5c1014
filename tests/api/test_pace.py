"""Bulk bodies take their turns while live documents come, and nobody waits otherwise."""

from __future__ import annotations

import asyncio
import time

from pypes.api.pace import LIVE_S, SHARE, Pace

TOOK_S = 0.01


def paced() -> Pace:
    """A pace that knows how long a bulk body takes."""
    pace = Pace()
    for _ in range(50):
        pace.leave(time.monotonic() - TOOK_S)
    return pace


def test_without_live_documents_nobody_waits() -> None:
    async def main() -> None:
        pace = paced()
        waiting = asyncio.ensure_future(pace.enter())
        await asyncio.sleep(0)
        assert waiting.done()

    asyncio.run(main())


def test_while_live_documents_come_bodies_go_one_after_the_other() -> None:
    async def main() -> None:
        pace = paced()
        start = pace.live_at = time.monotonic()
        began = await asyncio.gather(*(pace.enter() for _ in range(3)))
        # never sooner than their share allows; later is up to the machine
        assert began[2] - start >= 2.5 * SHARE * TOOK_S

    asyncio.run(main())


def test_soon_after_the_last_live_document_it_is_over() -> None:
    async def main() -> None:
        pace = paced()
        pace.live_at = time.monotonic() - LIVE_S
        waiting = asyncio.ensure_future(pace.enter())
        await asyncio.sleep(0)
        assert waiting.done()

    asyncio.run(main())
