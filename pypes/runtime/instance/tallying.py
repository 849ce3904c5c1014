"""Tallying: puts what the filters and wires of a graph have counted where others read it, after each run of its scheduler."""

from __future__ import annotations

from pypes.observe import metrics
from pypes.observe.tallies import Tallies
from pypes.runtime.scheduler import Scheduler
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.wire import Wire


class _FilterRow:
    """The tallies of one filter. Those that are 0 for most filters begin with their first value."""

    __slots__ = (
        "_commit_s_tally",
        "_commits_tally",
        "_driver",
        "_failures",
        "_is_resting",
        "_labels",
        "_tallies",
        "commits",
        "committed",
        "events",
        "meter",
        "packets_in",
        "packets_out",
        "seconds",
        "seconds_tally",
    )

    def __init__(self, tallies: Tallies, graph: str, driver: Driver) -> None:
        self._tallies = tallies
        self._labels = labels = graph, driver.name
        self._driver = driver
        self.meter = driver.meter
        self.packets_in = tallies.counter(metrics.FILTER_IN, *labels)
        self.packets_out = tallies.counter(metrics.FILTER_OUT, *labels)
        self.seconds_tally = tallies.counter(metrics.FILTER_SECONDS, *labels)
        self._failures = tallies.counter(metrics.FILTER_FAILURES, *labels)
        #: As they were when they were written last.
        self.seconds, self.events, self.commits, self.committed = 0.0, 0, 0, 0
        self._is_resting = False
        if driver.is_publisher:
            self._commits_tally = tallies.counter(metrics.PUBLISHER_BATCHES, *labels)
            self._commit_s_tally = tallies.counter(metrics.PUBLISHER_SECONDS, *labels)

    def write_commits(self) -> None:
        """Write the commits of a publisher."""
        meter = self.meter
        self.commits = meter.commits
        self.packets_out.add(meter.committed - self.committed)
        self.committed = meter.committed
        self._commits_tally.set(meter.commits)
        self._commit_s_tally.set(meter.commit_s)

    def write_events(self) -> None:
        """Write what happens seldom."""
        meter = self.meter
        self.events = meter.events
        self._failures.set(meter.failures)
        for metric, value in (
            (metrics.FILTER_RETRIES, meter.retries),
            (metrics.FILTER_PARKED, meter.parked_s),
            (metrics.FILTER_WAITING, meter.waiting_s),
        ):
            if value:
                self._tallies.counter(metric, *self._labels).set(value)
        if meter.error_at:
            self._tallies.gauge(metrics.FILTER_LAST_ERROR, *self._labels).set(meter.error_at)
        breaker = self._driver.broken.get(self._driver)
        self._rest(is_resting=breaker is not None and breaker.failures > 0)

    def _rest(self, *, is_resting: bool) -> None:
        if is_resting != self._is_resting:
            self._is_resting = is_resting
            self._tallies.gauge(metrics.FILTER_RESTING, *self._labels).set(is_resting)

    def end(self) -> None:
        """The filter is gone, and does not rest any more."""
        self._rest(is_resting=False)


class _WireRow:
    """The tallies of one wire, and of the filters at its ends.

    ``source`` counts what goes over it as sent: the first wire of a port counts for all of them. One that only feeds use has no
    ``packets``, and no source.
    """

    __slots__ = ("_labels", "_tallies", "packets", "parked_s", "sent", "source", "target", "total", "wire")

    def __init__(
        self, tallies: Tallies, labels: tuple[str, str], wire: Wire, source: _FilterRow | None, target: _FilterRow
    ) -> None:
        self._tallies = tallies
        self._labels = labels
        self.wire = wire
        self.source = source.packets_out if source is not None else None
        self.target = target.packets_in
        self.packets = tallies.counter(metrics.WIRE_PACKETS, *labels) if labels[1] else None
        #: As they were when they were written last.
        self.total = self.sent = 0
        self.parked_s = 0.0

    def write(self) -> None:
        wire = self.wire
        self.target.add(wire.total - self.total)
        self.total = wire.total
        if self.packets is not None:
            sent = wire.total - wire.fed
            if self.source is not None:
                self.source.add(sent - self.sent)
            self.sent = sent
            self.packets.set(sent)
        if wire.parked_s != self.parked_s:
            self.parked_s = wire.parked_s
            self._tallies.counter(metrics.WIRE_PARKED, *self._labels).set(wire.parked_s)


class Tallying:
    """The tallies of one graph in this process. A graph is in a process once, so that its counts are those of its scheduler."""

    def __init__(self, tallies: Tallies, scheduler: Scheduler) -> None:
        self._clock = scheduler.core.clock
        graph = scheduler.graph.name
        rows = {driver.name: _FilterRow(tallies, graph, driver) for driver in scheduler.drivers}
        self._filters = [*rows.values()]
        self._publishers = [rows[driver.name] for driver in scheduler.drivers if driver.is_publisher]
        first = {id(out.wires[0]) for driver in scheduler.drivers for out in driver.outs.values()}
        self._wires = [
            _WireRow(
                tallies,
                (graph, f"{each.source}.{each.output}-{each.target}.{each.input}"),
                wire,
                rows[each.source] if id(wire) in first else None,
                rows[each.target],
            )
            for each, wire in zip(scheduler.graph.wires, scheduler.wires, strict=True)
        ]
        for driver in scheduler.drivers:
            if driver.entry not in scheduler.wires:
                self._wires.append(_WireRow(tallies, (graph, ""), driver.entry, None, rows[driver.name]))

    def write(self) -> None:
        """Write what has changed. Called in the thread of the scheduler, between its runs."""
        # PERF: after each run, which may be that of a single document
        for row in self._wires:
            wire = row.wire
            if wire.total != row.total or wire.parked_s != row.parked_s:
                row.write()
        for filter in self._filters:
            meter = filter.meter
            if meter.seconds != filter.seconds:
                filter.seconds = meter.seconds
                filter.seconds_tally.set(meter.seconds)
            if meter.held_up:
                meter.up_to(self._clock())
            if meter.events != filter.events:
                filter.write_events()
        for filter in self._publishers:
            if filter.meter.commits != filter.commits:
                filter.write_commits()

    def end(self) -> None:
        """The graph is torn down: write the last of it."""
        self.write()
        for each in self._filters:
            each.end()
