"""Cursors: how far sources have come, stored in one transaction with what they fetched."""

from __future__ import annotations

import asyncio
from typing import Protocol

from pypes.access.audit import Cause
from pypes.ingest.delivery import Header

#: Graph, filter, and how far it has fetched (JSON text).
Cursor = tuple[str, str, str]


class Cursors(Protocol):
    """The cursors of the sources whose graphs a shard owns."""

    def append(self, header: Header, body: bytes, *cursors: Cursor) -> asyncio.Future[str]:
        """As ``Intake.append``, for fetched documents: the cursors of the source are stored in the same transaction."""
        ...

    def move(self, *cursors: Cursor, cause: Cause | None = None) -> asyncio.Future[None]:
        """Store cursors alone, in one transaction; the future is done when they are durable. Raises :class:`StoreError`.

        With a ``cause`` this has a line in the audit log: somebody wants the sources of the graph to run.
        """
        ...

    async def of_filter(self, filter: str, graph: str | None = None) -> dict[str, str]:
        """Stored cursors of the filters of one name, by graph; of one ``graph``, or of all."""
        ...

    async def of_graph(self, graph: str) -> dict[str, str]:
        """Stored cursors of one graph, by filter."""
        ...
