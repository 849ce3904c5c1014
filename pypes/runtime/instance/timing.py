"""Timing: the time that packets took at each filter of a graph, as histograms in a file that others read while somebody looks.

Counted after each run of a scheduler, from what its meters and wires have counted: the time that a filter has spent in the run is
shared evenly by the packets that it is through with. So a slow packet among fast ones of the same run is not told apart; one that
takes longer than a slice of a run has that by itself.
"""

from __future__ import annotations

from pypes.observe import metrics
from pypes.observe.tallies import Histogram, Tallies
from pypes.runtime.scheduler.concurrent_driver import ConcurrentDriver
from pypes.runtime.scheduler.driver import Driver


class _Filter:
    """One filter: the time that it had spent, and the packets that it was through with, when its histogram was changed last."""

    __slots__ = ("_concurrent", "_done", "_graph", "_histogram", "_name", "_tallies", "_wire", "_wires", "meter", "spent_s")

    def __init__(self, tallies: Tallies, graph: str, driver: Driver) -> None:
        self._tallies = tallies
        self._graph = graph
        self._name = driver.name
        #: PERF: nearly all have one.
        self._wire, self._wires = driver.wires[0], driver.wires[1:]
        self._concurrent = driver if isinstance(driver, ConcurrentDriver) else None
        self.meter = driver.meter
        #: Made with the first packets: of filters that never work there is none.
        self._histogram: Histogram | None = None
        self._done = 0
        self.spent_s = 0.0

    def count(self, spent_s: float) -> None:
        """Share out what it has spent since the last time; what no packet has come of belongs to those that come next."""
        done = self._wire.total - self._wire.packets
        for wire in self._wires:
            done += wire.total - wire.packets
        if (driver := self._concurrent) is not None:  # what it has taken, it is not through with
            done -= len(driver.items) + (0 if driver.todo is None else len(driver.todo[1]))
        packets = done - self._done
        if packets <= 0:  # less where some were put back, to be tried again
            return
        if self._histogram is None:
            self._histogram = self._tallies.histogram(metrics.PACKET_SECONDS, self._graph, self._name)
        self._histogram.observe((spent_s - self.spent_s) / packets, packets)
        self._done, self.spent_s = done, spent_s


class Timing:
    """The histograms of one graph in this process."""

    def __init__(self, tallies: Tallies, graph: str, drivers: list[Driver]) -> None:
        self._filters = [_Filter(tallies, graph, driver) for driver in drivers]

    def write(self) -> None:
        """Count what has been spent since the last time. Called in the thread of the scheduler, between its runs."""
        for each in self._filters:
            # PERF: the time in the code, and of calls beside the graph; mostly all that have worked are through with it
            meter = each.meter
            spent_s = meter.seconds + meter.waiting_s
            if spent_s != each.spent_s:
                each.count(spent_s)
