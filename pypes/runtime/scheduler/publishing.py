"""Publishing: the part of a driver that has a component commit what it took, and tells of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pypes.core.returned import unrun
from pypes.runtime.scheduler.breaker import Breaker, Breakers
from pypes.runtime.scheduler.context import FilterContext
from pypes.runtime.scheduler.core import Filter
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.failing import Failing
from pypes.runtime.scheduler.inheriting import Inheriting
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.observing import Observation
from pypes.runtime.scheduler.published import Published, without_committed


class Publishing(FilterContext):
    """The part of a :class:`Driver` that publishes."""

    __slots__ = ("broken", "commits", "is_remembered", "observation", "published", "reports", "resting", "unaccounted")

    #: False for publishers that only say that they are, as in the original style: what they took counts when their turn ends.
    commits: bool
    failing: Failing
    inheriting: Inheriting | None
    #: Most packets that a publisher takes at once.
    most: int
    #: True if the documents that it has committed are not given to it again in another run.
    is_remembered: bool
    #: True if they are reported, too.
    reports: bool
    published: Published | None
    observation: Observation | None
    resting: Breakers
    #: The filters that rest; PERF: asked often, and nearly always empty.
    broken: Mapping[Filter, Breaker]
    #: Packets of this turn that are committed after those of the present commit.
    unaccounted: tuple[Epoch, Sequence[Lineage]] | None

    def to_publish(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> tuple[list[Any], Sequence[Lineage]]:
        """Of packets that were taken, those that are to be published in this turn; what is too much goes back."""
        if self.core.reruns and self.is_remembered:
            values, lineages = without_committed(self.name, epoch, values, lineages)
        if self.inheriting is not None and values:
            values, lineages = self.inheriting.without_missing(self.failing.dead_letter, epoch, values, lineages)
        if len(values) > self.most:  # from a wire that had to grow
            wave = self.core.limits.wave_packets
            self.put_back(values[wave:], lineages[wave:])
            values, lineages = values[:wave], lineages[:wave]
        return values, lineages

    def commit(self) -> None:
        """Have the component commit, if it does; raises what that raises."""
        clock, meter = self.core.clock, self.meter
        began_s = clock()
        result = self.component.commit() if self.commits else None  # type: ignore[attr-defined]
        if result is not None:
            _check(result)
        meter.commit_s += clock() - began_s
        meter.commits += 1

    def publish(self, lineages: Sequence[Lineage]) -> None:
        """Commit what this turn took, and what it completes, and report it."""
        assert self.epoch is not None
        told = None if self.listener is None else self.listener.tell_with(self.epoch, lineages)
        # PERF: as commit(), without the call
        clock, meter = self.core.clock, self.meter
        began_s = clock()
        result = self.component.commit() if self.commits else None  # type: ignore[attr-defined]
        if result is not None:
            _check(result)
        meter.commit_s += clock() - began_s
        meter.commits += 1
        meter.committed += len(lineages)
        if told is not None:
            self.listener.settle(told)  # type: ignore[union-attr]
        self.epoch.publish(self.name, lineages)
        for trace in self.epoch.traces:
            trace.committed(self.epoch, self.name, lineages)
        if self.observation is not None:
            self.observation.committed(self.name, len(lineages))
        if self.broken:
            self.resting.succeed(self)
        if self.narrowing is not None:
            self.narrowing.got_through()
        if self.reports:
            self.published.add(self, self.epoch, lineages)  # type: ignore[union-attr]


def _check(result: Any) -> None:
    """Raise the fault of a ``commit`` that has not run."""
    if (fault := unrun(result, "commit")) is not None:
        raise fault
