"""Callbacks: finished receipts that clients asked to have posted to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from pypes.core.trace_context import TraceContext


class Callback(msgspec.Struct, frozen=True, gc=False):
    """A finished receipt to be posted to ``url``, not before ``due`` (seconds since the epoch), after ``attempts`` failures.

    ``context`` is the trace to which the delivery belongs.
    """

    receipt: str
    url: str
    due: float
    attempts: int
    context: TraceContext | None = None


class Callbacks(Protocol):
    """The callbacks of a shard that were not taken yet."""

    #: Called in the event loop when a callback became due to be posted that was not there before.
    on_due: Callable[[], None] | None

    async def due(self, now: float, limit: int) -> list[Callback]:
        """Up to ``limit`` durable callbacks due at ``now`` (seconds since the epoch), the longest due first."""
        ...

    async def next_due(self) -> float | None:
        """Time at which the next callback is due, seconds since the epoch; ``None`` if there is none."""
        ...

    def done(self, receipt: str) -> None:
        """Forget a callback: it was posted, or given up. Durable with the next commit."""
        ...

    def failed(self, receipt: str, due: float) -> None:
        """Count a failed attempt at a callback; it is due again at ``due``. Durable with the next commit."""
        ...
