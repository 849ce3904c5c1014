"""Listening: one filter that is told of complete documents, and those of which it has yet to be told."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, groupby
from typing import Any, Final

from pypes.core.identity import Completed
from pypes.core.returned import CODE, unrun
from pypes.errors import ComponentError, Reject
from pypes.runtime.scheduler.completions import Known
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.patience import Patience
from pypes.runtime.scheduler.tracking import DocumentTracker

HOOK: Final = "complete"

#: Methods of a component that belong to its turns.
_IN_TURNS: Final[tuple[str, ...]] = ("send", "receive", "receive_all", "yield_ctrl")


class Open:
    """A document of which some filter has yet to be told; ``left`` are the bits of these, ``older`` an older version of it."""

    __slots__ = ("epoch", "known", "left", "older", "ordinal")

    def __init__(self, epoch: Epoch, ordinal: int, known: Known, left: int) -> None:
        self.epoch = epoch
        self.ordinal = ordinal
        self.known = known
        self.left = left
        self.older: Open | None = None

    @property
    def delivery(self) -> int:
        """The place of its delivery among those that are fed together."""
        return bisect_right(self.epoch.feed.bases, self.ordinal) - 1


class Told:
    """Documents of which a component has been told in a turn, and what that has removed, before the commit.

    ``is_empty``: it was called for none of them, because they stay here as they are.
    """

    __slots__ = ("documents", "is_empty", "removed")

    def __init__(self) -> None:
        self.is_empty = True
        self.documents: list[Open] = []
        self.removed: list[tuple[Epoch, int, int]] = []


class Listener:
    """A filter whose component overrides ``complete``, with the open documents, by epoch and ordinal."""

    #: The method of the component that is called.
    hook = HOOK

    def __init__(self, driver: Driver, on_closed: Callable[[Open], None]) -> None:
        self.driver = driver
        #: Its bit among those that are told.
        self.bit = driver.bit
        self._on_closed = on_closed
        self.open: dict[Epoch, dict[int, Open]] = {}
        #: The number of them.
        self.untold = 0
        #: It is being told between its turns, and waits for a call.
        self.telling: Any = None
        #: Number of times in a row that it has asked to be told later.
        self.tries = 0
        #: For when its service cannot be reached.
        self.patience = Patience(driver.core)
        #: Tell what is final before the filter, and behind it.
        self._before = DocumentTracker(driver.ancestors, follows_holds=True, before=driver)
        self._behind = DocumentTracker((driver, *driver.ancestors), follows_holds=True)
        self._refusals = dict.fromkeys(_IN_TURNS, self._refuse)
        #: As of when nothing was found to be due.
        self._looked_at: tuple[int, int] | None = None
        self._passed_over: tuple[int, int] | None = None

    def add(self, epoch: Epoch, documents: Mapping[int, Open]) -> None:
        if not self.open:  # nothing can be due before a filter has had a turn, unless none is to have one
            core = self.driver.core
            self._looked_at = core.turns, core.pulls
        self.untold += len(documents)
        known = self.open.get(epoch)
        if known is None:
            self.open[epoch] = dict(documents)
        else:
            known.update(documents)

    def forget(self, epoch: Epoch) -> Iterable[Open]:
        """Forget the documents of an epoch, and return them."""
        documents = self.open.pop(epoch, {})
        self.untold -= len(documents)
        for document in documents.values():
            self.patience.forget(document)
        return documents.values()

    def despair(self, epoch: Epoch, lineage: Lineage) -> None:
        """A packet was given up because the destination could not be reached for it: nor need it be told of its documents."""
        for root, documents in epoch.roots((lineage,)):
            known = self.open.get(root, {})
            self.patience.hopeless.update(known[document] for document in documents if document in known)

    # -- what is due ----------------------------------------------------------------------------------------

    def due(self) -> list[Open]:
        """The documents of which nothing more can come, unless nothing has moved since there were none."""
        core = self.driver.core
        now = core.turns, core.pulls
        if now == self._looked_at:
            return []
        is_fresh = self._looked_at is not None and self._looked_at[0] == now[0] and self._passed_over != now
        if is_fresh and core.ready.waiting & ~core.ready.blocked:
            self._passed_over = now  # PERF: documents were fed, and have their first turn in the next wave
            return []
        found: dict[Open, None] = {}
        for epoch, documents in self.open.items():
            self._add_in_order(found, documents, self.final(epoch, documents))
        if not found:
            self._looked_at = now
        return list(found)

    def final(self, epoch: Epoch, documents: Mapping[int, Open]) -> set[int]:
        """Those of the documents of an epoch of which nothing more can come."""
        return self._behind.final(epoch, documents)

    def _add_in_order(self, found: dict[Open, None], documents: Mapping[int, Open], final: set[int]) -> None:
        """Add those that are final, by ordinal, without newer versions of what is not."""
        bit = self.bit
        for ordinal in sorted(final):
            document = documents[ordinal]
            older = document.older
            if older is None or not older.left & bit or older in found:
                found[document] = None

    def is_behind(self, epoch: Epoch) -> bool:
        """True if a document of an epoch waits for an older version of it."""
        bit = self.bit
        return any(each.older is not None and each.older.left & bit for each in self.open.get(epoch, {}).values())

    # -- telling --------------------------------------------------------------------------------------------

    def tell_with(self, epoch: Epoch, lineages: Sequence[Lineage]) -> Told | None:
        """In a turn that is about to commit packets: tell of the documents that end with these."""
        due: dict[Open, None] = {}
        for root, documents in ((epoch, lineages),) if not epoch.parents else epoch.roots(lineages):
            known = self.open.get(root)
            if known and (own := _among(known, documents)):
                if not self._is_all_there_is(root):
                    own = self._before.final(root, own, chain(self.driver.waiting(), self._unaccounted()))
                self._add_in_order(due, known, own)
        return self.tell(due) if due else None

    def _is_all_there_is(self, epoch: Epoch) -> bool:
        """PERF: True if an epoch has no holds but those of this turn, of its feed, and of its open documents."""
        is_known = not epoch.feeding or epoch.feed.complete is not None
        return is_known and epoch.holds == 2 + epoch.feeding and self.driver.unaccounted is None and epoch is self.driver.epoch

    def _unaccounted(self) -> Iterable[tuple[Epoch, Sequence[Lineage]]]:
        left = self.driver.unaccounted
        return () if left is None else (left,)

    def tell(self, documents: Iterable[Open]) -> Told:
        """Tell the component, which has no packets meanwhile; raises what it raises."""
        told = Told()
        attributes: dict[str, Any] = self.driver.component.__dict__
        own = {name: attributes[name] for name in _IN_TURNS if name in attributes}
        attributes.update(self._refusals)
        try:
            self.call(documents, told)
        finally:
            attributes.update(own)
            for name in _IN_TURNS if len(own) < len(_IN_TURNS) else ():
                if name not in own:
                    del attributes[name]
        return told

    def call(self, documents: Iterable[Open], told: Told) -> None:
        """Call ``complete``, once for each delivery, so that it is known what was removed for which."""
        complete = self.driver.component.complete
        assert complete is not None
        for (epoch, delivery), each in by_delivery(list(documents)):
            told.documents += each
            if not (heard := self._heard(epoch, each)):
                continue
            told.is_empty = False
            count = complete(self.completed(epoch, heard))
            if count is not None and (type(count) is not int or count < 0):
                raise _fault_of(count)
            if count:
                told.removed.append((epoch, delivery, count))

    def _heard(self, epoch: Epoch, documents: Sequence[Open]) -> Sequence[Open]:
        """Those of which the component is to be told: not of what is to stay here as it is."""
        assert epoch.completions is not None
        kept, bit = epoch.completions.kept, self.driver.bit
        return [each for each in documents if not kept.get(each.ordinal, 0) & bit] if kept else documents

    def completed(self, epoch: Epoch, documents: Sequence[Open]) -> list[Completed]:
        """Documents as the component is told of them."""
        assert epoch.completions is not None
        is_certain = not epoch.completions.spoiled and not epoch.feed.committed
        found = []
        for each in documents:
            identity, version, is_deleted, is_partial = each.known
            is_whole = not is_partial and (is_certain or not self.is_lost(epoch, each))
            found.append(Completed(identity, version, is_whole, is_deleted))
        return found

    def is_lost(self, epoch: Epoch, document: Open) -> bool:
        """True if something of a document failed on a way to here, or was committed here in an earlier run."""
        assert epoch.completions is not None
        if epoch.completions.spoiled.get(document.ordinal, 0) & self.driver.bit:
            return True
        return document.ordinal in epoch.feed.committed.get(self.driver.name, ())

    def _refuse(self, *args: Any) -> Any:
        raise ComponentError(
            f"{self.hook}() takes and sends no packets: send those of a document while it is worked on",
            code="component.no_turn",
            where=self.driver.name,
        )

    def settle(self, told: Told) -> None:
        """Take note that a commit has made durable what the component was told."""
        self.tries = 0
        for epoch, delivery, count in told.removed:
            assert epoch.completions is not None
            epoch.completions.count_removed(self.driver.name, delivery, count)
        for document in told.documents:
            self.close(document)

    def give_up(self, document: Open, error: BaseException) -> None:
        """The component cannot be told of a document, which has failed in it."""
        tries, self.tries = max(1, self.tries), 0
        self.driver.failing.fail_document(document.epoch, document.ordinal, error, tries)
        self.close(document)

    def close(self, document: Open) -> None:
        """The component need not be told of a document any more."""
        documents = self.open.get(document.epoch)
        self.patience.forget(document)
        if documents is None or documents.pop(document.ordinal, None) is None:
            return  # its epoch was ended by force meanwhile
        self.untold -= 1
        if not documents:
            del self.open[document.epoch]
        document.left &= ~self.bit
        if not document.left:
            self._on_closed(document)


def by_delivery(documents: list[Open]) -> Iterable[tuple[tuple[Epoch, int], Sequence[Open]]]:
    """Documents by epoch and delivery, in their order."""
    epoch, feed = documents[0].epoch, documents[0].epoch.feed
    if documents[-1].epoch is epoch:
        if len(feed.bases) == 1:  # PERF: a large delivery, or a small one that came alone
            return (((epoch, 0), documents),)
        # PERF: deliveries of one document each
        if len(feed.bases) == feed.documents and list(feed.bases) == list(range(feed.documents)):
            return [((epoch, each.ordinal), (each,)) for each in documents]
    return [(key, list(group)) for key, group in groupby(documents, lambda each: (each.epoch, each.delivery))]


def _among(open: Mapping[int, Open], lineages: Iterable[Lineage]) -> set[int]:
    """The open documents in ``lineages``."""
    unique = set(lineages)  # PERF: the parts of a document have the same one
    found: set[int] = open.keys() & unique
    for lineage in unique - found:
        if type(lineage) is tuple:
            found.update(open.keys() & lineage)
    return found


def _fault_of(count: Any) -> Reject:
    """The fault in what ``complete`` returned, which is no number of parts."""
    made = type(count).__name__
    return unrun(count, HOOK) or Reject(
        f"{HOOK} returned a {made}, not how many parts were removed: return a number or None", CODE
    )
