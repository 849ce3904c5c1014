"""The audit log of a node: lines of the supervisor and of all shards, in one list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pypes.access.audit import AuditQuery, Cause, Entry, Kept
from pypes.runtime.contracts.control import AuditCalls
from pypes.runtime.worker.peers import Peers


class AuditLog:
    """Asks for lines where they are. Raises :class:`Unavailable`, and then nothing: a list must not lack what one of them has."""

    def __init__(self, peers: Peers, control: Callable[[], AuditCalls]) -> None:
        self._peers = peers
        self._control = control

    async def lines(self, query: AuditQuery, limit: int) -> list[Entry]:
        """Up to ``limit`` lines that match, in the order that the query asks for."""
        asked = [self._control().lines(query, limit), *(owner.lines(query, limit) for owner in self._peers.every())]
        found = await asyncio.gather(*asked)
        merged = sorted((entry for part in found for entry in part), key=lambda entry: entry.place, reverse=query.is_newest_first)
        return merged[:limit]

    async def kept(self) -> list[Kept]:
        """The lines that there should be, of each file."""
        return await asyncio.gather(self._control().kept(), *(owner.kept() for owner in self._peers.every()))

    async def note(self, cause: Cause) -> None:
        """Write the line of what this worker is about to change of itself, before it does."""
        await self._control().note(cause)
