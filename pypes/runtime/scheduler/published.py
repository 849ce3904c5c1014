"""Published documents: those that a publisher will not see again, although their epoch goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pypes.runtime.scheduler.breaker import Breakers
from pypes.runtime.scheduler.core import Filter
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.tracking import DocumentTracker


class Published:
    """Reports the documents that publishers have committed, as soon as nothing made of them is on its way to these any more.

    A document counts as soon as it was in a commit; the rows of a table, all one document, are reported with the last of them.
    """

    def __init__(self, call: Callable[[Epoch, str, Sequence[int]], None], resting: Breakers) -> None:
        self._call = call
        self._resting = resting
        #: Commits since the last report.
        self.fresh: list[tuple[Filter, Epoch, Sequence[Lineage]]] = []
        #: Committed, but more is to come: by epoch (those that were fed) and publisher.
        self.open: dict[Epoch, dict[Filter, set[int]]] = {}
        self._trackers: dict[Filter, DocumentTracker] = {}

    def add(self, filter: Filter, epoch: Epoch, lineages: Sequence[Lineage]) -> None:
        self.fresh.append((filter, epoch, lineages))

    def forget(self, epoch: Epoch) -> None:
        """An epoch is done."""
        self.open.pop(epoch, None)

    def report(self) -> None:
        """Report what is final. Called between turns."""
        # PERF: most epochs are done by now
        fresh = [each for each in self.fresh if each[1].is_open or each[1].parents]
        self.fresh.clear()
        if not fresh and not self.open:
            return
        committing = {filter for filter, _, _ in fresh}
        for filter, epoch, lineages in fresh:
            if type(lineages) is range and self._are_final(filter, epoch, lineages):
                self._call(epoch, filter.name, lineages)
                continue
            for root, documents in epoch.roots(lineages):
                if root.is_open:
                    self.open.setdefault(root, {}).setdefault(filter, set()).update(documents)
        for root, publishers in list(self.open.items()):
            for filter, committed in list(publishers.items()):
                if filter in self._resting.open and filter not in committing:
                    continue  # PERF: what waits for one that rests may be much, and looking at it again tells nothing new
                final = self._final(root, filter, committed)
                if not final:
                    continue
                committed -= final
                if not committed:
                    del publishers[filter]
                self._call(root, filter.name, sorted(final))
            if not publishers:
                del self.open[root]

    def _are_final(self, filter: Filter, epoch: Epoch, documents: range) -> bool:
        """True if all of these are as :meth:`_final` says, where that is plain to see."""
        is_simple = not epoch.parents and epoch not in self.open and epoch.refused is None and filter.listener is None
        return is_simple and self._tracker_of(filter).are_all_final(epoch, documents)

    def _tracker_of(self, filter: Filter) -> DocumentTracker:
        tracker = self._trackers.get(filter)
        if tracker is None:
            tracker = self._trackers[filter] = DocumentTracker((filter, *filter.ancestors), follows_holds=True)
        return tracker

    def _final(self, root: Epoch, filter: Filter, committed: set[int]) -> set[int]:
        """Those of ``committed`` of which nothing failed here and nothing more can come."""
        tracker = self._tracker_of(filter)
        refused = root.refused.get(filter.name) if root.refused is not None else None
        left = committed - refused if refused else committed
        if filter.listener is not None:  # in another run it is to be told of those again
            left = left - filter.listener.open.get(root, {}).keys()
        return tracker.final(root, left)


def without_committed(
    publisher: str, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]
) -> tuple[list[Any], Sequence[Lineage]]:
    """Leave out packets of which a publisher has committed all documents in an earlier run; they count as published."""
    skipped = [lineage for lineage in lineages if epoch.has_committed(publisher, lineage)]
    if not skipped:
        return values, lineages
    epoch.publish(publisher, skipped)
    left = [(v, o) for v, o in zip(values, lineages, strict=True) if not epoch.has_committed(publisher, o)]
    return [value for value, _ in left], [lineage for _, lineage in left]
