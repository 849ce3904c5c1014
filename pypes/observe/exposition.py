"""Exposition: metrics as text, in the format of Prometheus (0.0.4) and in OpenMetrics (1.0).

Both have the same samples; they differ in the lines before a family, and in the last line. Names with their labels are made once
and kept, since most of the work is in them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from pypes.observe.metrics import CATALOGUE, Metric
from pypes.observe.tallies import Series

PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

#: The last line of OpenMetrics.
EOF: Final = "# EOF\n"

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def head(metric: Metric, *, is_openmetrics: bool) -> str:
    """The lines before the samples of a metric."""
    name = metric.name
    if not is_openmetrics:
        return f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n"
    family = name.removesuffix("_total") if metric.kind == "counter" else name
    unit = f"# UNIT {family} {metric.unit}\n" if metric.unit else ""
    return f"# TYPE {family} {metric.kind}\n{unit}# HELP {family} {metric.help}\n"


def names_of(metric: Metric, values: Collection[str]) -> tuple[str, ...]:
    """The names with labels of the samples of a series: of a histogram its buckets, the sum and the count."""
    labels = ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in zip(metric.labels, values, strict=True))
    shown = f"{{{labels}}}" if labels else ""
    if metric.kind != "histogram":
        return (f"{metric.name}{shown}",)
    comma = "," if labels else ""
    bounds = (*map(repr, metric.buckets), "+Inf")
    buckets = [f'{metric.name}_bucket{{{labels}{comma}le="{bound}"}}' for bound in bounds]
    return (*buckets, f"{metric.name}_sum{shown}", f"{metric.name}_count{shown}")


def number(value: float) -> str:
    """A value as samples have it."""
    return str(int(value)) if value.is_integer() else repr(value)


def family(metric: Metric, samples: Mapping[tuple[str, ...], float], *, is_openmetrics: bool) -> str:
    """A counter or gauge with its samples by the values of their labels; nothing if there are none."""
    if not samples:
        return ""
    lines = [f"{names_of(metric, values)[0]} {number(float(value))}\n" for values, value in samples.items()]
    return head(metric, is_openmetrics=is_openmetrics) + "".join(lines)


class Table:
    """The series of sums that are shown, by metric and sorted by their labels.

    ``places`` says where in the sums the values of each series begin.
    """

    def __init__(
        self, places: Mapping[Series, int], is_shown: Callable[[Series], bool], catalogue: Iterable[Metric] = CATALOGUE
    ) -> None:
        by_metric: dict[str, list[Series]] = {}
        for series in places:
            if is_shown(series):
                by_metric.setdefault(series.metric, []).append(series)
        self._families: list[tuple[Metric, list[tuple[tuple[str, ...], int]]]] = []
        for metric in catalogue:
            if found := by_metric.get(metric.name):
                self._families.append((metric, [(names_of(metric, s.labels), places[s]) for s in sorted(found)]))

    def text(self, sums: array[float], *, is_openmetrics: bool) -> str:
        """All samples, each family after its head."""
        parts: list[str] = []
        for metric, rows in self._families:
            parts.append(head(metric, is_openmetrics=is_openmetrics))
            if metric.kind == "histogram":
                for names, place in rows:
                    parts += _histogram(names, sums[place : place + len(names) - 1])
            else:
                # PERF: nearly all series are here
                parts += [f"{name} {number(sums[place])}\n" for (name,), place in rows]
        return "".join(parts)


def _histogram(names: tuple[str, ...], values: array[float]) -> list[str]:
    """Samples of buckets, sum and count: each bucket with what is in those below it."""
    *buckets, total = values
    lines, count = [], 0.0
    for name, value in zip(names, buckets, strict=False):
        count += value
        lines.append(f"{name} {number(count)}\n")
    return [*lines, f"{names[-2]} {number(total)}\n", f"{names[-1]} {number(count)}\n"]
