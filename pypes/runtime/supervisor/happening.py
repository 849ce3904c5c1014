"""Happening: what the supervisor knows of deployments, instances and filters that rest, as events, and who asks for them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from pypes.core.nodetime import Clock
from pypes.core.secrets import masked
from pypes.core.watched_tasks import WatchedTasks
from pypes.ingest.receipt import rfc3339
from pypes.observe import Observer
from pypes.observe.events import Event, EventLog
from pypes.observe.gathering import Gathering
from pypes.runtime.contracts.events import FailedGroup, Told
from pypes.runtime.supervisor.logbook import names_in
from pypes.runtime.supervisor.rates import Rates

#: Events that are kept for those who come back.
MOST_KEPT = 2000
#: Seconds between two counters, and for which they go on when nobody has asked for them.
EVERY_S = 1.0
IDLE_S = 3.0
#: Log lines that become events at once: of more, the newest.
MOST_LINES = 100
#: Values of log lines that are left to those who read the log.
_LONG = frozenset({"exception", "traceback", "stacks"})
#: Characters of a reason that an event has.
REASON_CHARS = 500


def log_of(clock: Clock) -> EventLog:
    """The log of a node that starts now."""
    return EventLog(f"{int(clock.now() * 1000):x}", MOST_KEPT, lambda: shown_time(clock))


def rates_of(gathering: Gathering, clock: Clock) -> Rates:
    """The rates of what the processes of a node count."""
    return Rates(gathering, lambda: shown_time(clock), time.monotonic)


def shown_time(clock: Clock) -> str:
    """The time, as events have it."""
    return rfc3339(clock.shown(clock.now()))


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
        # the reason is that of one of them, and may name it
        self._deployments("failed", graphs, tuple(graphs), reason=_short(reason))

    def graph_undeployed(self, graph: str) -> None:
        self._log.add("deployment", (graph,), state="undeployed", graph=graph)

    def _deployments(self, state: str, graphs: Mapping[str, int], about: tuple[str, ...] = (), **more: Any) -> None:
        for graph, version in graphs.items():
            self._log.add("deployment", about or (graph,), state=state, graph=graph, version=version, **more)

    def draft_changed(self, graph: str, counter: int, by: str, *, is_gone: bool) -> None:
        """A draft was saved, deployed or deleted; an editor may save each second, and must not push all else out."""
        self._log.replace("draft", graph, graph=graph, counter=counter, by=by, **({"deleted": True} if is_gone else {}))

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


class LogNews:
    """Puts warnings and errors into ``log``; ``since(number)`` gives the lines behind a number, and the number to go on from."""

    def __init__(self, log: EventLog, since: Callable[[int], tuple[Sequence[Mapping[str, Any]], int]]) -> None:
        self._log = log
        self._since = since
        self._number = 0

    def __call__(self) -> None:
        lines, self._number = self._since(self._number)
        for line in lines[-MOST_LINES:]:
            graphs = (*names_in(line.get("graph")), *names_in(line.get("graphs")))
            # an event has a kind of its own
            body = {"kind_" if key == "kind" else key: _brief(value) for key, value in line.items() if key not in _LONG}
            self._log.add("log", graphs, **body)


def _brief(value: Any) -> Any:
    """A value of a log line, shortened."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return _short(value if isinstance(value, str) else str(value))


class _Presence:
    """The calls that wait, and shortly after: between two calls of a worker nothing is to end."""

    def __init__(self) -> None:
        self._waiting = 0
        self._left_at = -math.inf

    @contextmanager
    def entered(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            self._left_at = asyncio.get_running_loop().time()

    def __bool__(self) -> bool:
        return self._waiting > 0 or asyncio.get_running_loop().time() - self._left_at < IDLE_S


class EventDesk:
    """Answers the calls of workers; see :class:`pypes.runtime.contracts.events.EventCalls`.

    ``news()`` is called once a second while somebody looks, to put into the log what nobody says by itself.
    """

    def __init__(self, log: EventLog, rates: Rates, news: Callable[[], None], tasks: WatchedTasks) -> None:
        self._log = log
        self._rates = rates
        self._news = news
        self._tasks = tasks
        self._looking, self._counting = _Presence(), _Presence()
        self._is_watching = False
        #: The newest counters, and how often there were some.
        self._counters: list[Event] = []
        self._tick = 0

    async def after(self, id: str, wait_s: float = 0.0, tick: int | None = None) -> Told:
        if not wait_s:
            self._news()
        events, gap = self._log.after(id)
        if wait_s:
            with self._looking.entered(), nullcontext() if tick is None else self._counting.entered():
                if not self._is_watching:
                    self._is_watching = True
                    self._tasks.start(self._watch(), "news for viewers")
                if not (events or gap or self._newer(tick)):
                    await self._log.wait(wait_s)
                    events, gap = self._log.after(id)
        return Told(events, self._log.last, gap, self._newer(tick), self._tick)

    def _newer(self, tick: int | None) -> list[Event]:
        return self._counters if tick is not None and tick != self._tick else []

    async def _watch(self) -> None:
        """Look for news, and count for those who want that, until nobody looks."""
        try:
            while self._looking:
                self._news()
                if self._counting:
                    if counters := self._rates.step():
                        self._counters = counters
                        self._tick += 1
                        self._log.wake()
                else:
                    self._count_no_more()
                await asyncio.sleep(EVERY_S)
        finally:
            self._count_no_more()
            self._is_watching = False

    def _count_no_more(self) -> None:
        self._counters = []
        self._rates.forget()

    async def kept(self) -> Told:
        self._news()
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
