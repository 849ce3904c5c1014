"""Cursors of a queue in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pypes.access.audit import Cause
from pypes.ingest.contracts.cursors import Cursor
from pypes.ingest.delivery import Header
from pypes.ingest.store.write_batch import RUN
from tests.ingest.memory.intake import MemoryIntake
from tests.ingest.memory.shelf import Shelf
from tests.ingest.memory.step import step


class MemoryCursors:
    def __init__(self, shelf: Shelf, intake: MemoryIntake) -> None:
        self._shelf = shelf
        self._intake = intake

    def append(self, header: Header, body: bytes, *cursors: Cursor) -> asyncio.Future[str]:
        receipt = self._intake.append(header, body)
        self._move(cursors)
        return receipt

    def move(self, *cursors: Cursor, cause: Cause | None = None) -> asyncio.Future[None]:
        self._move(cursors)
        if cause is not None:
            self._shelf.note(cause, RUN, graph=cursors[0][0])
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        return future

    def _move(self, cursors: Sequence[Cursor]) -> None:
        self._shelf.cursors |= {(graph, filter): cursor for graph, filter, cursor in cursors}

    async def of_filter(self, filter: str, graph: str | None = None) -> dict[str, str]:
        await step()
        return {g: cursor for (g, f), cursor in self._shelf.cursors.items() if f == filter and graph in (None, g)}

    async def of_graph(self, graph: str) -> dict[str, str]:
        await step()
        return {filter: cursor for (g, filter), cursor in self._shelf.cursors.items() if g == graph}
