"""Events: what happens on a node, in its order, the last of them kept for those who come late or come back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

#: Kinds of events that are kept, and can be asked for again.
KEPT: Final = ("deployment", "draft", "instance", "breaker", "deadletters", "log")
#: All kinds that a viewer may ask for. A ``gap`` is told to all of them.
KINDS: Final = (*KEPT, "counters", "queue")

#: Digits of a number in an id. Python makes no number of more than some thousands.
_MOST_DIGITS: Final = 18


class Event(msgspec.Struct, frozen=True):
    """Something that happened. ``number`` counts from 1 in each life of a node, and is 0 of what is not kept.

    ``graphs`` are those that it is about; none: the whole node. ``body`` holds JSON values, ``time`` (RFC 3339) among them.
    """

    number: int
    kind: str
    graphs: tuple[str, ...]
    body: dict[str, Any]


class EventLog:
    """The last events of a node. ``start`` is a text without ``-`` that no other life of the node has; used in one event loop.

    The id of an event is ``<start>-<number>``. ``now()`` gives the time as it is shown.
    """

    def __init__(self, start: str, most: int, now: Callable[[], str]) -> None:
        self._start = start
        self._most = most
        self._kept: deque[Event] = deque()
        self._last = 0
        #: The number of the last event that had to go for newer ones.
        self._gone = 0
        self._now = now
        self._waiting: list[asyncio.Future[None]] = []

    def add(self, kind: str, graphs: Iterable[str] = (), /, **body: Any) -> None:
        """Keep an event, and wake those who wait for one."""
        self._last += 1
        self._kept.append(Event(self._last, kind, tuple(graphs), {"time": self._now(), **body}))
        if len(self._kept) > self._most:
            self._gone = self._kept.popleft().number
        self.wake()

    def replace(self, kind: str, graph: str, /, **body: Any) -> None:
        """Keep an event instead of the one of its kind about its graph: whoever hears of the new one needs no older one."""
        old = next((event for event in self._kept if event.kind == kind and event.graphs == (graph,)), None)
        if old is not None:
            self._kept.remove(old)
        self.add(kind, (graph,), **body)

    @property
    def last(self) -> str:
        """The id of the newest event, or that before the first one."""
        return self.id_of(self._last)

    def id_of(self, number: int) -> str:
        """The id of an event by its number."""
        return f"{self._start}-{number}"

    def all(self) -> list[Event]:
        """All that are kept."""
        return list(self._kept)

    def after(self, id: str) -> tuple[list[Event], str]:
        """The events behind one, and the reason why some of them are missing; empty if none is.

        If it is not known where the client was, these are all that are kept.
        """
        start, _, number = id.rpartition("-")
        is_number = number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS
        if start != self._start or not is_number or int(number) > self._last:
            return self.all(), "the node has started anew since, or the id is not one of its events"
        if int(number) == self._last:
            return [], ""
        missing = self._gone - int(number)
        found = [event for event in self._kept if event.number > int(number)]
        return found, f"{missing} events are not kept any more" if missing > 0 else ""

    def wake(self) -> None:
        """Let those look again who wait."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Wait until something is new, for so long at most."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await asyncio.wait([future], timeout=timeout_s)
        if not future.done():
            self._waiting.remove(future)
