"""Calls to the worker that serves a shard: other workers ask for what the shard owns, the supervisor about its graphs."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pypes.access.audit import ITSELF, AuditQuery, Cause, Entry, Kept
from pypes.ingest.contracts.intake import Key
from pypes.ingest.contracts.queue import GraphUse, QueueStats
from pypes.ingest.deadletter import History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter, KeptTrace
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptQuery
from pypes.ingest.whereabouts import DocumentQuery, Looked
from pypes.runtime.rpc.contract import once


class Runs(msgspec.Struct, frozen=True):
    """The sources of a graph that fetch, whether they run, and what they said when their last run did not end well, by filter.

    ``stopped``: those that wait until deletions are confirmed; ``failed``: the others.
    """

    sources: list[str]
    is_running: bool
    stopped: dict[str, str]
    failed: dict[str, str] = {}


class ShardCalls(Protocol):
    """Calls to the owner of a shard: receipts and dead letters as in :mod:`pypes.ingest.contracts`, deliveries, sources.

    Raises :class:`Unavailable` (``owner.closing``) from an owner that lets go of the shard: nothing was done.
    """

    async def wait_receipt(self, id: str, wait_s: float) -> Receipt | None:
        """As ``Queue.wait_receipt``."""

    async def documents(self, id: str, limit: int, after: int = -1) -> list[DocumentReport] | None:
        """As ``Queue.documents``."""

    async def trace(self, id: str) -> KeptTrace | None:
        """As ``Queue.trace``."""

    async def receipts(self, query: ReceiptQuery, limit: int, after: str = "", *, newest: bool = False) -> list[Receipt]:
        """As ``Queue.receipts``."""

    async def look(self, query: DocumentQuery, limit: int, before: int = 0) -> Looked:
        """As ``Queue.receipts.look``."""

    async def letters(self, query: LetterQuery, limit: int = 100, after: str = "", *, newest: bool = False) -> list[DeadLetter]:
        """As ``Queue.letters``."""

    async def letter(self, id: str) -> KeptLetter | None:
        """As ``Queue.letter``."""

    async def origin(self, id: str) -> Origin | None:
        """As ``Queue.letters.origin``."""

    async def letter_groups(self, query: LetterQuery, history: History | None = None) -> list[LetterGroup]:
        """As ``Queue.letter_groups``."""

    async def edit_letter(self, id: str, packet: bytes, cause: Cause = ITSELF) -> bool:
        """As ``Queue.edit_letter``."""

    @once
    async def delete_letters(self, ids: list[str], cause: Cause = ITSELF) -> int:
        """As ``Queue.delete_letters``."""

    @once
    async def replay(self, id: str, from_start: bool, is_traced: bool = False, cause: Cause = ITSELF) -> str:
        """As ``Queue.replay``."""

    @once
    async def replay_together(
        self, ids: list[str], from_start: bool | None, is_traced: bool = False, cause: Cause = ITSELF
    ) -> Replayed:
        """As ``Queue.replay_together``."""

    async def lines(self, query: AuditQuery, limit: int = 100) -> list[Entry]:
        """As ``Queue.audited.lines``."""

    async def kept(self) -> Kept:
        """As ``Queue.audited.kept``."""

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
