"""Callbacks of a queue in memory."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from pypes.ingest.contracts.callbacks import Callback
from tests.ingest.memory.step import step


class MemoryCallbacks:
    def __init__(self) -> None:
        self.on_due: Callable[[], None] | None = None
        self._known: dict[str, Callback] = {}

    def add(self, callback: Callback) -> None:
        self._known[callback.receipt] = callback
        if self.on_due is not None:
            self.on_due()

    async def due(self, now: float, limit: int) -> list[Callback]:
        await step()
        return sorted((c for c in self._known.values() if c.due <= now), key=lambda c: c.due)[:limit]

    async def next_due(self) -> float | None:
        await step()
        return min((callback.due for callback in self._known.values()), default=None)

    def done(self, receipt: str) -> None:
        self._known.pop(receipt, None)

    def failed(self, receipt: str, due: float) -> None:
        if (callback := self._known.get(receipt)) is not None:
            self._known[receipt] = structs.replace(callback, due=due, attempts=callback.attempts + 1)
