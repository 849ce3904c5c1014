"""Intake: how deliveries come into a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from pypes.core.graph_limits import GraphLimits
from pypes.ingest.delivery import Header, Spooled

#: So much of a digest is compared and stored.
DIGEST_BYTES = 8


class Key(NamedTuple):
    """An idempotency key: its name as the caller scopes it, and the digest of the request that came with it.

    ``is_request``: a balancer gave it, as the id of one request that it may send to several nodes.
    """

    name: str
    digest: bytes
    is_request: bool = False


class Waiter(Protocol):
    """Hears what becomes of an append, in the event loop. A future is one; another one must be quick, and raises nothing."""

    def done(self) -> bool:
        """True if nobody wants to hear of it any more."""
        ...

    def set_result(self, result: str, /) -> None:
        """The delivery is durable, and has this receipt."""
        ...

    def set_exception(self, exception: BaseException, /) -> None:
        """The commit failed, and nothing was accepted."""
        ...


class Intake(Protocol):
    """Takes deliveries on, within the bounds of the queue."""

    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        """Append a delivery; the future gives its receipt's id once it is durable.

        With a ``key`` that is known for the same digest, the future gives the first receipt (once that is durable) and nothing
        is appended; for another digest, :class:`Conflict` (``idempotency.mismatch``) is raised. Concurrent appends of
        one key are one delivery; a key whose append failed is free again. Keys are forgotten after ``keys_s``, but not while
        their delivery waits.

        Raises :class:`QueueFull` (``queue.full``), :class:`LettersFull` (until dead letters of the graph are replayed or deleted)
        or :class:`StoreError` at once; the future fails with :class:`StoreError` when the commit did, and nothing was accepted
        then. The queue takes ownership of a spooled body in any case.
        """
        ...

    async def known(self, key: Key) -> str | None:
        """The receipt that a key has, once that is durable; ``None`` if nothing came with it, or nothing was accepted.

        Raises :class:`Conflict` as :meth:`append` does, and :class:`StoreError`.
        """
        ...

    def append_for(self, waiter: Waiter, header: Header, body: bytes, decoded: bytes | None = None) -> None:
        """As :meth:`append` without a key, telling ``waiter``. PERF: a future and its call-back cost a small document 1 µs."""
        ...

    def check_room(self, size: int, graph: str = "", *, is_bulk: bool = False) -> None:
        """Raise :class:`QueueFull` as :meth:`append` would for a body of ``size`` bytes now, before the body is read.

        Answered from what is known here. Without a ``graph``, only what is bounded for all of them together is looked at.
        """
        ...

    def reserve_arriving(self, size: int, *, is_repeatable: bool = False) -> None:
        """Count ``size`` more bytes of a body that is being written to the disk. Raises :class:`QueueFull` (``queue.full``).

        ``is_repeatable``: the body has a key and may have come before, so it needs no room beside what is queued.
        """
        ...

    def release_arriving(self, size: int) -> None:
        """Say that bytes are no longer arriving: their body is about to be appended, or was given up."""
        ...

    def deployed(self, graphs: Mapping[str, GraphLimits]) -> None:
        """Say which graphs share the bounds, and which limits of its own this queue enforces for each of them.

        While there is but one, and nothing of others is left, it may use the whole of the bounds, as far as its own limits go.

        Of a graph at its bound of dead letters, nothing is taken or lent.
        """
        ...
