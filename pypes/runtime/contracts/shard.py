"""Calls to the worker that serves a shard: other workers ask for what the shard owns, the supervisor about its graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from pypes.access.audit import ITSELF, AuditQuery, Cause, Entry, Kept
from pypes.ingest.contracts.intake import Key
from pypes.ingest.contracts.queue import GraphUse, QueueStats
from pypes.ingest.delivery import Header
from pypes.runtime.contracts.records import RecordCalls
from pypes.runtime.rpc.contract import once


class Runs(msgspec.Struct, frozen=True):
    """The sources of a graph that fetch, whether they run, and what they said when their last run did not end well, by filter.

    ``stopped``: those that wait until deletions are confirmed; ``failed``: the others.
    """

    sources: list[str]
    is_running: bool
    stopped: dict[str, str]
    failed: dict[str, str] = {}


def worker_socket(runtime_dir: Path, shard: int) -> Path:
    """The address at which the worker that serves a shard listens."""
    return runtime_dir / f"w-{shard}.sock"


class ShardCalls(RecordCalls, Protocol):
    """Calls to the owner of a shard: its records, deliveries, sources.

    Raises :class:`Unavailable` (``owner.closing``) from an owner that lets go of the shard: nothing was done.
    """

    async def lines(self, query: AuditQuery, limit: int = 100) -> list[Entry]:
        """As ``Queue.audited.lines``."""

    async def kept(self) -> Kept:
        """As ``Queue.audited.kept``."""

    async def claim(self, graph: str, key: Key, owner: str) -> str | None:
        """The receipt that a key has here, asked by the member that owns it now, by its name; ``None``: it has none.

        Raises :class:`Unavailable` (``fleet.changing``) if this node believes in another owner: then it may still take it.
        """

    async def let_go(self, graph: str, owner: str) -> int:
        """The number of unfinished deliveries of a graph with order, asked as :meth:`claim` is, and raising the same."""

    async def known(self, key: Key) -> str | None:
        """The receipt that a key has in this shard, which came from another node: it takes no more keys."""

    async def remaining(self, graph: str) -> int:
        """The number of unfinished deliveries of a graph."""

    @once
    async def append(self, header: Header, body: bytes, spool: str, key: Key | None) -> str:
        """Append a delivery; returns its receipt once it is durable. ``spool`` names a file of the shard that is the body."""

    # with a time it could be repeated, but then its caller is the supervisor, which repeats it itself
    @once
    async def trigger(self, graph: str, at: float | None = None) -> list[str]:
        """Have the sources of a graph run, for a scheduled time or now; returns their names."""

    @once
    async def run(self, graph: str, is_confirmed: bool, cause: Cause = ITSELF) -> Runs:
        """Run the sources of a graph once; what was stopped is as it was before. ``is_confirmed``: it may delete however much."""

    async def runs(self, graph: str) -> Runs:
        """The state of the sources of a graph, and of their runs."""

    async def stats(self) -> QueueStats:
        """A snapshot of the queue."""

    async def uses(self) -> dict[str, GraphUse]:
        """As ``Queue.uses``."""

    async def unfinished(self, graph: str) -> int | None:
        """The number of unfinished deliveries of a closing graph; ``None`` while the worker does not know that it is closing."""
