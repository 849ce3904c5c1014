"""The events of the node, as an ingest worker passes them on to its viewers.

The supervisor is asked only while somebody looks, and once for all viewers; each event is put into bytes once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import NamedTuple

from pypes.access.account import Account
from pypes.access.client import is_among
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import Unavailable
from pypes.observe.events import Event
from pypes.runtime.contracts.events import EventCalls, Told
from pypes.runtime.worker.queues import Queues
from pypes.runtime.worker.viewers import HELLO, Viewer, as_sse, check_viewers

#: Viewers of one worker at a time.
MOST_VIEWERS = 100
#: Seconds for which events gather before they are passed on, so that many viewers of many events cost little.
GATHER_S = 0.5
#: Seconds between two looks at the queues.
EVERY_S = 1.0
#: Seconds between two signs to viewers, and to whatever lies between, that somebody is there; twice that at most.
QUIET_S = 15.0


class Wanted(NamedTuple):
    """Events of some ``kinds``, about some ``graphs``, and about none but those ``among`` these names or patterns; empty: all."""

    graphs: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    among: tuple[str, ...] = ()


class EventViewer(Viewer):
    """A viewer of some events."""

    def __init__(self, worker: Events, wants: Wanted, owner: Account | None) -> None:
        super().__init__(lambda: worker.forget(self), owner)
        self.wants = wants
        #: Events that came before it was told those that are kept.
        self._early: list[tuple[Event, bytes]] | None = []
        self._seen = 0

    def begin(self, told: Told, recent: int | None) -> None:
        """Tell it what is kept, of that which it wants: the last ``recent``, or all."""
        self._seen = number_of(told.last)
        start = told.last.rpartition("-")[0]
        wanted = [event for event in told.events if wants(self.wants, event)]
        if recent is not None:
            wanted = wanted[max(0, len(wanted) - recent) :]
        # the id is that of the newest: whoever hears nothing else knows where to go on
        hello = HELLO if wanted else b"%bid: %b\n" % (HELLO, told.last.encode())
        gap = as_sse("gap", {"reason": told.gap}) if told.gap else b""
        early, self._early = self._early or [], None
        later = (chunk for event, chunk in early if not event.number or event.number > self._seen)
        self.put(b"".join((hello, b"\n", gap, *(encoded(event, start) for event in wanted), *later)))

    def tell(self, events: list[tuple[Event, bytes]], joined: bytes) -> None:
        """Pass events on that it wants; ``joined`` are their bytes."""
        if self._early is not None:
            self._early += events
        elif not events or not events[0][0].number or events[0][0].number > self._seen:
            self.put(joined)
        else:
            self.put(b"".join(chunk for event, chunk in events if not event.number or event.number > self._seen))


def wants(wanted: Wanted, event: Event) -> bool:
    """True for an event that is wanted."""
    graphs, kinds, among = wanted
    if (kinds and event.kind not in kinds) or (graphs and graphs.isdisjoint(event.graphs)):
        return False
    return not among or (bool(event.graphs) and all(is_among(graph, among) for graph in event.graphs))


def encoded(event: Event, start: str) -> bytes:
    """An event as it is sent."""
    return as_sse(event.kind, {"kind": event.kind, **event.body}, f"{start}-{event.number}" if event.number else "")


def number_of(id: str) -> int:
    """The number in the id of an event."""
    return int(id.rpartition("-")[2])


class Events:
    """Asks the supervisor for events while there are viewers, and passes them on.

    ``queues`` are looked at while somebody wants to know of them.
    """

    def __init__(self, calls: EventCalls, queues: Queues, tasks: WatchedTasks) -> None:
        self._calls = calls
        self._queues = queues
        self._tasks = tasks
        self._viewers: set[EventViewer] = set()
        self._joining = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._last = ""
        self._tick = 0
        self._is_counting = False

    async def open(
        self,
        graphs: Collection[str],
        kinds: Collection[str],
        after: str = "",
        recent: int = 0,
        among: tuple[str, ...] = (),
        owner: Account | None = None,
    ) -> EventViewer:
        """A viewer of the events behind an id, or without one of the last ``recent`` that are kept and of those to come.

        ``owner`` is the account of the client. Raises as :func:`check_viewers`, and :class:`Unavailable` without a supervisor.
        """
        check_viewers(self._viewers, MOST_VIEWERS, owner, "events", "events.viewers")
        viewer = EventViewer(self, Wanted(frozenset(graphs), frozenset(kinds), among), owner)
        self._viewers.add(viewer)
        try:
            async with self._joining:
                if after:
                    told = await self._calls.after(after)
                else:
                    told = await (self._calls.kept() if recent else self._calls.now())
                if self._task is None:
                    self._last = told.last
                if self._task is None or (not self._is_counting and self._want("counters")):
                    self._restart()
                if self._looking is None and self._want("queue"):
                    self._looking = self._tasks.start(self._look(), "queues for viewers")
            viewer.begin(told, None if after else recent)
        except BaseException:
            viewer.close()
            raise
        return viewer

    def forget(self, viewer: EventViewer) -> None:
        """A viewer has gone."""
        self._viewers.discard(viewer)
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = None
        if self._looking is not None and not self._want("queue"):
            self._looking.cancel()
            self._looking = None
            self._queues.forget()

    def _want(self, kind: str) -> bool:
        return any(not viewer.wants.kinds or kind in viewer.wants.kinds for viewer in self._viewers)

    async def _look(self) -> None:
        """Tell of the queues once a second."""
        while True:
            self._pass_on([(event, encoded(event, "")) for event in await self._queues.step()])
            await asyncio.sleep(EVERY_S)

    def _restart(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = self._tasks.start(self._run(), "events for viewers")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        beaten_at = loop.time()
        while True:
            self._is_counting = self._want("counters")
            try:
                told = await self._calls.after(self._last, QUIET_S, self._tick if self._is_counting else None)
            except Unavailable:
                # the supervisor ends, and this process with it: clients come back to the next one
                self._task = None
                for viewer in list(self._viewers):
                    viewer.end()
                return
            if told.events or told.counters or told.gap:
                start = told.last.rpartition("-")[0]
                gap = as_sse("gap", {"reason": told.gap}) if told.gap else b""
                self._pass_on([(event, encoded(event, start)) for event in (*told.events, *told.counters)], gap)
            self._last, self._tick = told.last, told.tick
            if loop.time() - beaten_at >= QUIET_S:
                beaten_at = loop.time()
                # with the id of the newest: where to go on also for one who wanted none of them
                for viewer in list(self._viewers):
                    viewer.put(b"id: %b\n:\n\n" % self._last.encode())
            await asyncio.sleep(GATHER_S)

    def _pass_on(self, events: list[tuple[Event, bytes]], gap: bytes = b"") -> None:
        # PERF: most viewers want the same
        chosen: dict[Wanted, tuple[list[tuple[Event, bytes]], bytes]] = {}
        for viewer in list(self._viewers):
            found = chosen.get(viewer.wants)
            if found is None:
                own = [each for each in events if wants(viewer.wants, each[0])]
                found = chosen[viewer.wants] = own, gap + b"".join(chunk for _, chunk in own)
            if found[1]:
                viewer.tell(*found)
