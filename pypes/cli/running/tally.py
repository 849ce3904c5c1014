"""Tally: what has become of documents so far, and how instances report it."""

from __future__ import annotations

import msgspec

from pypes.observe import FilterTotal

#: Failures that are shown one by one.
SHOWN_FAILURES = 20


class Failed(msgspec.Struct, frozen=True):
    """A document that failed: its place in the input, the filter (empty if it could not be read), the code and the reason."""

    place: str
    filter: str
    code: str
    error: str


class Tally(msgspec.Struct):
    """Documents by their fate, and the bytes of input they were in.

    ``failures`` holds the first failures, ``counts`` what filters have counted, by filter and name, and ``filters`` their totals.
    """

    size: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    failures: list[Failed] = msgspec.field(default_factory=list)
    counts: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    filters: dict[str, FilterTotal] = msgspec.field(default_factory=dict)

    @property
    def documents(self) -> int:
        """Documents whose fate is known."""
        return self.published + self.dropped + self.failed

    def add(self, other: Tally) -> None:
        """Add another tally, which may become part of this one."""
        self.size += other.size
        self.published += other.published
        self.dropped += other.dropped
        self.failed += other.failed
        self.failures += other.failures[: SHOWN_FAILURES - len(self.failures)]
        for filter, counts in other.counts.items():
            totals = self.counts.setdefault(filter, {})
            for name, n in counts.items():
                totals[name] = totals.get(name, 0) + n
        for filter, total in other.filters.items():
            self.filters.setdefault(filter, FilterTotal()).add(total)


class Report(msgspec.Struct, tag=True):
    """Report of an instance: the portions that are done since the last one, and the state of those in the graph.

    ``open`` replaces that of the report before: documents of which something is published, or failed, already.
    """

    done: Tally
    portions: int
    open: Tally


class NotRunning(msgspec.Struct, frozen=True, tag=True):
    """Report of an instance that could not set up the graph."""

    message: str
    code: str
    where: str


class Standing:
    """The sum of what all instances have reported; any thread may read it."""

    def __init__(self) -> None:
        self._done = Tally()
        #: State of the portions in the graph, by instance.
        self._open: dict[int, Tally] = {}

    def add(self, report: Report, instance: int = 0) -> None:
        self._done.add(report.done)
        self._open[instance] = report.open

    @property
    def so_far(self) -> Tally:
        """The documents that are done, and as far as it is known already the fate of others."""
        found = Tally()
        for tally in (self._done, *[*self._open.values()]):
            found.add(tally)
        return found
