"""Tracking: of which documents nothing more can come to a filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypes.runtime.scheduler.core import Filter
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage


class DocumentTracker:
    """Tells which documents are final: fed completely, and carried by none of ``filters``.

    A document is final before a filter if none of its ancestors carries it, and behind it if the filter does not either.
    What travels in a derived epoch is made of documents that were held. With ``follows_holds`` a document counts as carried while
    it is held and while an epoch derived from its own is open; without, only what travels in the document's own epoch counts.
    What ``retries_of`` is to try again counts as carried, although that filter is not among ``filters``. ``before`` is the filter
    that they lead to: where there are none, documents are fed to it.

    PERF: nothing is counted while packets move; each question costs a look at what ``filters`` carry just then. So whoever asks
    does so once for many documents, and not again before something has moved.
    """

    __slots__ = ("_filters", "_follows_holds", "_retries_of", "_sources", "examined")

    def __init__(
        self, filters: Sequence[Filter], *, follows_holds: bool, retries_of: Filter | None = None, before: Filter | None = None
    ) -> None:
        self._filters = filters
        self._retries_of = retries_of
        self._follows_holds = follows_holds
        self._sources = [filter for filter in filters or (before,) if filter is not None and not filter.ancestors]
        #: The number of lineages that were looked at so far: the cost of all answers.
        self.examined = 0

    def final(self, epoch: Epoch, documents: Iterable[int], besides: Iterable[tuple[Epoch, Sequence[Lineage]]] = ()) -> set[int]:
        """Those of ``documents`` of an epoch that are final, and not among what is somewhere ``besides``."""
        left = set(documents)
        self.examined += len(left)
        if epoch.feeding:
            below = self._complete_below(epoch)
            left = {document for document in left if document < below}
        if self._retries_of is not None and self._retries_of.attempts:
            _remove([each.lineage for each in self._retries_of.attempts.values() if each.waiting and each.epoch is epoch], left)
        if left:
            self._leave_out(besides, epoch, left)
        for filter in self._filters:
            if not left:
                break
            self._leave_out(filter.carried(), epoch, left)
            self._leave_out_held(filter, epoch, left)
        return left

    def are_all_final(self, epoch: Epoch, documents: range) -> bool:
        """True if documents that follow one another are final; False where that takes a look at each of them.

        PERF: nothing is behind nearly every wave of a large delivery, so that its documents cost nothing here.
        """
        if not self._follows_holds or self._retries_of is not None:
            return False
        if epoch.feeding and self._complete_below(epoch) < documents.stop:
            return False
        for filter in self._filters:
            if filter.held or any(other is epoch or other.parents for other, _ in filter.carried()):
                return False
        return True

    def _complete_below(self, epoch: Epoch) -> int:
        """The ordinal below which documents have been fed wholly to whatever leads here."""
        if epoch.feed.complete is not None:
            return epoch.feed.complete()
        if epoch.at_barrier:
            return epoch.fed
        return min(epoch.entries.get(source.entry, 0) for source in self._sources)

    def _leave_out(self, carried: Iterable[tuple[Epoch, Sequence[Lineage]]], epoch: Epoch, left: set[int]) -> None:
        """Remove what is carried from ``left``."""
        for other, lineages in carried:
            if other is epoch:
                self.examined += len(lineages)
                _remove(lineages, left)
            elif self._follows_holds and other.parents:
                self._remove_roots(other, lineages, epoch, left)

    def _leave_out_held(self, filter: Filter, epoch: Epoch, left: set[int]) -> None:
        """Remove what a filter holds from ``left``."""
        if not self._follows_holds:
            if filter.is_derived_open(epoch):  # more may be sent in it
                left.clear()
            return
        for other, pairs in filter.held.items():
            self._remove_roots(other, [lineage for _, lineage in pairs], epoch, left)

    def _remove_roots(self, other: Epoch, lineages: Sequence[Lineage], epoch: Epoch, left: set[int]) -> None:
        for root, documents in other.roots(lineages):
            if root is epoch:
                left.difference_update(documents)


def _remove(lineages: Iterable[Lineage], left: set[int]) -> None:
    left.difference_update(lineages)
    for lineage in lineages:
        if type(lineage) is tuple:
            left.difference_update(lineage)
