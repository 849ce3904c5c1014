"""Concluding: one filter that is told of documents when they are done everywhere in the graph, not only where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pypes.core.identity import Completed
from pypes.core.returned import unrun
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.listening import Listener, Open, Told, by_delivery
from pypes.runtime.scheduler.tracking import DocumentTracker

HOOK = "conclude"


class Concluding(Listener):
    """A filter whose component overrides ``conclude``, with the documents that are open.

    A document is due when no filter carries anything of it, and all that are told of complete documents were told of it. What a
    publisher has taken it carries until its commit. Others never wait for this: the one hold that an epoch has for its open
    documents is carried by no filter.
    """

    hook = HOOK

    def __init__(self, driver: Driver, drivers: Sequence[Driver], listeners: int, on_closed: Callable[[Open], None]) -> None:
        super().__init__(driver, on_closed)
        #: The same filter may be told of complete documents, too.
        self.bit = driver.bit << len(drivers)
        #: Bits of those that are told of complete documents before.
        self._listeners = listeners
        self._everywhere = DocumentTracker(drivers, follows_holds=True)

    def final(self, epoch: Epoch, documents: Mapping[int, Open]) -> set[int]:
        told = {ordinal for ordinal, each in documents.items() if not each.left & self._listeners}
        if not told or self._has_nothing_else(epoch):
            return told
        return self._everywhere.final(epoch, told)

    def _has_nothing_else(self, epoch: Epoch) -> bool:
        """PERF: True if an epoch has no holds but those of its feed and of its open documents."""
        is_known = not epoch.feeding or epoch.feed.complete is not None
        return is_known and epoch.holds == 1 + epoch.feeding

    def is_lost(self, epoch: Epoch, document: Open) -> bool:
        assert epoch.completions is not None
        is_spoiled = document.ordinal in epoch.completions.spoiled
        # what was committed in an earlier run need not have been all of it
        return is_spoiled or any(document.ordinal in documents for documents in epoch.feed.committed.values())

    def call(self, documents: Iterable[Open], told: Told) -> None:
        conclude = self.driver.component.conclude
        assert conclude is not None
        completed: list[Completed] = []
        for (epoch, _), each in by_delivery(list(documents)):
            completed += self.completed(epoch, self._heard(epoch, each))
            told.documents += each
        if not completed:
            return
        fault = unrun(conclude(completed), HOOK)
        if fault is not None:
            raise fault
        told.is_empty = False

    def give_up(self, document: Open, error: BaseException) -> None:
        """Nothing of the document is lost: it was published before."""
        self.tries = 0
        self.driver.component.log.error("conclude failed", exc_info=error)
        self.close(document)
