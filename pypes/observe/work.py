"""The work of filters between two answers of ``GET /status``: which are busy, how long a packet takes, which cannot go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FilterRate:
    """A filter over some time: packets and failures per second, seconds of work, of waiting for calls and of rest per second.

    Those of several instances add up, and so do calls at once, so that each may be over 1. ``done`` are packets that were sent
    on or failed, per second.
    """

    graph: str
    filter: str
    packets: float
    failures: float
    busy: float
    waiting: float
    parked: float
    done: float = 0.0

    @property
    def packet_s(self) -> float | None:
        """Seconds that a packet took, its calls included; ``None`` if there was none."""
        return (self.busy + self.waiting) / self.packets if self.packets else None

    @property
    def done_s(self) -> float | None:
        """Seconds of work for a packet that is done: in a pool others may have come, and are still waiting."""
        done = self.done + self.failures
        return (self.busy + self.waiting) / done if done else None

    @property
    def is_idle(self) -> bool:
        return not (self.packets or self.failures or self.busy or self.waiting or self.parked)


def places(status: Mapping[str, Any], graph: str, filter: str) -> int:
    """The number of processes of the pool of a filter, or of instances that run its graph; at least 1."""
    for pool in status["pools"]:
        if f"{graph}.{filter}" in pool["filters"]:
            return len(pool["workers"]) or 1
    return sum(graph in each["graphs"] for each in status["instances"] if each["state"] == "ready") or 1


_COUNTS = ("packets_in", "failures", "seconds", "waiting_s", "parked_s", "packets_out")


def filter_rates_lately(status: Mapping[str, Any]) -> list[FilterRate]:
    """The filters of all graphs within the last minute, as one answer of ``GET /status`` tells; as :func:`filter_rates`."""
    lately = status.get("lately")
    if not lately or lately["seconds"] <= 0:
        return []
    return _sorted(
        FilterRate(graph, filter, *(max(0, counts[name]) / lately["seconds"] for name in _COUNTS))
        for graph, filters in lately["work"].items()
        for filter, counts in filters.items()
    )


def filter_rates(before: Mapping[str, Any], after: Mapping[str, Any], seconds: float) -> list[FilterRate]:
    """The filters of all graphs within ``seconds``, those that worked most first; none if the node has been started meanwhile."""
    if seconds <= 0 or before["pid"] != after["pid"] or after["uptime_s"] < before["uptime_s"]:
        return []
    found = []
    for graph, work in after["work"].items():
        former = before["work"].get(graph, {"filters": {}})["filters"]
        for filter, counts in work["filters"].items():
            old = former.get(filter, {})
            # a filter that is new has begun at nothing, and one that came back may have begun anew
            parts = (max(0, counts[name] - old.get(name, 0)) / seconds for name in _COUNTS)
            found.append(FilterRate(graph, filter, *parts))
    return _sorted(found)


def _sorted(rates: Iterable[FilterRate]) -> list[FilterRate]:
    return sorted(rates, key=lambda rate: (-rate.busy - rate.waiting, -rate.parked, rate.graph, rate.filter))
