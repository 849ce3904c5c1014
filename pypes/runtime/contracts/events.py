"""Calls of an ingest worker about the events of the node: those that its viewers wait for, and what it has to tell itself."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pypes.observe.events import Event
from pypes.runtime.rpc.contract import while_wanted


class Told(msgspec.Struct, frozen=True):
    """Events behind an id. ``last`` is the id of the newest there is, ``gap`` the reason why some are missing, or empty.

    ``counters`` are the newest, of the second ``tick``, if the caller has not seen them.
    """

    events: list[Event]
    last: str
    gap: str = ""
    counters: list[Event] = []
    tick: int = 0


class FailedGroup(msgspec.Struct, frozen=True):
    """Dead letters of one graph, filter and code; ``letter`` is the id of the first, and ``error`` its reason, shortened.

    ``filter`` and ``code`` are empty for those of many kinds at once.
    """

    graph: str
    filter: str
    code: str
    count: int
    letter: str
    error: str


class EventCalls(Protocol):
    """The events of the node, which the supervisor keeps."""

    @while_wanted
    async def after(self, id: str, wait_s: float = 0.0, tick: int | None = None) -> Told:
        """The events behind an id, or as soon as there is one, after ``wait_s`` at the latest.

        ``tick`` is that of the counters that the caller has; with it, the node counts, and newer ones are events as well.
        """

    async def kept(self) -> Told:
        """All events that are kept."""

    async def now(self) -> Told:
        """No events; for one who wants those from now on."""

    async def failed(self, groups: list[FailedGroup]) -> None:
        """Tell of dead letters."""
