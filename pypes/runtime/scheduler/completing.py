"""Completing: components are told of documents of which nothing more can come to them, or to any filter.

A filter is told of a document when that is final behind it (see :class:`DocumentTracker`), also where nothing of it ever came
there. A publisher that commits the last of a document is told in that turn, before the commit, so that one transaction serves
both (:meth:`Listener.tell_with`). All others are told between their turns (:meth:`Completing.run`), in a greenlet of their own,
so that they may wait for a call; the filter does not run meanwhile. Last of all come those that are told when a document is done
everywhere (:class:`Concluding`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from pypes.component import is_told
from pypes.core.identity import Identity
from pypes.core.raised import Raised
from pypes.errors import Retry
from pypes.runtime.scheduler.breaker import MOST_ASIDE, Breakers, charged
from pypes.runtime.scheduler.completions import Completions
from pypes.runtime.scheduler.concluding import Concluding
from pypes.runtime.scheduler.core import Core, is_no_failure
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.failing import backoff_s
from pypes.runtime.scheduler.feed import BARRIER
from pypes.runtime.scheduler.listening import Listener, Open
from pypes.runtime.scheduler.telling import Telling

#: Documents that may wait to be told of at a filter that cannot take the news, before feeds wait for it.
MOST_UNTOLD: Final = 10_000


class Completing:
    """The filters of a graph that are told of complete documents, and the documents of which they have yet to be told.

    An epoch has one hold for all of its documents that are open, whichever filters are to be told of them.
    """

    def __init__(
        self,
        core: Core,
        resting: Breakers,
        drivers: Sequence[Driver],
        begin: Callable[[Driver], None],
    ) -> None:
        self._core = core
        self._resting = resting
        #: Called before a filter is told between its turns.
        self._begin = begin
        self.listeners = [Listener(driver, self._closed) for driver in drivers if driver.component.complete is not None]
        for listener in self.listeners:
            listener.driver.listener = listener
        self._bits = sum(listener.bit for listener in self.listeners)
        concluding = [
            Concluding(driver, drivers, self._bits, self._closed) for driver in drivers if driver.component.conclude is not None
        ]
        self.listeners += concluding
        self._last_bits = sum(listener.bit for listener in concluding)
        #: True if documents without an id are to be in the feeds; those that are told last are told of them.
        self.tells_nameless = bool(concluding)
        self._bits += self._last_bits
        #: The epochs with documents that are open.
        self.open: dict[Epoch, Completions] = {}
        #: The newest version of each document that is open.
        self._newest: dict[Identity, Open] = {}
        self._resumable: deque[Telling] = deque()

    # -- documents come and go ------------------------------------------------------------------------------

    def submit(self, epoch: Epoch) -> None:
        """Follow an epoch that is to be fed."""
        feed = epoch.feed
        if feed.identities is not None:
            completions = epoch.completions = Completions(feed.identities)
            feed.batches = self._following(epoch, completions, feed.batches)

    def _following(self, epoch: Epoch, completions: Completions, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches of an epoch; its documents are taken up with the batch that completes them."""
        complete, fed = epoch.feed.complete, 0
        try:
            for batch in batches:
                if batch is not BARRIER and batch[2]:
                    fed = max(fed, batch[2][-1] + 1)
                self._take_up(epoch, completions, fed if complete is None else complete())
                yield batch
        except Exception:
            self._take_up(epoch, completions, epoch.feed.documents)
            raise
        self._take_up(epoch, completions, epoch.feed.documents)

    def _take_up(self, epoch: Epoch, completions: Completions, below: int) -> None:
        if not (fresh := completions.fresh(below)):
            return
        if epoch not in self.open:
            self.open[epoch] = completions
            epoch.acquire()
        completions.open += len(fresh)
        found = {ordinal: self._line_up(epoch, ordinal, completions) for ordinal in fresh}
        named = {ordinal: each for ordinal, each in found.items() if each.known.document.id} if self.tells_nameless else found
        for listener in self.listeners:
            if documents := found if listener.bit & self._last_bits else named:
                listener.add(epoch, documents)

    def _line_up(self, epoch: Epoch, ordinal: int, completions: Completions) -> Open:
        """A document that is open from now on, behind older versions of it that are, and before newer ones."""
        known = completions.known[ordinal]
        if not known.document.id:  # a document of its own
            return Open(epoch, ordinal, known, self._last_bits)
        document = Open(epoch, ordinal, known, self._bits)
        newest = self._newest.get(document.known.document)
        if newest is None or newest.known.version <= document.known.version:
            document.older = newest
            self._newest[document.known.document] = document
            return document
        while newest.older is not None and newest.older.known.version > document.known.version:
            newest = newest.older
        document.older, newest.older = newest.older, document
        return document

    def _closed(self, document: Open) -> None:
        """Every filter has been told of a document."""
        document.older = None
        if self._newest.get(document.known.document) is document:
            del self._newest[document.known.document]
        completions = self.open[document.epoch]
        ordinal = document.ordinal
        completions.known.pop(ordinal, None)
        if completions.spoiled or completions.kept:  # PERF: neither, as a rule
            completions.spoiled.pop(ordinal, None)
            completions.kept.pop(ordinal, None)
        completions.open -= 1
        if not completions.open:
            del self.open[document.epoch]
            document.epoch.release()

    def forget(self, epoch: Epoch) -> None:
        """An epoch was ended by force: nobody is told of what is left of it."""
        if self.open.pop(epoch, None) is None:
            return
        for listener in self.listeners:
            for document in listener.forget(epoch):
                document.left, document.older = 0, None
                if self._newest.get(document.known.document) is document:
                    del self._newest[document.known.document]

    # -- between turns --------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Tell every filter that can be told now; True if anything moved. Called between the turns of filters."""
        try:
            return self._run()
        except BaseException:
            self._core.runner = (
                None  # whoever called `Scheduler.run` is interrupted; another runner goes on if it is called again
            )
            raise

    def _run(self) -> bool:
        moved = False
        while self._resumable:
            self._core.turns += 1  # others may be told now
            self._resumable.popleft().go_on()
            moved = True
        for listener in self.listeners:
            driver = listener.driver
            if not listener.open or driver.blocks or driver.epoch is not None:
                continue
            if due := listener.due():
                self._begin(driver)
                self._core.turns += 1
                Telling(listener, self._resumable.append, partial(self._tell, listener, due)).go_on()
                moved = True
        return moved

    def _tell(self, listener: Listener, documents: Sequence[Open]) -> None:
        """Tell a filter of documents, and have it commit; those that it fails over are given up one by one."""
        error = self._try(listener, documents)
        if error is None:
            return
        if listener.driver.failing.is_unreachable(error):
            self._rest(listener, documents, error)
            return
        if self._waits(listener, error):
            return
        if len(documents) > 1:
            for document in documents:
                self._core.turns += 1
                error = self._try(listener, (document,))
                if error is not None:
                    if listener.driver.failing.is_unreachable(error):
                        self._rest(listener, (document,), error)
                        return
                    if self._waits(listener, error):
                        return
                    listener.give_up(document, error)
        else:
            listener.give_up(documents[0], error)

    def _rest(self, listener: Listener, documents: Sequence[Open], error: BaseException) -> None:
        """The service of a filter cannot be reached: tell it again later, of documents that it alone cannot take not for ever."""
        patience = listener.patience
        for document in [each for each in documents if each in patience.hopeless]:
            listener.give_up(document, charged(error))
        documents = [each for each in documents if each.left & listener.bit]
        if not documents:
            return
        if patience.is_over(documents[0]):
            passed, failed = self._one_by_one(listener, documents, error)
            most, least_s = listener.driver.failing.most_attempts, self._resting.patience_s
            lost = patience.given_up([document for document, _ in failed], passed, most_attempts=most, patience_s=least_s)
            for document, cause in failed:
                if document in lost:
                    listener.tries = lost[document]
                    listener.give_up(document, charged(cause))
            if len(lost) == len(failed):
                return
        self._resting.fail(listener.driver, error)

    def _one_by_one(
        self, listener: Listener, documents: Sequence[Open], error: BaseException
    ) -> tuple[int, list[tuple[Open, BaseException]]]:
        """Tell a filter of documents by themselves; returns how many got through, and those for which there was no service."""
        if len(documents) == 1:
            return 0, [(documents[0], error)]
        passed, failed = 0, []
        for document in documents:
            if document.older is not None and document.older.left & listener.bit:
                continue  # that one has failed
            self._core.turns += 1
            cause = self._try(listener, (document,))
            if cause is None:
                passed += 1
            elif listener.driver.failing.is_unreachable(cause):
                failed.append((document, cause))
                if len(failed) == MOST_ASIDE:
                    break
            elif not isinstance(cause, Retry):  # else it is told again with the others
                listener.give_up(document, cause)
        return passed, failed

    def _try(self, listener: Listener, documents: Sequence[Open]) -> BaseException | None:
        try:
            told = listener.tell(documents)
            if not told.is_empty:
                listener.driver.commit()
        except BaseException as error:
            if is_no_failure(error):
                raise
            return error
        listener.settle(told)
        if listener.driver in self._resting.open:
            self._resting.succeed(listener.driver)
        return None

    def _waits(self, listener: Listener, error: BaseException) -> bool:
        """True if a filter is to be told again later, because it asks for that."""
        driver, core = listener.driver, self._core
        delay_s = Raised.of(error, core.secrets.redact).delay_s
        if delay_s is None:
            return False
        listener.tries += 1
        if listener.tries >= driver.failing.most_attempts:
            return False
        core.pause(driver, max(delay_s, backoff_s(listener.tries, core.rng)))
        return True

    # -- what others ask ------------------------------------------------------------------------------------

    @property
    def is_clogged(self) -> bool:
        """True if feeds are to wait until a filter can be told again."""
        return any(
            each.untold > MOST_UNTOLD and (each.driver in self._resting.open or each.telling is not None or each.tries > 0)
            for each in self.listeners
        )

    def awaiting(self) -> set[Epoch]:
        """The epochs with documents of which a filter cannot be told now, or not before older versions."""
        found: set[Epoch] = set()
        for listener in self.listeners:
            driver = listener.driver
            is_busy = bool(driver.blocks) or driver.epoch is not None
            found.update(epoch for epoch in listener.open if is_busy or listener.is_behind(epoch))
        return found

    def clear(self) -> None:
        """End what filters do that are being told; the graph is ended, or as new."""
        for listener in self.listeners:
            if listener.telling is not None:
                listener.telling.kill()
            listener.tries = 0
        self._resumable.clear()


def completing_of(core: Core, resting: Breakers, drivers: Sequence[Driver], begin: Callable[[Driver], None]) -> Completing | None:
    """The completing of a graph, for those of its filters that are to be told; ``None`` if there are none."""
    return Completing(core, resting, drivers, begin) if any(is_told(driver.component) for driver in drivers) else None
