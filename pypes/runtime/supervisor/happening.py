"""Happening: what the supervisor knows of deployments, instances and filters that rest, as events, and who asks for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pypes.core.nodetime import Clock
from pypes.core.secrets import masked
from pypes.ingest.receipt import rfc3339
from pypes.observe import Observer
from pypes.observe.events import EventLog
from pypes.runtime.contracts.events import FailedGroup, Told

#: Events that are kept for those who come back.
MOST_KEPT = 2000
#: Characters of a reason that an event has.
REASON_CHARS = 500


def log_of(clock: Clock) -> EventLog:
    """The log of a node that starts now."""
    return EventLog(f"{int(clock.now() * 1000):x}", MOST_KEPT, lambda: rfc3339(clock.shown(clock.now())))


class Happenings(Observer):
    """Puts into ``log`` what the hooks of the supervisor tell."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        #: By instance that has been ready, its graphs.
        self._graphs: dict[int, tuple[str, ...]] = {}

    def deployment_began(self, graphs: Mapping[str, int]) -> None:
        self._deployments("began", graphs)

    def deployment_switched(self, graphs: Mapping[str, int], seconds: float) -> None:
        self._deployments("switched", graphs, seconds=round(seconds, 3))

    def deployment_failed(self, graphs: Mapping[str, int], reason: str) -> None:
        self._deployments("failed", graphs, reason=_short(reason))

    def graph_undeployed(self, graph: str) -> None:
        self._log.add("deployment", (graph,), state="undeployed", graph=graph)

    def _deployments(self, state: str, graphs: Mapping[str, int], **more: Any) -> None:
        for graph, version in graphs.items():
            self._log.add("deployment", (graph,), state=state, graph=graph, version=version, **more)

    def instance_started(self, instance: int, graphs: Collection[str], seconds: float) -> None:
        known = self._graphs[instance] = tuple(graphs)
        self._log.add("instance", known, state="ready", instance=instance, graphs=known, seconds=round(seconds, 3))

    def instance_ended(self, instance: int, reason: str, filter: str) -> None:
        known = self._graphs.pop(instance, ())
        self._log.add("instance", known, state="ended", instance=instance, graphs=known, reason=_short(reason), filter=filter)

    def filter_rested(self, graph: str, filter: str, reason: str) -> None:
        self._log.add("breaker", (graph,), state="resting", graph=graph, filter=filter, reason=_short(reason))

    def filter_went_on(self, graph: str, filter: str) -> None:
        self._log.add("breaker", (graph,), state="going on", graph=graph, filter=filter)


class EventDesk:
    """Answers the calls of workers; see :class:`pypes.runtime.contracts.events.EventCalls`."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def after(self, id: str, wait_s: float = 0.0, tick: int | None = None) -> Told:
        events, gap = self._log.after(id)
        if not events and not gap and wait_s:
            await self._log.wait(wait_s)
            events, gap = self._log.after(id)
        return Told(events, self._log.last, gap)

    async def kept(self) -> Told:
        return Told(self._log.all(), self._log.last)

    async def now(self) -> Told:
        return Told([], self._log.last)

    async def failed(self, groups: list[FailedGroup]) -> None:
        for group in groups:
            self._log.add(
                "deadletters",
                (group.graph,),
                graph=group.graph,
                filter=group.filter,
                code=group.code,
                count=group.count,
                deadletter=group.letter,
                error=_short(group.error),
            )


def _short(text: str) -> str:
    shown: str = masked(text)
    return shown if len(shown) <= REASON_CHARS else f"{shown[:REASON_CHARS]}…"
