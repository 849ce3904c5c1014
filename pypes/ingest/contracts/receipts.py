"""Receipts: what became of deliveries and of the documents in them."""

from __future__ import annotations

from typing import Protocol

from pypes.ingest.outcome import KeptTrace
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptQuery
from pypes.ingest.whereabouts import DocumentQuery, Looked


class Receipts(Protocol):
    """The receipts of a shard, with what replays say of each other."""

    async def get(self, id: str) -> Receipt | None:
        """State of a delivery; ``None`` if this queue never had it.

        Raises :class:`Gone` (``receipt.forgotten``) for one that was given out and is forgotten by now, :class:`NotFound`
        for what is no id.
        """
        ...

    async def wait(self, id: str, wait_s: float) -> Receipt | None:
        """As :meth:`get`, but waits up to ``wait_s`` for the delivery to be finished."""
        ...

    async def documents(self, id: str, limit: int, after: int = -1) -> list[DocumentReport] | None:
        """Outcomes of up to ``limit`` documents of a delivery, in order, beyond the ordinal ``after``.

        ``None`` and errors as :meth:`get`.
        """
        ...

    async def trace(self, id: str) -> KeptTrace | None:
        """The trace of a delivery; ``None`` and errors as :meth:`get`.

        Raises also :class:`NotFound` if it is not finished (``trace.not_finished``) or was not traced (``trace.not_traced``), and
        :class:`Gone` (``trace.forgotten``).
        """
        ...

    async def look(self, query: DocumentQuery, limit: int, before: int = 0) -> Looked:
        """The newest deliveries with a document, of the commits before one, or (0) of all: a bounded part of those kept.

        Ends behind the commit with which ``limit`` documents are found.
        """
        ...

    async def find(self, query: ReceiptQuery, limit: int, after: str = "", *, newest: bool = False) -> list[Receipt]:
        """Up to ``limit`` receipts that match, beyond ``after`` in the order of their ids, with ``newest`` in the opposite."""
        ...
