"""Gathering: the sums of what all processes of a node have counted, those that have ended included.

Living processes are read without asking. When one has ended, its counts are added to what is kept, its file is removed, and
nothing in between can be seen: so no count is lost, and none is there twice. Gauges end with their process.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from pypes.observe.metrics import BY_NAME, Metric
from pypes.observe.tallies import Counted, Series, Tallies, TallyFile

log = logging.getLogger(__name__)

#: Series that are remembered, of graphs and filters that are gone included; beyond that those are forgotten.
MAX_SERIES: Final = 100_000

#: The place of values that nobody wants to know: of metrics that another version of Pypes has.
_NOWHERE: Final = 0


class _Source:
    """A process: what it has counted, and the place in the sums for each of its values."""

    def __init__(self, counted: Counted) -> None:
        self.counted = counted
        self.places: list[int] = []
        #: Those of which the greatest counts: the place among its own values, and in the sums.
        self.latest: list[tuple[int, int]] = []
        self.seen = 0


class Gathering:
    """Adds up the tallies of processes; ``own`` are those of this one. To be used in one thread."""

    def __init__(self, own: Tallies | None = None, metrics: Iterable[Metric] = tuple(BY_NAME.values())) -> None:
        #: The tallies of this process.
        self.own = own or Tallies()
        #: Changes whenever :attr:`places` does.
        self.revision = 0
        self._metrics = {metric.name: metric for metric in metrics}
        self._places: dict[Series, int] = {}
        #: The counts of processes that have ended.
        self._ended = array("d", [0.0])
        self._own = _Source(self.own)
        self._others: dict[str, _Source] = {}

    @property
    def places(self) -> Mapping[Series, int]:
        """The series there are, and where in the sums of :meth:`read` the first value of each is."""
        return self._places

    def join(self, path: str) -> None:
        """Count what is in the tally file of a process that is started, or runs."""
        if not path or path in self._others:
            return  # a process without a path counts in its own memory
        try:
            self._others[path] = _Source(TallyFile(path))
        except (OSError, ValueError) as error:
            log.warning("what a process counts cannot be read: %s", error, extra={"path": path})

    def leave(self, path: str) -> None:
        """Keep what is in the file of a process that has ended, and remove the file."""
        source = self._others.pop(path, None)
        if source is None:
            if path:
                Path(path).unlink(missing_ok=True)
            return
        values = self._look(source)
        ended, at = self._ended, 0
        for series in source.counted.series:
            metric = self._metric(series)
            if metric is not None and metric.kind != "gauge":
                place = self._places[series]
                for offset in range(series.width):
                    ended[place + offset] += values[at + offset]
            elif metric is not None and metric.is_latest:
                place = self._places[series]
                ended[place] = max(ended[place], values[at])
            at += series.width
        assert isinstance(source.counted, TallyFile)
        source.counted.remove()

    def look_for(self, folder: Path, pattern: str) -> None:
        """Count what is in files that match; those whose process has ended are kept and removed."""
        for path in sorted(map(str, folder.glob(pattern))):
            self.join(path)
            source = self._others.get(path)
            if source is not None and isinstance(source.counted, TallyFile) and source.counted.is_left():
                self.leave(path)

    def read(self) -> array[float]:
        """The sums now, at the places that :attr:`places` says."""
        read = [(source, self._look(source)) for source in (self._own, *self._others.values())]
        sums = array("d", self._ended)
        for source, values in read:
            # PERF: once for each value of each process
            for place, value in zip(source.places, values, strict=True):
                sums[place] += value
            for at, place in source.latest:
                sums[place] = max(sums[place], values[at])
        return sums

    def forget(self, is_wanted: Callable[[Series], bool]) -> None:
        """If there are more series than may be, forget those that are not wanted and no living process counts."""
        if len(self._places) <= MAX_SERIES:
            return
        counted = {series for source in (self._own, *self._others.values()) for series in source.counted.series}
        before, ended = self._places, self._ended
        self._places, self._ended = {}, array("d", [0.0])
        for series, place in before.items():
            if series in counted or is_wanted(series):
                here = self._place(series)
                self._ended[here : here + series.width] = ended[place : place + series.width]
        for source in (self._own, *self._others.values()):
            source.places, source.latest, source.seen = [], [], 0
        self.revision += 1

    def _look(self, source: _Source) -> array[float]:
        """The values of a process; series that are new have their places then."""
        values = source.counted.read()
        series = source.counted.series
        while source.seen < len(series):
            one = series[source.seen]
            metric = self._metric(one)
            if metric is None:
                source.places += [_NOWHERE] * one.width
            elif metric.is_latest:
                source.latest.append((len(source.places), self._place(one)))
                source.places.append(_NOWHERE)
            else:
                place = self._place(one)
                source.places += range(place, place + one.width)
            source.seen += 1
        return values

    def _metric(self, series: Series) -> Metric | None:
        """The metric of a series, if it is what this version has under the name."""
        metric = self._metrics.get(series.metric)
        fits = metric is not None and metric.width == series.width and len(metric.labels) == len(series.labels)
        return metric if fits else None

    def _place(self, series: Series) -> int:
        place = self._places.get(series)
        if place is None:
            place = self._places[series] = len(self._ended)
            self._ended.extend([0.0] * series.width)
            self.revision += 1
        return place
