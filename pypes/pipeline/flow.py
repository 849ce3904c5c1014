"""Flow: has the items of batches go through the filters of a pipeline, and gathers their results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any, Literal

import msgspec

from pypes.core.interruptible import News
from pypes.core.origin import Origin
from pypes.core.raised import is_interruption
from pypes.errors import ComponentError
from pypes.ingest.outcome import Fate
from pypes.pipeline.chain import Chain, merged
from pypes.pipeline.items import PASSING, SPECIAL, Bundle, Done, Failed, Position, item_of
from pypes.pipeline.results import Batch, Flow, Pull, closed
from pypes.runtime.local import LocalGraph
from pypes.runtime.one_thread import at_work
from pypes.runtime.scheduler import Epoch, Failure

#: The end of an item that failed.
Errors = Literal["return", "skip", "raise"]
#: Failures that are kept.
MOST_LETTERS = 10_000


class DeadLetters(list[Failed]):
    """The last failures that were skipped, and how many there were in all."""

    total = 0

    def append(self, failed: Failed) -> None:
        """Keep a failure; the oldest one goes where there are too many. What the frames of its traceback hold goes, too."""
        failed.error.__traceback__ = None
        self.total += 1
        super().append(failed)
        if len(self) > MOST_LETTERS:
            del self[0]


class Settling:
    """Makes the results of a batch of what came of it, as the user wants failures to be treated."""

    #: Results may go on before their batch is done.
    can_stream = True

    def __init__(self, errors: Errors) -> None:
        self._errors = errors
        self.skips = errors == "skip"
        self.dead_letters = DeadLetters()

    def settle(self, batch: Batch, made: Bundle) -> None:
        """Put the results into a batch, which is done."""
        batch.results = made.values
        if made.is_marked:
            self._settle_marked(batch, made)
        batch.run.batch_done(batch)

    def _settle_marked(self, batch: Batch, made: Bundle) -> None:
        batch.results = []
        for at, value in zip(made.positions, made.values, strict=True):
            try:
                batch.results += self.results_in(batch, value, at)
            except BaseException as error:  # the user's own
                batch.error = error
                return

    def results_in(self, batch: Batch, value: Any, at: Position) -> tuple[Any, ...]:
        """As :meth:`results_of`, of a value of a batch, whose run counts failures."""
        if type(value) is Failed:
            batch.run.failures += 1
        return self.results_of(value, at)

    def results_of(self, value: Any, at: Position) -> tuple[Any, ...]:
        """The results that a value is at the end. Raises the error of one that failed, if that is to end the run."""
        if value is None:
            return ()
        if type(value) is Done:
            return (value.value,)
        if type(value) is not Failed:
            return (value,)
        value.positions = value.positions or (item_of(at),)
        if self._errors == "return":
            return (value,)
        if self._errors == "skip":
            self.dead_letters.append(value)
            return ()
        raise value.error


def busy() -> ComponentError:
    """The error of whoever wants something of a pipeline that is in use."""
    return ComponentError(
        "a run of this pipeline is under way in the background: wait for it or stop it first, or use a second pipeline",
        code="pipeline.busy",
    )


class Lendable(Flow):
    """A flow that one thread at a time uses, in the process where it was made."""

    #: A process that is forked may use it, too: it has no threads, processes or wake-ups.
    is_forkable = False
    #: The thread that alone may use it for now.
    _borrower: threading.Thread | None = None

    def __init__(self) -> None:
        self._origin = Origin()

    def lend(self, thread: threading.Thread) -> None:
        self.drain()
        self.leave_thread()
        self._borrower = thread

    def give_back(self) -> None:
        try:
            self.drain()
        finally:
            self.leave_thread()
            self._borrower = None

    def check_free(self) -> None:
        if not self.is_forkable:
            self._origin.check("the pipeline")
        if self._borrower is not None and threading.current_thread() is not self._borrower:
            raise busy()

    def leave_thread(self) -> None:
        """Let go of what belongs to this thread."""


class ChainFlow(Lendable):
    """Calls functions one after the other in this thread: what they do to a batch is done when it is submitted."""

    stride = 0
    has_room = True
    is_forkable = True

    def __init__(self, chain: Chain, settling: Settling) -> None:
        super().__init__()
        self._chain = chain
        self._calls = chain.calls
        self._settling = settling
        self._news = News()
        #: Has a value while nobody is at work. PERF: taking that is as safe as a lock, in a third of the time.
        self._free: list[None] = [None]

    def submit(self, batch: Batch) -> None:
        free = self._begin()
        try:
            bundle = self._chain.run(Bundle(range(batch.first, batch.first + batch.count), batch.items))
        finally:
            free.append(None)
        self._settling.settle(batch, bundle)

    def _begin(self) -> list[None]:
        """Whoever ends the work gives it a value again.

        Raises ``ComponentError``: ``pipeline.busy`` from within a function and in a second thread, or ``pipeline.closed``.
        """
        free = self._free
        try:
            free.pop()
        except IndexError:
            raise closed() if self.is_closed else at_work() from None
        return free

    def call(self, value: Any, position: int = 0) -> list[Any]:
        """The results of one item. PERF: in a fraction of the time that a batch takes; names and calls are what it costs."""
        if self._borrower is not None:
            self.check_free()
        if not self._calls:
            return self._call_chain(value, position)
        free = self._free
        try:
            free.pop()
        except IndexError:
            raise closed() if self.is_closed else at_work() from None
        try:
            begun = perf_counter()
            for step, function in self._calls:
                given = value
                step.items += 1
                value = function(value)
                ended = perf_counter()
                step.seconds += ended - begun
                begun = ended
                if type(value) in SPECIAL:
                    break
            else:
                return [value]
        except BaseException as error:
            if is_interruption(error):
                raise
            value = step.fail(given, error)
        finally:
            free.append(None)
        return [*self._settling.results_of(value, position)]

    def _call_chain(self, value: Any, position: int) -> list[Any]:
        free = self._begin()
        try:
            values = self._chain.run(Bundle((position,), [value])).values
        finally:
            free.append(None)
        return [result for each in values for result in self._settling.results_of(each, position)]

    def run(self) -> None:
        """All is done already."""

    def wait(self, timeout_s: float, *, is_last: bool) -> None:
        free = self._begin()
        try:
            self._news.wait(timeout_s)
        finally:
            free.append(None)

    def wake(self) -> None:
        self._news.tell()

    def drain(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        # whoever is at work frees the list that it took from
        self._free = []


class GraphFlow(Lendable):
    """Runs a graph of components: over bundles of items or, if these are packets (``is_bare``), over packets."""

    call = None

    def __init__(
        self,
        make: Callable[[Callable[[Epoch], None]], LocalGraph],
        settling: Settling,
        *,
        stride: int,
        most_open: int,
        is_bare: bool,
    ) -> None:
        """``make`` makes the graph, given whom to tell of what is done; ``most_open`` batches are in it at once."""
        super().__init__()
        self._most_open = most_open
        self.stride = stride
        self._settling = settling
        self._is_bare = is_bare
        #: The fates of the packets of the last batch, and what publishers removed for it, by filter.
        self.fates: list[Fate] = []
        self.removed: dict[str, int] = {}
        self._left: dict[Epoch, list[tuple[Position, Any]]] = {}
        #: The same by output port, for runs that want to know it.
        self._by_port: dict[Epoch, list[tuple[str, Any]]] = {}
        self._open = 0
        self._is_woken = False
        self.graph = make(self._done)
        self.graph.scheduler.core.keeps_causes = True

    @property
    def has_room(self) -> bool:
        return self._open < self._most_open or (self._is_bare and self.graph.scheduler.is_idle)

    def submit(self, batch: Batch) -> None:
        with self.graph.at_work():  # an observer is told of it
            self._open += 1
            if self._is_bare:
                self.graph.submit(batch.items, batch)
            else:
                self.graph.scheduler.submit_whole(self._bundles(batch), batch)

    def _bundles(self, batch: Batch) -> dict[str, Bundle]:
        """The items of a batch, by the filter that takes them."""
        positions = range(batch.first, batch.first + batch.count)
        is_split = batch.run.is_split
        found = {}
        for entry in self.graph.entries:
            values = [item[entry] for item in batch.items] if is_split else [*batch.items]
            found[entry] = Bundle(positions, values)
            found[entry].batch = batch
        return found

    def run(self) -> None:
        with self.graph.at_work():
            self.graph.scheduler.run()

    def wait(self, timeout_s: float, *, is_last: bool) -> None:
        scheduler = self.graph.scheduler
        is_woken, self._is_woken = self._is_woken, False
        if is_woken or not scheduler.is_idle:
            return
        if is_last and scheduler.in_flight and not scheduler.core.calls.running and scheduler.flush_holds():
            return
        if scheduler.stands_still:
            count = scheduler.in_flight
            with self.graph.at_work():
                scheduler.standstill.end_all()
            raise ComponentError(f"{count} epochs stood still and nothing would wake them", code="scheduler.stuck")
        with self.graph.at_work():  # else another thread would come in
            scheduler.wait(timeout_s)

    def wake(self) -> None:
        # the wake-up itself may be lost among those of calls that have ended, before anybody waits
        self._is_woken = True
        self.graph.scheduler.core.calls.wake()

    def drain(self) -> None:
        with self.graph.at_work():
            self.graph.scheduler.drain()

    def leave_thread(self) -> None:
        self.graph.leave_thread()

    def trigger(self, batch: Batch) -> None:
        """Run the sources once, for a batch without items."""
        self._open += 1
        epoch = self.graph.scheduler.trigger()
        epoch.feed.deliveries = batch  # type: ignore[assignment]

    def close(self) -> None:
        self.graph.close()

    def _done(self, epoch: Epoch) -> None:
        self._open -= 1
        for output, port in zip(self.graph.outputs, self.graph.ports.values(), strict=True):
            for other, lineage, value in output.take():
                for root, ordinals in other.roots((lineage,)):
                    run: Pull = root.feed.deliveries.run  # type: ignore[attr-defined]
                    if run.by_port is not None:
                        self._by_port.setdefault(root, []).append((port, value))
                    # a value that was made of several items stands where the first of them does
                    self._left.setdefault(root, []).append((next(iter(ordinals), 0), value))
                    break
        batch: Batch = epoch.feed.deliveries  # type: ignore[assignment]
        found = self._left.pop(epoch, [])
        if batch.run.by_port is not None:
            batch.run.by_port.append((batch.first, self._by_port.pop(epoch, [])))
        lost = [_failed(letter, batch) for letter in epoch.dead_letters]
        if self._is_bare:
            # components may have changed the order, and mean it
            made = Bundle.of([*found, *lost], is_marked=True) if lost else Bundle.of(found)
            made = merged(made) if lost and not self._settling.skips else made
            self._note(epoch)
        else:
            bundles = [value for _, value in found]
            made = _once(bundles[0] if len(bundles) == 1 else merged(*bundles))
            if lost:  # of the machinery itself: nothing is known of single items
                whole = [(batch.first + at, lost[0][1]) for at in range(batch.count)]
                made = Bundle.of(whole, is_marked=True)
        self._settling.settle(batch, made)

    def _note(self, epoch: Epoch) -> None:
        fates, runs = epoch.fates()
        ports = self.graph.ports
        named = [msgspec.structs.replace(fate, takers=tuple(ports.get(t, t) for t in fate.takers)) for fate in fates]
        self.fates = [named[place] for count, place in zip(runs[::2], runs[1::2], strict=True) for _ in range(count)]
        self.removed = {} if epoch.completions is None else epoch.completions.removed_by(0)


def _failed(letter: Failure, batch: Batch) -> tuple[int, Failed]:
    """The failure of a packet, beside the ordinal of its document."""
    at = letter.documents[0] if letter.documents else 0
    value, error = letter.cause or (batch.items[at] if at < batch.count else None, ComponentError(letter.error, code=letter.code))
    positions = tuple(batch.first + document for document in letter.documents)
    return at, Failed(value, letter.filter, error, letter.traceback, positions, letter.code, letter.error)


def _once(made: Bundle) -> Bundle:
    """A bundle in which each value that passes over filters is once, on however many ways it has come."""
    if not made.is_marked:
        return made
    seen: set[int] = set()
    pairs: list[tuple[Position, Any]] = []
    for at, value in zip(made.positions, made.values, strict=True):
        if type(value) in PASSING:
            if id(value) in seen:
                continue
            seen.add(id(value))
        pairs.append((at, value))
    return Bundle.of(pairs, is_marked=True)
