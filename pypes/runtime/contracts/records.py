"""Calls about receipts and dead letters, to whoever keeps them: a shard, or a node with all of its shards."""

from __future__ import annotations

from typing import Protocol

from pypes.access.audit import ITSELF, Cause
from pypes.ingest.deadletter import History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.outcome import DeadLetter, KeptTrace
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptQuery
from pypes.ingest.whereabouts import DocumentQuery, Looked
from pypes.runtime.rpc.contract import once


class RecordCalls(Protocol):
    """Calls about what is kept of deliveries, as in :mod:`pypes.ingest.contracts`.

    A receipt that waits says so if its graph is the reason.
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
