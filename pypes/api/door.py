"""The door of an ingest worker: how many connections it has, and how long each may keep it waiting.

A client that never finishes its request costs a descriptor and memory. So there is a deadline for every phase in which the
worker waits for a client, and a bound for connections. When the bound is reached, the connections that have waited longest
without a request under way are closed for new ones. A few more are let in for probes (``/healthz``, ``/readyz``) only, so that
a load balancer learns the state of a crowded node.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Protocol

from pypes.core.descriptors import soft_limit
from pypes.core.limits import Limits

log = logging.getLogger(__name__)

#: Connections beyond the bound that are served, if they ask how the node is.
PROBES = 16

#: Descriptors that a worker needs for its store, its sockets and the instances, besides those of connections.
RESERVED_DESCRIPTORS = 64

#: Each connection may write a spool file.
DESCRIPTORS_PER_CONNECTION = 2

#: Part of the connections that is closed at once when there are too many: looking for them costs a walk over all.
_EVICTED = 32

#: Seconds between two walks over all connections; deadlines are that exact.
SWEEP_S = 1.0

#: Least time between two log lines of the same trouble, in seconds.
_QUIET_S = 60.0


class Connection(Protocol):
    """A connection, as the door sees it."""

    @property
    def waits_since(self) -> float | None:
        """Start of the wait for a request, by the clock of the loop; ``None`` while a request is under way."""

    @property
    def is_new(self) -> bool:
        """True if it has not sent a request yet."""

    def check_deadlines(self, now: float) -> None:
        """End the connection if its client has kept the worker waiting for too long."""

    def evict(self) -> None:
        """End the connection, which waits for a request, at once."""


class Entry(Enum):
    """Treatment of a new connection."""

    WELCOME = 1
    #: Only ``/healthz`` and ``/readyz`` are answered.
    PROBE = 2
    REFUSED = 3


class Door:
    """The connections of one ingest worker. ``limits`` are those of the node; ``most`` is the bound that holds."""

    def __init__(self, limits: Limits, most: int | None = None) -> None:
        self.limits = limits
        self.most = room(limits) if most is None else most
        self._open: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._logged_at = -_QUIET_S
        if self.most < limits.connections:
            log.warning(
                (
                    "too few file descriptors for all connections: raise the limit of open files (LimitNOFILE=, ulimit "
                    "-n), or lower connections"
                ),
                extra={"connections": self.most, "wanted": limits.connections, "open_files": soft_limit()},
            )

    def enter(self, connection: Connection) -> Entry:
        """Take a new connection in; the longest waiting are closed for it if there are too many."""
        if len(self._open) >= self.most:
            self._make_room()
        is_full = len(self._open) >= self.most
        if is_full and len(self._open) >= self.most + PROBES:
            return Entry.REFUSED
        self._open.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)
        return Entry.PROBE if is_full else Entry.WELCOME

    def leave(self, connection: Connection) -> None:
        """A connection has ended."""
        self._open.discard(connection)

    def _make_room(self) -> None:
        waiting = [(not c.is_new, since, id(c), c) for c in self._open if (since := c.waits_since) is not None]
        # those that never sent a request go first
        waiting.sort()
        evicted = waiting[: max(1, self.most // _EVICTED)]
        for *_, connection in evicted:
            self._open.discard(connection)
            connection.evict()
        now = self._loop.time()
        if now - self._logged_at >= _QUIET_S:
            self._logged_at = now
            log.warning(
                "too many connections: the longest idle ones are closed to make room for new ones",
                extra={"connections": self.most, "waiting": len(waiting)},
            )

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(SWEEP_S, self._sweep) if self._open else None
        now = self._loop.time()
        for connection in list(self._open):
            connection.check_deadlines(now)


def room(limits: Limits) -> int:
    """Number of connections allowed: ``connections``, or fewer if descriptors are short."""
    descriptors = soft_limit() - RESERVED_DESCRIPTORS - PROBES
    return max(1, min(limits.connections, descriptors // DESCRIPTORS_PER_CONNECTION))


def is_over(since: float, allowed_s: float, now: float) -> bool:
    """True if a deadline that began at ``since`` has passed; 0 seconds are no deadline."""
    return 0 < allowed_s < now - since
