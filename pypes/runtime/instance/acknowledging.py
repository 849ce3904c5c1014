"""Acknowledging: what became of the deliveries of an epoch that is done, document by document."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence, Set
from itertools import groupby
from operator import itemgetter
from typing import Protocol

from pypes.core.identity import Named
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter, Details, Fate, KeptTrace, Outcome, dead_letter_id, many_letter_id
from pypes.ingest.protocol import Item
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.scheduler import PUBLISHED, Epoch, Failure

#: Stands for the filter that dropped a document because a newer one of its id was taken meanwhile.
SUPERSEDED = Fate("dropped", (), "(superseded)")

_connection_of = itemgetter(0)


class Taken(Protocol):
    """Deliveries that were taken in together, whose documents are numbered through (see :class:`Intake`)."""

    @property
    def deliveries(self) -> Sequence[Arrived]: ...
    @property
    def documents(self) -> int: ...
    @property
    def bases(self) -> Sequence[int]: ...
    @property
    def ids(self) -> Mapping[int, str]: ...
    @property
    def files(self) -> Mapping[int, str]: ...
    @property
    def superseded(self) -> Set[int]: ...


def acknowledge(intake: Taken, epoch: Epoch, graph: str, version: int, trace: KeptTrace | None = None) -> None:
    """Give each delivery of an intake its outcome: single documents that were published together, all others by themselves.

    A ``trace`` is that of the only delivery.
    """
    flags, ids = epoch.flags, intake.ids
    deliveries = intake.deliveries
    removed = epoch.completions.removed_by if epoch.completions is not None and epoch.completions.removed else None
    takers = epoch.takers
    is_simple = bool(takers) and not epoch.dead_letters and not removed and trace is None
    if is_simple and intake.documents == len(deliveries) == flags.count(PUBLISHED):
        first = 0
        for connection, run in groupby(deliveries, _connection_of):  # PERF: mostly all came from one worker
            numbers = [item.number for _, item, _ in run]
            end = first + len(numbers)
            found = [*map(ids.get, range(first, end))] if ids else None
            connection.published_by(graph, version, takers).add_all(numbers, found)
            first = end
        return
    kept = Letters(intake, epoch.dead_letters, graph, version) if epoch.dead_letters else None
    for index, (base, (connection, item, _)) in enumerate(zip(intake.bases, deliveries, strict=True)):
        count = item.header.documents
        gone = removed(index) or None if removed is not None else None
        if count == 1 and flags[base] == PUBLISHED and gone is None and trace is None:
            own = epoch.fate_of(base).takers
            if own:
                connection.published_by(graph, version, own).add(item.number, ids.get(base))
                continue
        part = flags[base : base + count]
        published = part.count(PUBLISHED)
        dropped = part.count(0)
        fates: tuple[Fate, ...] = (Fate("published", takers),)
        runs: tuple[int, ...] = (count, 0)
        if not takers or published < count:  # PERF: it takes a look at each document
            fates, runs = epoch.fates(base, base + count)
        if intake.superseded:
            fates, runs = _with_superseded(intake.superseded, base, fates, runs)
        # PERF: a delivery of many documents is alone, as a rule
        own_ids = dict(ids) if len(deliveries) == 1 else {at - base: ids[at] for at in range(base, base + count) if at in ids}
        own_files = None
        if intake.files:
            unpublished = (at for at in range(base, base + count) if at in intake.files and flags[at] != PUBLISHED)
            own_files = {at - base: intake.files[at] for at in unpublished} or None
        failed = count - published - dropped
        if kept is None or index not in kept.by_delivery:
            details = Details(fates, runs, own_ids or None, files=own_files)
            outcome = Outcome(published, dropped, failed, (), False, version, details, removed=gone, trace=trace)
        else:
            details = Details(fates, runs, own_ids or None, kept.ids.get(index), kept.spans.get(index), own_files)
            is_partial, needs_body = index in kept.partial, index in kept.without_packet
            letters = tuple(kept.by_delivery[index])
            outcome = Outcome(
                published, dropped, failed, letters, is_partial or needs_body, version, details, not is_partial, gone, trace
            )
        connection.outcomes.append((item.number, outcome))


def _with_superseded(
    superseded: Set[int], base: int, fates: Sequence[Fate], runs: Sequence[int]
) -> tuple[tuple[Fate, ...], tuple[int, ...]]:
    """The runs once more, with the documents that were never fed said to be so."""
    places: dict[Fate, int] = {}
    found: list[int] = []
    at = base
    for count, place in zip(runs[::2], runs[1::2], strict=True):
        for number in range(at, at + count):
            fate = SUPERSEDED if number in superseded else fates[place]
            index = places.setdefault(fate, len(places))
            if found and found[-1] == index:
                found[-2] += 1
            else:
                found += (1, index)
        at += count
    return tuple(places), tuple(found)


class Letters:
    """The dead letters of an epoch by delivery (its index). A packet made of several deliveries is kept once, with the first."""

    def __init__(self, intake: Taken, failures: Sequence[Failure], graph: str, version: int) -> None:
        self.by_delivery: dict[int, list[DeadLetter]] = {}
        #: By delivery, the id of the letter for each of its documents that failed.
        self.ids: dict[int, dict[int, str]] = {}
        #: By delivery, the documents of letters that stand for many failures.
        self.spans: dict[int, dict[str, tuple[int, ...]]] = {}
        #: Deliveries with packets among their dead letters that do not hold all there was, and those with letters that have none.
        self.partial: set[int] = set()
        self.without_packet: set[int] = set()
        self._intake = intake
        seen: dict[tuple[int, str], int] = {}
        for failure in failures:
            first = failure.documents[0] if failure.documents else 0
            index = bisect_right(intake.bases, first) - 1
            base = intake.bases[index]
            item = intake.deliveries[index].item
            if not failure.is_whole:
                (self.partial if failure.packet else self.without_packet).add(index)
            if failure.many is not None:
                spans = failure.many.within(base, base + item.header.documents)
                letter = _of_many(failure, failure.many.count, item, spans, graph, version)
                self.by_delivery.setdefault(index, []).append(letter)
                self.spans.setdefault(index, {})[letter.id] = letter.spans
                continue
            end = base + item.header.documents
            ordinal = seen.get((first, failure.filter), 0)
            seen[first, failure.filter] = ordinal + 1
            documents = tuple(document - base for document in failure.documents if base <= document < end)
            letter = DeadLetter(
                id=dead_letter_id(item.receipt, first - base, failure.filter, ordinal),
                documents=documents,
                graph=graph,
                version=version,
                filter=failure.filter,
                component=failure.component,
                code=failure.code,
                error=failure.error,
                traceback=failure.traceback,
                attempts=failure.attempts,
                packet=failure.packet,
                time=failure.time,
                named=self._named(failure, item.header, len(documents), first),
            )
            self.by_delivery.setdefault(index, []).append(letter)
            self._name(letter.id, failure.documents)

    def _named(self, failure: Failure, header: Header, count: int, first: int) -> Named:
        """The names of the document of a failure: as it came, else as its packet said, else as the request did."""
        if count != 1:
            return Named(None, failure.named.file, failure.named.route).over(header.named)
        return Named(self._intake.ids.get(first)).over(failure.named).over(header.named)

    def _name(self, letter: str, numbers: Sequence[int]) -> None:
        bases = self._intake.bases
        for number in numbers:
            index = bisect_right(bases, number) - 1
            self.ids.setdefault(index, {}).setdefault(number - bases[index], letter)


def _of_many(failure: Failure, count: int, item: Item, spans: tuple[int, ...], graph: str, version: int) -> DeadLetter:
    """The dead letter that stands for many failures of one delivery; its error is that of the first."""
    error = failure.error if count == 1 else f"{failure.error} (and {count - 1} more like this one, without their packets)"
    return DeadLetter(
        id=many_letter_id(item.receipt, failure.filter, failure.code),
        documents=(),
        graph=graph,
        version=version,
        filter=failure.filter,
        component=failure.component,
        code=failure.code,
        error=error,
        traceback=failure.traceback,
        attempts=failure.attempts,
        packet=b"",
        time=failure.time,
        spans=spans,
        failures=count,
        named=Named(None, item.header.filename, item.header.route),
    )


def committed(intake: Taken, publisher: str, numbers: Sequence[int], version: int) -> None:
    """Tell the connections at once which documents a publisher will not see again, though their deliveries are not done."""
    bases = intake.bases
    at = 0
    numbers = numbers if type(numbers) is range else sorted(numbers)
    while at < len(numbers):
        index = bisect_right(bases, numbers[at]) - 1
        base = bases[index]
        connection, item, _ = intake.deliveries[index]
        end = base + item.header.documents
        stop = bisect_right(numbers, end - 1, at)
        part = numbers[at:stop]
        own = range(part.start - base, part.stop - base) if type(part) is range else [number - base for number in part]
        connection.committed(item.number, publisher, own, version)
        at = stop


def no_graph(item: Item, now: float) -> Outcome:
    """The outcome of a delivery to a graph that is gone."""
    graph, documents = item.header.graph, item.header.documents
    letter = DeadLetter(
        id=dead_letter_id(item.receipt, 0, ""),
        documents=tuple(range(documents)),
        graph=graph,
        version=0,
        filter="",
        component="",
        code="graph.gone",
        error=f"graph {graph!r} is not deployed any more; deploy it, then replay",
        traceback="",
        attempts=1,
        packet=b"",
        time=now,
        named=item.header.named,
    )
    return Outcome(failed=documents, dead_letters=(letter,), keeps_body=True)
