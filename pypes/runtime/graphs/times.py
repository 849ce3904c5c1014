"""Times: how long packets take at the filters of a graph, read from the files of the instances that run it."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable
from typing import Any

from pypes.observe.metrics import PACKET_SECONDS
from pypes.observe.tallies import TallyFile


def times_of(graph: str, filters: Collection[str], paths: Iterable[str]) -> dict[str, Any]:
    """``{graph, bounds_s, filters}``: by filter ``packets``, the ``seconds`` of all of them, and ``counts`` of the buckets.

    ``counts`` has one more than ``bounds_s``. A file that is gone is passed over: its instance has ended meanwhile.
    """
    sums: dict[str, array[float]] = {}
    for path in paths:
        try:
            file = TallyFile(path)
        except (OSError, ValueError):
            continue
        values, at = file.read(), 0
        for series in file.series:
            if series.metric == PACKET_SECONDS.name and series.labels[0] == graph and series.width == PACKET_SECONDS.width:
                total = sums.setdefault(series.labels[1], array("d", bytes(8 * series.width)))
                for place in range(series.width):
                    total[place] += values[at + place]
            at += series.width
        file.close()
    found = {name: [*map(int, total[:-1])] for name, total in sorted(sums.items()) if name in filters}
    return {
        "graph": graph,
        "bounds_s": PACKET_SECONDS.buckets,
        "filters": {
            name: {"packets": sum(counts), "seconds": round(sums[name][-1], 6), "counts": counts}
            for name, counts in found.items()
        },
    }
