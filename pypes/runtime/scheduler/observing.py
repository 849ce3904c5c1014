"""Observing: what the scheduler tells an observer of the graph that it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pypes.observe import Observer, WireName
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.ready import Ready
from pypes.runtime.scheduler.wire import Wire


class Observation:
    """Calls the hooks for one graph, and keeps the time that these take, which is no filter's."""

    __slots__ = ("_clock", "_graph", "_hooks_s", "_observer")

    def __init__(self, observer: Observer, graph: str, clock: Callable[[], float]) -> None:
        self._observer = observer
        self._graph = graph
        self._clock = clock
        self._hooks_s = 0.0

    def take_hooks_s(self) -> float:
        """Seconds that hooks took since this was last asked."""
        hooks_s, self._hooks_s = self._hooks_s, 0.0
        return hooks_s

    def ran(self, filter: str, seconds: float) -> None:
        """A turn, or a part of one, is over."""
        self._call(self._observer.filter_ran, filter, seconds)

    def began(self, epoch: Epoch) -> None:
        self._observer.epoch_began(self._graph, epoch.feed.documents)

    def ended(self, epoch: Epoch) -> None:
        failed = Counter[tuple[str, str]]()
        for failure in epoch.dead_letters:
            failed[failure.filter, failure.code] += 1 if failure.many is None else failure.many.count
        for (filter, code), packets in failed.items():
            self._call(self._observer.packets_failed, filter, code, packets)
        self._call(self._observer.epoch_ended, epoch.feed.documents)

    def before(self, on_done: Callable[[Epoch], None]) -> Callable[[Epoch], None]:
        """A callback for the end of an epoch: the hooks, then ``on_done``."""

        def done(epoch: Epoch) -> None:
            self.ended(epoch)
            on_done(epoch)

        return done

    def sent(self, wire: WireName, packets: Sequence[Any]) -> None:
        self._call(self._observer.packets_sent, wire, packets)

    def taken(self, filter: str, packets: Sequence[Any]) -> None:
        self._call(self._observer.packets_taken, filter, packets)

    def waited(self, filter: str, seconds: float) -> None:
        self._call(self._observer.filter_waited, filter, seconds)

    def worked_in_pool(self, filter: str, seconds: float) -> None:
        self._call(self._observer.pool_worked, filter, seconds)

    def dropped(self, filter: str, packets: int) -> None:
        self._call(self._observer.packets_dropped, filter, packets)

    def committed(self, publisher: str, packets: int) -> None:
        self._call(self._observer.packets_committed, publisher, packets)

    def _call(self, hook: Callable[..., None], *args: Any) -> None:
        began_s = self._clock()
        hook(self._graph, *args)
        self._hooks_s += self._clock() - began_s


class ObservedWire(Wire):
    """A wire that tells what is put on it. Retries, and what is put back, are no news."""

    __slots__ = ("_name", "_observation")

    def __init__(self, name: WireName, capacity: int, bit: int, ready: Ready, observation: Observation) -> None:
        super().__init__(str(name), capacity, bit, ready)
        self._name = name
        self._observation = observation

    def put(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        self._observation.sent(self._name, values)
        return super().put(epoch, values, lineages)

    def feed(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        self._observation.sent(WireName("", "", self._name.target, self._name.input), values)
        return super().feed(epoch, values, lineages)
