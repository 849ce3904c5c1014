"""The batch driver: runs components with ``process_batch``."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterator, Sequence
from operator import is_, length_hint
from typing import Any, Final

from pypes.core.returned import are_packets, checked, packets_of, unrun
from pypes.errors import Retry
from pypes.runtime.scheduler.breaker import charged
from pypes.runtime.scheduler.core import is_no_failure
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage, flatten
from pypes.runtime.scheduler.outport import OutPort
from pypes.runtime.scheduler.process_driver import ProcessDriver

HOOK = "process_batch"

NOTHING_TAKEN: Final[tuple[Sequence[Any], Sequence[Lineage]]] = ((), ())


class Whole(Sequence[Lineage]):
    """The lineage of whatever a batch sends, whichever packet it may be made of; worked out only if it sends anything."""

    def __init__(self, lineages: Sequence[Lineage]) -> None:
        self._lineages = lineages

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        return flatten(self._lineages)


class BatchDriver(ProcessDriver):
    """Calls ``process_batch`` with all that waits; when it raises, packet by packet, so that only the guilty one fails."""

    sees_packets_alone = False

    __slots__ = ("at", "only", "taken")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: The batch that is worked on, and how many of its packets are accounted for while they are tried one by one.
        self.taken = NOTHING_TAKEN
        self.at = 0
        #: The packet that alone makes up the batch, with its lineage, where what is made of it is named.
        self.only: tuple[Any, Lineage] | None = None

    def in_hand(self) -> Sequence[Lineage]:
        return self.chunk

    def in_work(self) -> Sequence[Any]:
        values = self.taken[0]
        return values if self.unaccounted is None else values[self.at : self.at + 1]

    def work_on(self, values: list[Any], lineages: Sequence[Lineage]) -> None:
        self.taken = values, lineages
        if self.broken and len(values) > 1 and not self.is_publisher and self.failing.is_suspect(values[0]):
            error = None
            self._one_by_one(values, lineages)
        elif (error := self._batch(values, lineages)) is None:
            if self.broken:
                self.resting.succeed(self)
        elif self.gone is None and self.failing.is_unreachable(error):
            self.rest(values, lineages, error)
        elif len(values) == 1 or self.gone is not None or isinstance(error, Retry):
            # what went on before it raised would go on once more if they were tried one by one
            gone = self.gone or ()
            error = charged(error) if self.failing.is_unreachable(error) else error
            for i, (value, lineage) in enumerate(zip(values, lineages, strict=True)):
                self.at = i
                if id(value) not in gone:
                    self.failing.failed(value, self.apart(lineage), error)
            self.at = 0
        else:
            self._one_by_one(values, lineages)
        self.taken = NOTHING_TAKEN
        if self.attempts:
            self.forget_successes(values)

    def _one_by_one(self, values: list[Any], lineages: Sequence[Lineage]) -> None:
        pinned = self._pinned()
        try:
            self._each(pinned, values, lineages)
        finally:
            self.unaccounted = None

    def _each(self, pinned: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        for i, (value, lineage) in enumerate(zip(values, lineages, strict=True)):
            self.core.turns += 1
            self.at = i
            self.unaccounted = pinned, lineages[i + 1 :]
            own = self.apart(lineage)
            error = self._batch([value], [own])
            if error is not None and self.gone is None and self.failing.is_unreachable(error):
                self.rest(values[i:], lineages[i:], error)
                break
            if error is not None:
                self.failing.failed(value, own, charged(error) if self.failing.is_unreachable(error) else error)
            elif self.broken:
                self.resting.succeed(self)
        self.at = 0

    # -- packets of a batch by themselves ---------------------------------------------------------------------

    def apart(self, lineage: Lineage) -> Lineage:
        """Go on with one packet of the batch alone: pin its own epoch; returns its lineage there."""
        return lineage

    def rest(self, values: list[Any], lineages: Sequence[Lineage], error: BaseException) -> None:
        """The service cannot be reached: keep the last packets of the batch, which these are, until it can."""
        self.failing.rest(values, lineages, error)

    def forget_successes(self, values: list[Any]) -> None:
        """Forget the attempts of packets that got through in this turn."""
        self.failing.forget_successes(self._pinned())

    def unfinished(self) -> Iterator[tuple[Epoch, Any, Lineage]]:
        gone = self.gone or ()
        for value, lineage in zip(self.taken[0][self.at :], self.taken[1][self.at :], strict=True):
            if id(value) not in gone:
                own = self.apart(lineage)
                yield self._pinned(), value, own
        self.at = 0

    def name_sent(self, data: Any, at: int) -> None:
        self._name(data, self.taken[0])

    def _name(self, value: Any, parents: Sequence[Any]) -> None:
        """Name what is made of a batch, in which only a packet that is alone is known to be the one."""
        assert self.naming is not None
        if self.only is not None:
            self.naming.sent(value, *self.only)
        else:
            self.naming.made_of(value, parents)

    # -- a call -----------------------------------------------------------------------------------------------

    def _batch(self, values: list[Any], lineages: Sequence[Lineage]) -> BaseException | None:
        """Work on packets together; returns what was raised, and then nothing more of theirs goes on."""
        try:
            self._work_on_batch(values, lineages)
        except BaseException as error:
            if is_no_failure(error):
                raise
            self.sent.clear()
            for out in self.outs.values():
                out.values, out.lineages = [], []
            return error
        return None

    def _work_on_batch(self, values: list[Any], lineages: Sequence[Lineage]) -> None:
        outs = self.outs  # PERF: a publisher has none as a rule, and sends nothing
        self.lineages, self.results, self.emitted, self.gone = Whole(lineages) if outs else lineages, [], 0, None
        self.sent_from.clear()
        self.kept.clear()
        if self.naming is not None:
            self.naming.forget()
            # of several packets nobody knows which one it is that something is made of
            self.only = (values[0], lineages[0]) if len(values) == 1 else None
        process_batch = self.component.process_batch
        assert process_batch is not None
        results = process_batch(values)
        out = outs.get("out")
        if results is not None and (out is None or self.is_publisher):
            results = _run(results, is_kept=out is not None)
        if self.is_publisher:
            self.publish(lineages)
        going_on: set[int] | None = set()
        if out is not None and results is not None:
            going_on = self._emit_results(out, results, values, lineages)
        if self.drops and going_on is not None and not self.sent_from:
            self.note_dropped(self._pinned(), tuple(set(flatten(lineages)) - going_on) if going_on else lineages)
        if self.sent and out is not None:
            self._emit_in_order(out)
        if outs:
            self._flush_ports()
        if self.kept:
            self.note_kept(values, lineages)
            self.kept.clear()
        if self.holding is not None and self.holding.release_asked:
            self.holding.release()

    def _emit_results(self, out: OutPort, results: Any, values: list[Any], lineages: Sequence[Lineage]) -> set[int] | None:
        """Put results on the wires; returns of which documents there was one, ``None`` if that is all of them.

        Results may be a generator over more than memory holds: they go on a wire's capacity at a time.
        """
        if type(results) is list and len(results) == len(values) <= self.capacity and are_packets(results):
            if self.naming is not None:
                self.naming.returned(results, values, lineages)
            # PERF: what nearly every batch comes to; a copy, for the list is the component's own
            self.emit(out, self._pinned(), results[:], lineages)
            if self.full_wires:
                if not self.sent_from and len(lineages) == len(self.chunk):
                    self.chunk = ()  # all of it has gone on: whoever takes it now may end its documents
                self.park_while_full()
            return None
        each = packets_of(results, HOOK)
        if isinstance(results, list):
            checked(results, HOOK)  # all of them, before the first goes on
        by_identity: dict[int, Lineage] | None = None
        aligned = length_hint(results, -1) == len(values)
        position = 0
        is_all = False
        going_on: set[Lineage] = set()
        whole: Lineage = ()
        while part := [value for _, value in zip(range(self.capacity), each, strict=False)]:
            sources: Sequence[Lineage] | None
            if aligned:
                sources = lineages[position : position + len(part)]
                if self.naming is not None:
                    self.naming.returned(part, values[position : position + len(part)], sources)
                position += len(part)
                kept = [(v, o) for v, o in zip(part, sources, strict=True) if v is not None]
                if len(kept) < len(part):
                    part, sources = [v for v, _ in kept], [o for _, o in kept]
                is_all = len(part) == len(values)
            else:
                part = checked(part, HOOK)
                sources = _positional_lineages(part, values, lineages)
                is_all = is_all or sources is not None
                if sources is None:
                    if by_identity is None:
                        by_identity = {id(value): lineage for value, lineage in zip(values, lineages, strict=True)}
                        whole = flatten(lineages)
                    sources = [by_identity.get(id(value), whole) for value in part]
                if self.naming is not None:
                    for value in part:
                        self._name(value, values)
            if self.drops and not is_all:
                going_on.update(sources)
            if part:
                self.gone = {*(self.gone or ()), *map(id, part)} if not aligned else self.gone
                self.emit(out, self._pinned(), part, sources)
                self.park_while_full()
        return None if is_all else set(flatten(going_on))


def _run(results: Any, is_kept: bool) -> Any:
    """Have a generator do its work, whether or not anybody takes what it yields."""
    if inspect.iscoroutine(results) or inspect.isasyncgen(results):
        raise unrun(results, HOOK)  # type: ignore[misc]
    if not isinstance(results, Iterator):
        return results
    return list(results) if is_kept else deque(results, maxlen=0)


def _positional_lineages(sent: Sequence[Any], taken: Sequence[Any], lineages: Sequence[Lineage]) -> Sequence[Lineage] | None:
    """The lineages of ``taken`` if exactly those packets were sent on, in their order; else ``None``."""
    return lineages if len(sent) == len(taken) and all(map(is_, sent, taken)) else None
