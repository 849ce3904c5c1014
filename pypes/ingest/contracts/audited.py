"""Audited: the audit log of a shard, with what was changed of its dead letters and of the runs of sources."""

from __future__ import annotations

from typing import Protocol

from pypes.access.audit import AuditQuery, Entry, Kept


class Audited(Protocol):
    """Lines are written by the other contracts, in the transactions of the changes that they tell of."""

    async def lines(self, query: AuditQuery, limit: int = 100) -> list[Entry]:
        """Up to ``limit`` lines that match, in the order that the query asks for."""
        ...

    async def kept(self) -> Kept:
        """The lines that there should be."""
        ...
