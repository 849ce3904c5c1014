"""Totals: what the filters of a running graph have counted, as whoever runs it wants to know."""

from __future__ import annotations

from collections.abc import Sequence

from pypes.observe import FilterTotal, Totals
from pypes.runtime.scheduler.driver import Driver


def packets_in(driver: Driver) -> int:
    """Packets that came to a filter, from others and from feeds."""
    return sum(wire.total for wire in driver.wires)


def packets_out(driver: Driver) -> int:
    """Packets that a filter has sent on, or committed: on each of a port's wires the same go on."""
    return driver.meter.committed + sum(out.wires[0].total - out.wires[0].fed for out in driver.outs.values())


def total_of(driver: Driver) -> FilterTotal:
    """Totals of one filter."""
    meter = driver.meter
    return FilterTotal(packets_in(driver), packets_out(driver), meter.dropped, meter.failures, meter.seconds, meter.waiting_s)


def totals_of(drivers: Sequence[Driver]) -> Totals:
    """Totals of the filters of a graph."""
    return Totals(lambda: {driver.name: total_of(driver) for driver in drivers})
