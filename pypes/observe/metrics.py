"""Metrics: the catalogue of all that ``GET /metrics`` shows, with kind, unit, help and labels of each.

Names follow the conventions of Prometheus: counters end in ``_total``, units are seconds, bytes or nothing. A metric with labels
becomes one series for each combination of their values, so that every label has few values: names of graphs and filters, words
of this file, statuses; never ids, addresses or texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``name`` is that of its samples: of a histogram the part before ``_bucket``, ``_sum`` and ``_count``.

    ``unit`` is ``seconds``, ``bytes`` or empty. ``buckets`` are the upper bounds of a histogram, without the infinite one.
    Series of several processes are added up; with ``is_latest`` the greatest of them counts, such as the time of the last error.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()
    is_latest: bool = False

    @property
    def width(self) -> int:
        """Numbers that one series has: those of a histogram are its buckets, the infinite one too, and the sum."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1


_FILTER: Final = ("graph", "filter")

# -- filters and wires, counted where the graphs run ------------------------------------------------------

FILTER_IN: Final = Metric(
    "pypes_filter_packets_in_total", "counter", "Packets given to a filter; one that is given again counts again.", _FILTER
)
FILTER_OUT: Final = Metric(
    "pypes_filter_packets_out_total",
    "counter",
    "Packets that a filter has sent on, or committed if it is a publisher; one that goes on several wires counts once.",
    _FILTER,
)
FILTER_SECONDS: Final = Metric(
    "pypes_filter_seconds_total", "counter", "Time in the code of a filter, in pool workers too.", _FILTER, "seconds"
)
FILTER_FAILURES: Final = Metric(
    "pypes_filter_failures_total", "counter", "Packets that have failed at a filter for good and are dead letters.", _FILTER
)
FILTER_RETRIES: Final = Metric("pypes_filter_retries_total", "counter", "Packets that a filter was to be given again.", _FILTER)
FILTER_PARKED: Final = Metric(
    "pypes_filter_parked_seconds_total",
    "counter",
    "Time in which a filter had work and could not go on: full wires behind it, a service that is down.",
    _FILTER,
    "seconds",
)
FILTER_RESTING: Final = Metric(
    "pypes_filter_resting", "gauge", "Instances in which a filter rests because the service behind it is down.", _FILTER
)
FILTER_LAST_ERROR: Final = Metric(
    "pypes_filter_last_error_time_seconds",
    "gauge",
    "Time of the last error of a filter, in seconds since 1970.",
    _FILTER,
    "seconds",
    is_latest=True,
)
PUBLISHER_BATCHES: Final = Metric("pypes_publisher_batches_total", "counter", "Commits of a publisher.", _FILTER)
PUBLISHER_SECONDS: Final = Metric(
    "pypes_publisher_commit_seconds_total", "counter", "Time in the commits of a publisher.", _FILTER, "seconds"
)
WIRE_PACKETS: Final = Metric("pypes_wire_packets_total", "counter", "Packets that went over a wire.", ("graph", "wire"))
WIRE_PARKED: Final = Metric(
    "pypes_wire_parked_seconds_total", "counter", "Time for which senders waited at a full wire.", ("graph", "wire"), "seconds"
)

#: All metrics, in the order in which they are shown.
CATALOGUE: Final[tuple[Metric, ...]] = (
    FILTER_IN,
    FILTER_OUT,
    FILTER_SECONDS,
    FILTER_FAILURES,
    FILTER_RETRIES,
    FILTER_PARKED,
    FILTER_RESTING,
    FILTER_LAST_ERROR,
    PUBLISHER_BATCHES,
    PUBLISHER_SECONDS,
    WIRE_PACKETS,
    WIRE_PARKED,
)
