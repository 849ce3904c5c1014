"""Sampling: the trace that a request says it belongs to, and whether what becomes of it here is traced as well.

A caller that records its trace (the flag *sampled*) is to find the way of its documents in it. That costs more than a small
document does, and callers are not to decide how much a node spends on it: so many deliveries a second are traced for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pypes.api.request import Request
from pypes.core.trace_context import TRACEPARENT, TRACESTATE, TraceContext, parse

_PARENT = TRACEPARENT.encode()
_STATE = TRACESTATE.encode()
#: Header fields that say which trace a request belongs to.
FIELDS = frozenset({_PARENT, _STATE})


class Sampling:
    """Allows ``per_s`` deliveries a second to be traced because their callers are; as many at once after a quiet second."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._room = max(1.0, per_s)
        self._since = clock()

    @property
    def has_room(self) -> bool:
        """True if :meth:`take` would allow another one."""
        if self._per_s <= 0:
            return False
        now = self._clock()
        self._room = min(max(1.0, self._per_s), self._room + (now - self._since) * self._per_s)
        self._since = now
        return self._room >= 1

    def take(self) -> bool:
        """Count one more delivery; False, and it is not counted, if that is too many."""
        if not self.has_room:
            return False
        self._room -= 1
        return True


def context_in(fields: list[tuple[bytes, bytes]]) -> TraceContext | None:
    """The trace context in header fields, given with their lower-case names; ``None`` without a valid one."""
    parents = [value.decode("latin-1") for name, value in fields if name == _PARENT]
    return parse(parents, (value.decode("latin-1") for name, value in fields if name == _STATE)) if parents else None


def context_of(req: Request) -> TraceContext | None:
    """The trace context of a request; ``None`` without a valid one."""
    return context_in(req.scope["headers"]) if req.has_header(_PARENT) else None
