"""Together: coroutines that run side by side and end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(*runs: Coroutine[Any, Any, bool]) -> list[bool]:
    """Run them side by side; when one raises, the others are cancelled, and through before that is passed on."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
