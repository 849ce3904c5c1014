"""Tracing: what each filter did with the documents of one epoch, while others run beside it.

An epoch that is traced takes no short cuts past its wires; the others see nothing of it. What is made of documents of several
epochs counts where one of them is traced, whatever else it was made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

import orjson

from pypes.core.shown import shown
from pypes.core.trace_context import TraceContext
from pypes.observe.spans import SharedRequest
from pypes.runtime.scheduler.failures import Failure
from pypes.runtime.scheduler.lineage import Lineage, flatten

#: The first documents of a delivery are shown, and so many packets of each port; all are counted.
DOCUMENTS: Final = 10
PACKETS: Final = 20
#: Packets that are shown in one trace, in bytes, and errors at each filter.
BYTES: Final = 256 << 10
ERRORS: Final = 10
ERROR_CHARS: Final = 400
#: Requests for several deliveries that are kept of each filter, and deliveries that one of them names.
REQUESTS: Final = 20
LINKS: Final = 128


class Traced(Protocol):
    """An epoch as far as a trace knows it."""

    @property
    def parents(self) -> Sequence[Any]: ...
    @property
    def traces(self) -> tuple[Trace, ...]: ...
    def roots(self, lineages: Iterable[Lineage]) -> Iterable[tuple[Any, Iterable[int]]]: ...


class Passage:
    """The packets that passed one filter, by port, with some of them as JSON; times in seconds.

    ``dropped`` and ``kept`` are packets of which nothing went on; or documents, where it is not known of which packet nothing
    did. ``attempts`` is the most that one packet took.
    """

    __slots__ = (
        "arrived",
        "attempts",
        "began_s",
        "dropped",
        "ended_s",
        "errors",
        "failed",
        "kept",
        "published",
        "ran_s",
        "requests",
        "sent",
        "taken",
        "waited_s",
    )

    def __init__(self) -> None:
        self.arrived = Shown()
        self.sent: dict[str, Shown] = {}
        #: Packets that it was given to work on, some of them more than once.
        self.taken = 0
        self.dropped = self.kept = self.failed = self.published = 0
        self.attempts = 0
        self.ran_s = self.waited_s = 0.0
        #: The begin of its first turn, or when it first took something, and the end of its last one, or its last commit.
        self.began_s: float | None = None
        self.ended_s: float | None = None
        self.requests: list[SharedRequest] = []
        self.errors: list[dict[str, Any]] = []


class Shown:
    """Packets at one place: how many there were, and the first of them in JSON."""

    __slots__ = ("count", "forms")

    def __init__(self) -> None:
        self.count = 0
        self.forms: list[bytes] = []


class Trace:
    """Keeps what filters do with the documents of one epoch. ``excerpt`` gives of a packet what may be shown, as JSON values."""

    def __init__(self, excerpt: Callable[[Any], dict[str, Any]], clock: Callable[[], float]) -> None:
        self.passages: dict[str, Passage] = {}
        self.began_s = clock()
        self._excerpt = excerpt
        self._clock = clock
        self._room = BYTES
        #: Seconds that went into the trace itself, since whoever keeps the time asked last.
        self.spent_s = 0.0

    def of(self, filter: str) -> Passage:
        found = self.passages.get(filter)
        if found is None:
            found = self.passages[filter] = Passage()
        return found

    # -- what drivers tell ----------------------------------------------------------------------------------

    def entered(self, epoch: Traced, filter: str, values: Sequence[Any], lineages: Sequence[Lineage]) -> None:
        """A feed has put packets before a filter."""
        self._show(epoch, values, lineages, [self.of(filter).arrived])

    def sent(
        self, epoch: Traced, filter: str, port: str, targets: Iterable[str], values: Sequence[Any], lineages: Sequence[Lineage]
    ) -> None:
        """A filter has sent packets to others, each of which gets all of them."""
        self._show(
            epoch,
            values,
            lineages,
            [self.of(filter).sent.setdefault(port, Shown()), *(self.of(target).arrived for target in targets)],
        )

    def taken(self, epoch: Traced, filter: str, lineages: Sequence[Lineage]) -> None:
        passage = self.of(filter)
        passage.taken += self._count(epoch, lineages)
        passage.attempts = passage.attempts or 1
        if passage.began_s is None:
            passage.began_s = self._clock()

    def tried(self, epoch: Traced, filter: str, lineage: Lineage, code: str, reason: str, tries: int) -> None:
        """A packet is to be tried again after so many tries; 0: nobody counts them."""
        if own := self._own(epoch, lineage):
            passage = self.of(filter)
            passage.attempts = max(passage.attempts, tries) + 1 if not tries else max(passage.attempts, tries + 1)
            self._note(passage, own, code, reason, tries or passage.attempts - 1, is_final=False)

    def failed(self, epoch: Traced, failure: Failure) -> None:
        """Documents went to the dead letters."""
        own = self._documents(epoch, failure.documents)
        if own:
            self._failed(self.of(failure.filter), own, failure.code, failure.error, failure.attempts)

    def refused(self, epoch: Traced, filter: str, lineage: Lineage, code: str, reason: str, attempts: int) -> None:
        """A packet failed, and goes to the error port."""
        if own := self._own(epoch, lineage):
            self._failed(self.of(filter), own, code, reason, attempts)

    def dropped(self, epoch: Traced, filter: str, lineages: Sequence[Lineage]) -> None:
        self.of(filter).dropped += self._count(epoch, lineages)

    def kept(self, epoch: Traced, filter: str, lineages: Sequence[Lineage]) -> None:
        """Of those dropped, so many are to stay as they are behind the filter."""
        self.of(filter).kept += self._count(epoch, lineages)

    def committed(self, epoch: Traced, filter: str, lineages: Sequence[Lineage]) -> None:
        passage = self.of(filter)
        passage.published += self._count(epoch, lineages)
        passage.ended_s = self._clock()

    def requested(self, filter: str, context: TraceContext, links: Sequence[tuple[str, str]]) -> None:
        """A filter makes a request for this and other deliveries."""
        requests = self.of(filter).requests
        if len(requests) < REQUESTS:
            requests.append(SharedRequest(context, self._clock(), tuple(links[:LINKS])))

    # -- details --------------------------------------------------------------------------------------------

    def _failed(self, passage: Passage, own: Sequence[int], code: str, reason: str, attempts: int) -> None:
        passage.failed += 1
        passage.attempts = max(passage.attempts, attempts)
        self._note(passage, own, code, reason, attempts, is_final=True)

    def _note(self, passage: Passage, own: Sequence[int], code: str, reason: str, attempt: int, *, is_final: bool) -> None:
        if len(passage.errors) == ERRORS:
            if not is_final or passage.errors[-1]["is_final"]:
                return
            passage.errors.pop()  # the end of a packet says more than one of its many tries
        error = {"documents": own[:DOCUMENTS], "code": code, "error": reason[:ERROR_CHARS], "attempt": attempt}
        passage.errors.append({**error, "is_final": is_final})

    def _show(self, epoch: Traced, values: Sequence[Any], lineages: Sequence[Lineage], places: Sequence[Shown]) -> None:
        began_s = self._clock()
        if epoch.parents:
            pairs = [(value, own) for value, each in zip(values, lineages, strict=True) if (own := self._own(epoch, each))]
            count = len(pairs)
        else:
            count = len(values)
            pairs = [(value, flatten((each,))) for value, each in zip(values, lineages, strict=False)] if self._room > 0 else []
        for place in places:
            place.count += count
        open_places = [place for place in places if len(place.forms) < PACKETS]
        for value, own in pairs:
            if not open_places or self._room <= 0:
                break
            if not own or own[0] >= DOCUMENTS:
                continue
            form = self._form(value, own[:DOCUMENTS])
            for place in open_places:
                place.forms.append(form)
                self._room -= len(form)
            open_places = [place for place in open_places if len(place.forms) < PACKETS]
        self.spent_s += self._clock() - began_s

    def _form(self, value: Any, own: Sequence[int]) -> bytes:
        try:
            return orjson.dumps({"documents": own, **self._excerpt(value)})
        except Exception as error:  # no packet is to fail because somebody looks
            return orjson.dumps({"documents": own, "value": f"<a packet that cannot be shown: {shown(error)}>"})

    def _count(self, epoch: Traced, lineages: Sequence[Lineage]) -> int:
        return sum(1 for each in lineages if self._own(epoch, each)) if epoch.parents else len(lineages)

    def _own(self, epoch: Traced, lineage: Lineage) -> tuple[int, ...]:
        """The documents of the traced epoch that a packet was made of."""
        return self._documents(epoch, flatten((lineage,)))

    def _documents(self, epoch: Traced, documents: Sequence[int]) -> tuple[int, ...]:
        if not epoch.parents:
            return tuple(documents)
        return tuple(sorted(number for root, own in epoch.roots(documents) if self in root.traces for number in own))


class TurnTimes:
    """Keeps the time of whose turn it is, for traces of which something is worked on in it; a part of a turn counts, too."""

    __slots__ = ("_clock", "_filter", "_since_s", "_traces", "epochs")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: The number of traced epochs in flight.
        self.epochs = 0
        self._filter = ""
        self._since_s = 0.0
        self._traces: list[Trace] = []

    def begin_turn(self, filter: str, traces: Iterable[Trace]) -> None:
        """A turn begins, or goes on with something of these traces in hand."""
        self.end_turn()
        self._filter = filter
        self._since_s = self._clock()
        self.mark(traces)

    def mark(self, traces: Iterable[Trace]) -> None:
        """Something of these is worked on in this turn."""
        for trace in traces:
            if trace not in self._traces:
                trace.spent_s = 0.0
                self._traces.append(trace)

    def end_turn(self) -> None:
        """No filter runs until the next turn."""
        if self._traces:
            now_s = self._clock()
            seconds = now_s - self._since_s - sum(trace.spent_s for trace in self._traces)
            for trace in self._traces:
                passage = trace.of(self._filter)
                passage.ran_s += max(0.0, seconds)
                if passage.began_s is None:
                    passage.began_s = self._since_s
                passage.ended_s = now_s
            self._traces.clear()
