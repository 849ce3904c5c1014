"""Tallying: puts what the filters and wires of a graph have counted where others read it, after each run of its scheduler."""

from __future__ import annotations

from pypes.observe import metrics
from pypes.observe.tallies import Tallies
from pypes.runtime.instance.timing import Timing
from pypes.runtime.scheduler import Scheduler
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.totals import packets_in, packets_out
from pypes.runtime.scheduler.wire import Wire


class _Seldom:
    """The tallies of one filter, and of the wires from it, that seldom change; most begin with their first value.

    A wire that was full has held up the filter before it.
    """

    def __init__(self, tallies: Tallies, graph: str, driver: Driver, wires: dict[str, Wire]) -> None:
        self._tallies = tallies
        self._graph = graph
        self._driver = driver
        self._wires = wires
        self._failures = tallies.counter(metrics.FILTER_FAILURES, graph, driver.name)
        self._is_resting = False

    def write(self) -> None:
        graph, name, meter = self._graph, self._driver.name, self._driver.meter
        self._failures.set(meter.failures)
        for metric, value in (
            (metrics.FILTER_RETRIES, meter.retries),
            (metrics.FILTER_PARKED, meter.parked_s),
            (metrics.FILTER_WAITING, meter.waiting_s),
        ):
            if value:
                self._tallies.counter(metric, graph, name).set(value)
        if meter.error_at:
            self._tallies.gauge(metrics.FILTER_LAST_ERROR, graph, name).set(meter.error_at)
        for label, wire in self._wires.items():
            if wire.parked_s:
                self._tallies.counter(metrics.WIRE_PARKED, graph, label).set(wire.parked_s)
        breaker = self._driver.broken.get(self._driver)
        self._rest(is_resting=breaker is not None and breaker.failures > 0)

    def _rest(self, *, is_resting: bool) -> None:
        if is_resting != self._is_resting:
            self._is_resting = is_resting
            self._tallies.gauge(metrics.FILTER_RESTING, self._graph, self._driver.name).set(is_resting)

    def end(self) -> None:
        """The filter is gone, and does not rest any more."""
        self._rest(is_resting=False)


class _Depths:
    """The packets that wait on the wires of a graph, and the bounds of these wires; a wire begins with the first that wait."""

    def __init__(self, tallies: Tallies, graph: str, wires: dict[str, Wire]) -> None:
        self._tallies = tallies
        self._graph = graph
        self._wires = wires
        #: Wires on which some waited the last time.
        self.deep: set[str] = set()

    def write(self) -> None:
        deep = {label for label, wire in self._wires.items() if wire.packets}
        for label in deep | self.deep:
            wire = self._wires[label]
            self._set(label, wire.packets, wire.capacity if wire.packets else 0)
        self.deep = deep

    def _set(self, label: str, depth: int, bound: int) -> None:
        self._tallies.gauge(metrics.WIRE_DEPTH, self._graph, label).set(depth)
        self._tallies.gauge(metrics.WIRE_BOUND, self._graph, label).set(bound)

    def end(self) -> None:
        """The graph is gone, and nothing waits any more."""
        for label in self.deep:
            self._set(label, 0, 0)


class Tallying:
    """The tallies of one graph in this process. A graph is in a process once, so that its counts are those of its scheduler.

    ``times`` are those of what is read only while somebody looks.
    """

    def __init__(self, tallies: Tallies, times: Tallies, scheduler: Scheduler) -> None:
        graph, drivers = scheduler.graph, scheduler.drivers
        self._timing = Timing(times, graph.name, drivers)
        self._clock = scheduler.core.clock
        self._news = scheduler.core.news
        self._ready = scheduler.core.ready
        wires = {
            f"{w.source}.{w.output}-{w.target}.{w.input}": wire for w, wire in zip(graph.wires, scheduler.wires, strict=True)
        }
        self._depths = _Depths(tallies, graph.name, wires)
        behind: dict[str, dict[str, Wire]] = {driver.name: {} for driver in drivers}
        for each, (label, wire) in zip(graph.wires, wires.items(), strict=True):
            behind[each.source][label] = wire
        self._seldom = {driver.meter: _Seldom(tallies, graph.name, driver, behind[driver.name]) for driver in drivers}
        publishers = [driver for driver in drivers if driver.is_publisher]
        # PERF: what comes to most filters, and goes from them, is what goes over one wire, or what they commit
        takers = [driver for driver in drivers if len(driver.wires) == 1]
        senders = [driver for driver in drivers if len(driver.outs) == 1 and not driver.is_publisher]
        ends = [driver for driver in publishers if not driver.outs]
        joins = [driver for driver in drivers if driver not in takers]
        forks = [driver for driver in drivers if driver not in senders and driver not in ends]
        self._meters = [driver.meter for driver in drivers]
        self._publishers = [driver.meter for driver in publishers]
        self._taken = [driver.wires[0] for driver in takers]
        self._sent = [*wires.values(), *(out.wires[0] for driver in senders for out in driver.outs.values())]
        self._committed = [driver.meter for driver in ends]
        self._joins, self._forks = joins, forks
        self._row = tallies.row(
            [
                *((metrics.FILTER_SECONDS, (graph.name, driver.name)) for driver in drivers),
                *((metrics.PUBLISHER_BATCHES, (graph.name, driver.name)) for driver in publishers),
                *((metrics.PUBLISHER_SECONDS, (graph.name, driver.name)) for driver in publishers),
                *((metrics.FILTER_IN, (graph.name, driver.name)) for driver in takers),
                *((metrics.WIRE_PACKETS, (graph.name, label)) for label in wires),
                *((metrics.FILTER_OUT, (graph.name, driver.name)) for driver in senders),
                *((metrics.FILTER_OUT, (graph.name, driver.name)) for driver in ends),
                *((metrics.FILTER_IN, (graph.name, driver.name)) for driver in joins),
                *((metrics.FILTER_OUT, (graph.name, driver.name)) for driver in forks),
            ]
        )

    def write(self) -> None:
        """Write what has changed. Called in the thread of the scheduler, between its runs."""
        # PERF: after each run, which may be that of a single document; so all in one go, in the order of the row
        values: list[float] = [meter.seconds for meter in self._meters]
        values += [meter.commits for meter in self._publishers]
        values += [meter.commit_s for meter in self._publishers]
        values += [wire.total for wire in self._taken]
        values += [wire.total - wire.fed for wire in self._sent]
        values += [meter.committed for meter in self._committed]
        if self._joins or self._forks:
            values += map(packets_in, self._joins)
            values += map(packets_out, self._forks)
        self._row.set(*values)
        self._timing.write()
        if self._news:
            self._write_news()
        # PERF: after most runs nothing waits
        if self._ready.waiting or self._ready.gathering or self._depths.deep:
            self._depths.write()

    def _write_news(self) -> None:
        """Write what happens seldom, of the filters to which it did, and of those that are held up."""
        now_s = self._clock()
        for meter in self._news:
            meter.up_to(now_s)
            self._seldom[meter].write()
        self._news.intersection_update([meter for meter in self._news if meter.held_up])

    def end(self) -> None:
        """The graph is torn down: write the last of it."""
        self.write()
        for each in self._seldom.values():
            each.end()
        self._depths.end()
