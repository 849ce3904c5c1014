"""The audit log of a queue in memory."""

from __future__ import annotations

from pypes.access.audit import AuditQuery, Entry, Kept
from tests.ingest.memory.shelf import Shelf
from tests.ingest.memory.step import step


class MemoryAudit:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def lines(self, query: AuditQuery, limit: int = 100) -> list[Entry]:
        await step()
        return self._shelf.trail.page(self._shelf.lines, query, limit)

    async def kept(self) -> Kept:
        await step()
        return self._shelf.trail.kept(self._shelf.lines)
