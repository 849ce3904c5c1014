"""The work of filters between two answers of ``GET /status``: which are busy, how long a packet takes, which cannot go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FilterRate:
    """A filter over some time: packets and failures per second, seconds of work, of waiting for calls and of rest per second.

    Those of several instances add up, and so do calls at once, so that each may be over 1.
    """

    graph: str
    filter: str
    packets: float
    failures: float
    busy: float
    waiting: float
    parked: float

    @property
    def packet_s(self) -> float | None:
        """Seconds that a packet took, its calls included; ``None`` if there was none."""
        return (self.busy + self.waiting) / self.packets if self.packets else None

    @property
    def is_idle(self) -> bool:
        return not (self.packets or self.failures or self.busy or self.waiting or self.parked)


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
            parts = (
                max(0, counts[name] - old.get(name, 0)) / seconds
                for name in ("packets_in", "failures", "seconds", "waiting_s", "parked_s")
            )
            found.append(FilterRate(graph, filter, *parts))
    return sorted(found, key=lambda rate: (-rate.busy - rate.waiting, -rate.parked, rate.graph, rate.filter))
