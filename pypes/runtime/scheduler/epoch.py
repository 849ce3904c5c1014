"""Epochs: deliveries that are in flight together, and the fate of each of their documents."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby, repeat
from typing import Any, Final, Protocol

from pypes.ingest.outcome import Fate
from pypes.runtime.scheduler.completions import EVERYWHERE, Completions
from pypes.runtime.scheduler.failures import Failure as Failure
from pypes.runtime.scheduler.failures import Failures
from pypes.runtime.scheduler.feed import Feed
from pypes.runtime.scheduler.lineage import Lineage, flatten
from pypes.runtime.scheduler.roster import NO_ROSTER, Roster
from pypes.runtime.scheduler.tracing import Trace

PUBLISHED = 1
FAILED = 2
#: Commits, and drops, that are kept as they came, before they are written into tables.
MOST_COMMITS = 64
_MARK = {bit: bytes(value | bit for value in range(256)) for bit in (PUBLISHED, FAILED)}


class Entry(Protocol):
    """A wire on which a feed puts packets."""

    bit: int
    waiting: Any


#: The count of an epoch that was ended by force: whichever holds are still given up, it does not end again.
_ENDED: Final = -(1 << 60)


class Epoch:
    """Deliveries in flight together: one, or several small ones that were waiting together.

    It is open while there is a *hold* on it: chunks on wires, a filter that has one in hand (pinned), components that hold
    packets of it, retries that are due later, and the feed until it is exhausted. Each calls :meth:`acquire` once and
    :meth:`release` once, or passes its hold on; with the last one, ``on_end`` is called. Nobody else changes the count.

    Of each document it knows what became of it: ``flags`` always; which publishers took it, and which filter dropped it,
    in tables that are made when there is something to put in them.
    """

    __slots__ = (
        "_commits",
        "_dropped",
        "_drops",
        "_failed_in",
        "_holds",
        "_taken",
        "at_barrier",
        "borne",
        "completions",
        "dead_letters",
        "entries",
        "fed",
        "feed",
        "feeding",
        "flags",
        "on_end",
        "parents",
        "refused",
        "roster",
        "traces",
    )

    def __init__(
        self,
        feed: Feed,
        roster: Roster = NO_ROSTER,
        on_end: Callable[[Epoch], None] = lambda epoch: None,
        holds: int = 0,
    ) -> None:
        self.feed = feed
        self.roster = roster
        self.on_end = on_end
        self._holds = holds
        self.feeding = False
        #: The feed waits for all that it has fed to be finished.
        self.at_barrier = False
        self.fed = 0
        #: Wires on which the feed has put something, with the ordinal below which it has.
        self.entries: dict[Entry, int] = {}
        self.flags = bytearray(feed.documents)
        #: Those who keep what filters do with its documents.
        self.traces: tuple[Trace, ...] = () if feed.trace is None else (feed.trace,)
        #: By name of metadata that the graph inherits, a byte for each document that had it when it was fed.
        self.borne: dict[str, bytearray] = {}
        self.dead_letters: list[Failure] = []
        #: For a derived epoch: the documents it stands for, in the order of its own ordinals.
        self.parents: tuple[tuple[Epoch, Lineage], ...] = ()
        #: Set where components are told of documents that are complete.
        self.completions: Completions | None = None
        #: By publisher, documents of which it has failed a packet: those it must see again in another run.
        self.refused: dict[str, set[int]] | None = None
        #: The commits of several publishers as they came, until a fate is asked for; then by publisher a byte for each document
        #: that it took.
        self._commits: list[tuple[str, Sequence[Lineage]]] | None = None
        self._taken: dict[str, bytearray] | None = None
        #: The same for drops: as they came, and by document the index of the filter that dropped it last, plus one.
        self._drops: list[tuple[int, Sequence[Lineage]]] | None = None
        self._dropped: array[int] | None = None
        #: The filters in which documents failed whose dead letter another epoch has.
        self._failed_in: dict[int, str] | None = None

    @classmethod
    def derived(cls, held: Iterable[tuple[Epoch, Lineage]]) -> Epoch:
        """An epoch for packets made of documents of several others: they are not done before it is."""
        parents = tuple(held)
        feed = Feed(iter(()), len(parents))
        epoch = cls(feed, parents[0][0].roster, parents[0][0].on_end) if parents else cls(feed)
        epoch.parents = parents
        for parent in epoch.distinct_parents():
            parent.acquire()
            if parent.traces:
                epoch.traces = tuple(dict.fromkeys((*epoch.traces, *parent.traces)))
        return epoch

    # -- holds ----------------------------------------------------------------------------------------------

    def acquire(self) -> None:
        """Keep the epoch from ending."""
        self._holds += 1

    def release(self) -> None:
        """Give up a hold; the last one ends the epoch."""
        self._holds = holds = self._holds - 1
        if not holds:
            self.on_end(self)

    @property
    def is_open(self) -> bool:
        """True while there is a hold on it."""
        return self._holds > 0

    @property
    def holds(self) -> int:
        return self._holds

    def force_end(self) -> None:
        """End it although there are holds, which are void from now on."""
        self._holds = _ENDED
        self.on_end(self)

    def distinct_parents(self) -> list[Epoch]:
        """The epochs from whose documents a derived epoch is made, each once."""
        return list({id(parent): parent for parent, _ in self.parents}.values())

    # -- what happens to documents --------------------------------------------------------------------------

    def mark(self, lineages: Iterable[Lineage], bit: int) -> None:
        """Note an outcome for documents: ``PUBLISHED`` or ``FAILED``."""
        flags = self.flags
        if isinstance(lineages, range) and lineages.step == 1:
            part = slice(lineages.start, lineages.stop)
            flags[part] = flags[part].translate(_MARK[bit])
            return
        for lineage in {*lineages}:  # PERF: rows of a table are many of one document
            if type(lineage) is int:
                flags[lineage] |= bit
            else:
                self.mark(lineage, bit)  # type: ignore[arg-type]

    def publish(self, publisher: str, lineages: Sequence[Lineage]) -> None:
        """Note that a publisher has committed documents."""
        self.mark(lineages, PUBLISHED)
        if self.roster.is_shared:
            for epoch, documents in self._roots_of(lineages):
                epoch._take(publisher, documents)

    def _roots_of(self, lineages: Sequence[Lineage]) -> Iterable[tuple[Epoch, Sequence[Lineage]]]:
        """As :meth:`roots`, but what is this epoch's own is left as it is."""
        if not self.parents:
            return ((self, lineages),)
        return [(epoch, tuple(documents)) for epoch, documents in self.roots(lineages)]

    def _take(self, publisher: str, lineages: Sequence[Lineage]) -> None:
        if self._commits is None:
            self._commits = [(publisher, lineages)]
            return
        self._commits.append((publisher, lineages))
        if len(self._commits) > MOST_COMMITS:
            self._tables()

    def _tables(self) -> dict[str, bytearray]:
        """By publisher, a byte for each document that it took."""
        if self._taken is None:
            self._taken = {}
        commits, self._commits = self._commits or (), None
        for publisher, lineages in commits:
            table = self._taken.get(publisher)
            if table is None:
                table = self._taken[publisher] = bytearray(self.feed.documents)
            if isinstance(lineages, range) and lineages.step == 1:
                table[lineages.start : lineages.stop] = b"\1" * len(lineages)
                continue
            for document in flatten(lineages):
                table[document] = 1
        return self._taken

    def fail(self, failure: Failure, where: int = EVERYWHERE) -> None:
        """Keep a dead letter; its documents count as failed, and are not whole at the filters of these bits."""
        self.mark(failure.documents, FAILED)
        self.spoil(failure.documents, where)
        for trace in self.traces:
            trace.failed(self, failure)
        self._keep(failure)

    def spoil(self, lineages: Iterable[Lineage], where: int) -> None:
        """Note that something of documents failed that is missing at the filters of these bits."""
        for epoch, documents in self.roots(lineages):
            if epoch.completions is not None:
                epoch.completions.spoil(documents, where)

    def has_many_like(self, documents: Sequence[int], filter: str, code: str) -> bool:
        """True if a failure of these documents would only be counted, with others of this filter and code."""
        kept = self.dead_letters
        return isinstance(kept, Failures) and kept.has_many(self._delivery_of(documents), filter, code)

    def _delivery_of(self, documents: Sequence[int]) -> int:
        return bisect_right(self.feed.bases, documents[0] if documents else 0) - 1

    def _keep(self, failure: Failure) -> None:
        if self.parents:
            self.dead_letters.append(failure)  # a derived epoch is small, and hands each of them on
            return
        kept = self.dead_letters
        if not isinstance(kept, Failures):  # PERF: most epochs have none
            kept = self.dead_letters = Failures()
        kept.keep(failure, self._delivery_of(failure.documents))

    def drop(self, filter: int, lineages: Sequence[Lineage]) -> None:
        """Note that nothing of a document goes on from a filter (its place in the roster); a later drop takes its place."""
        for epoch, documents in self._roots_of(lineages):
            if epoch._drops is None:
                epoch._drops = [(filter, documents)]
                continue
            epoch._drops.append((filter, documents))
            if len(epoch._drops) > MOST_COMMITS:
                epoch._drop_table()

    def _drop_table(self) -> array[int] | None:
        """By document, the index of the filter that dropped it last, plus one; ``None`` if nothing was dropped."""
        table = self._dropped
        if self._drops is None:
            return table
        drops, self._drops = self._drops, None
        if table is None:
            table = self._dropped = array("H", bytes(2 * self.feed.documents))
        for filter, lineages in drops:
            if isinstance(lineages, range) and lineages.step == 1:
                table[lineages.start : lineages.stop] = array("H", (filter + 1,)) * len(lineages)
                continue
            for document in flatten(lineages):
                table[document] = filter + 1
        return table

    def refuse(self, publisher: str, lineages: Iterable[Lineage]) -> None:
        """Note that a packet made of these documents failed in a publisher."""
        for epoch, documents in self.roots(lineages):
            if epoch.refused is None:
                epoch.refused = {}
            epoch.refused.setdefault(publisher, set()).update(documents)

    def has_committed(self, publisher: str, lineage: Lineage) -> bool:
        """True if a publisher has committed all documents in ``lineage``, of which there is one at least, in an earlier run."""
        documents = (lineage,) if isinstance(lineage, int) else lineage
        if self.parents:
            pairs = [self.parents[document] for document in documents]
            return bool(pairs) and all(parent.has_committed(publisher, each) for parent, each in pairs)
        committed = self.feed.committed.get(publisher, frozenset())
        return bool(documents) and committed.issuperset(documents)

    def roots(self, lineages: Iterable[Lineage]) -> Iterable[tuple[Epoch, Iterable[int]]]:
        """The documents in ``lineages`` by the epoch that was fed: itself, or for a derived epoch those of which it has some."""
        if not self.parents:
            if isinstance(lineages, range) and lineages.step == 1:
                return ((self, lineages),)
            return ((self, flatten(lineages)),)
        found: dict[Epoch, set[int]] = {}
        for document in flatten(lineages):
            parent, lineage = self.parents[document]
            for epoch, documents in parent.roots((lineage,)):
                found.setdefault(epoch, set()).update(documents)
        return found.items()

    def report_to_parents(self) -> None:
        """Hand an ended derived epoch's outcomes to its parents, and give up its holds on them."""
        for bit in (PUBLISHED, FAILED):
            for flag, (parent, lineage) in zip(self.flags, self.parents, strict=True):
                if flag & bit:
                    parent.mark((lineage,), bit)
        for failure in self.dead_letters:
            # one packet, one dead letter: it is kept with the first of the deliveries it was made of, or of all if with none
            first = self.parents[failure.documents[0] if failure.documents else 0][0]
            lineages = [self.parents[d][1] for d in failure.documents if self.parents[d][0] is first]
            first._keep(replace(failure, documents=flatten(lineages)))
            for document in failure.documents:
                self._hand_on_failure(document, failure.filter)
        for document, filter in (self._failed_in or {}).items():
            self._hand_on_failure(document, filter)
        for parent in self.distinct_parents():
            parent.release()

    def _hand_on_failure(self, document: int, filter: str) -> None:
        parent, lineage = self.parents[document]
        if parent._failed_in is None:
            parent._failed_in = {}
        for each in flatten((lineage,)):
            parent._failed_in[each] = filter

    # -- what became of them --------------------------------------------------------------------------------

    @property
    def takers(self) -> tuple[str, ...]:
        """The publishers that have committed every published document, if all of those had the same; else empty.

        Costs next to nothing in a graph with one publisher, and little in others.
        """
        publishers = self.roster.publishers
        if not self.roster.is_shared:
            return publishers if PUBLISHED in self.flags or FAILED | PUBLISHED in self.flags else ()
        taken = self._tables()
        published: bytearray | None = None
        found = []
        for name in publishers:
            table = taken.get(name)
            if table is None:
                continue
            if published is None:
                published = self.flags.translate(_IS_PUBLISHED)
            if table != published:
                return ()
            found.append(name)
        return publishers if len(found) == len(publishers) else tuple(found)

    def fate_of(self, document: int) -> Fate:
        """The fate of one document: its takers, and the filter that dropped it or in which it failed, if that is known.

        Where it was dropped in several branches it is the one that dropped it last; where it failed several times, one of those.
        """
        return self.fates(document, document + 1)[0][0]

    def fates(self, start: int = 0, stop: int | None = None) -> tuple[tuple[Fate, ...], tuple[int, ...]]:
        """Fates of documents from ``start`` to before ``stop``, as ``Details`` has them: each fate once, and runs.

        The runs are count, index into the fates, count, index, …
        """
        flags = self.flags[start:stop]
        table = self._drop_table()
        dropped = table[start:stop] if table is not None else repeat(0)
        tables = self._tables()
        names = [name for name in self.roster.publishers if name in tables]
        columns = [tables[name][start:stop] for name in names]
        failed_in = self._where_failed() if FAILED in flags or FAILED | PUBLISHED in flags else {}
        places: dict[Fate, int] = {}
        runs: list[int] = []

        def add(count: int, fate: Fate) -> None:
            place = places.setdefault(fate, len(places))
            if runs and runs[-1] == place:
                runs[-2] += count
            else:
                runs.extend((count, place))

        at = start
        for (flag, drop, *taken), group in groupby(zip(flags, dropped, *columns, strict=False)):
            count = sum(1 for _ in group)
            takers: tuple[str, ...] = ()
            if flag & PUBLISHED:
                takers = tuple(name for name, has in zip(names, taken, strict=True) if has)
                takers = takers if self.roster.is_shared else self.roster.publishers
            if flag & FAILED:
                for document in range(at, at + count):
                    add(1, Fate("failed", takers, failed_in.get(document, "")))
            elif flag & PUBLISHED:
                add(count, Fate("published", takers))
            else:
                add(count, Fate("dropped", (), self.roster.filters[drop - 1] if drop else ""))
            at += count
        return tuple(places), tuple(runs)

    def _where_failed(self) -> dict[int, str]:
        """The filter in which each failed document failed; the first, if there were several."""
        found = dict(self._failed_in or ())
        for failure in reversed(self.dead_letters):
            for document in failure.many or failure.documents:
                found[document] = failure.filter
        return found


_IS_PUBLISHED = bytes(value & PUBLISHED for value in range(256))
