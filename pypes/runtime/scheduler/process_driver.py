"""The process driver: runs components with ``process``, and their ``flush``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pypes.core.returned import are_packets, fault_of, packets_of
from pypes.core.shown import shown
from pypes.errors import Retry
from pypes.packet import Packet
from pypes.runtime.scheduler.breaker import charged
from pypes.runtime.scheduler.core import is_no_failure
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.published import without_committed
from pypes.runtime.scheduler.sending import Sending

#: Packets that were not committed, and the reason.
_Left = tuple[list[Any], Sequence[Lineage], BaseException]


class ProcessDriver(Sending):
    """Calls ``process`` for every packet that waits.

    PERF: results come one per packet, so that their number tells which packet is under the cursor, also when ``process``
    raises or sends; a loop in C (``map``) would take a ``StopIteration`` for the end of the packets. Only a chunk in which
    something was dropped or sent needs its results put in order packet by packet. Where the one wire from here leads
    to a filter of the same style that is idle, the results are handed over without going through the wire.
    """

    sees_packets_alone = True
    #: True if the filter before may hand it a chunk past the wire.
    is_handed_chunks = True

    __slots__ = ("call", "following", "takes_plainly")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.following: ProcessDriver | None = None
        self.call = self.component.process

    def wired(self) -> None:
        super().wired()
        is_free = self.holding is None and self.joining is None and self.observation is None and self.provenance is None
        #: True if there is nothing to look at when it takes a chunk, as a rule.
        self.takes_plainly = is_free and self.only_wire is not None and not (self.is_publisher and self.inheriting is not None)
        out = self.outs.get("out")
        simple = type(self) is ProcessDriver and not self.is_publisher
        if simple and out is not None and len(out.wires) == 1:
            after = self.core.target_of(out.wires[0])
            if isinstance(after, ProcessDriver) and after.is_handed_chunks and after.holding is None and len(after.wires) == 1:
                # publishers take their turn after everything else (see `Scheduler`)
                is_in_turn = not after.is_publisher or len(after.ancestors) == len(self.core.filters) - 1
                is_seen = self.core.record_turn is not None or self.observation is not None or self.provenance is not None
                self.following = after if is_in_turn and not is_seen else None

    def step(self) -> None:
        if self.greenlet is not None:  # parked in the middle of its turn
            self.core.resume(self)
            return
        only = self.only_wire
        is_usual = self.takes_plainly and not self.alone and not self.core.special and only.packets <= self.most  # type: ignore[union-attr]
        if is_usual and (first := only.take_first()) is not None:  # type: ignore[union-attr]
            # PERF: without asking for the oldest epoch, and whatever else :meth:`take` looks at
            pinned, values, self.chunk = first
            if self.following is not None:
                self.hand_on(pinned, values, self.chunk)
                return
            self.epoch = pinned
            self.work_on(values, self.chunk)
            self.end_turn()
            return
        if self.holding is not None and self.holding.flush_asked:
            self.flush()
        epoch = self.next_epoch()
        if epoch is None:
            if self.triggers:
                self.epoch = self.triggers.pop(0)
                if not self.component.get_in_ports():
                    self.work_on([None], [()])
            self.end_turn()
            return
        for wires in self.inputs.values():
            chunk = self.take(wires, epoch)
            if chunk is not None:
                if self.following is not None and not self.core.special and self.lone is None:
                    self.hand_on(epoch, *chunk)
                    return
                self.work_on(*chunk)
                if self.broken and self.resting.is_resting(self):
                    break
        self.end_turn()

    def hand_on(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Work on a chunk, and go on with what became of it in the following filters as long as they are idle."""
        driver: ProcessDriver = self
        core = self.core
        broken, clock = self.broken, core.clock
        is_alone = (count := len(values)) == 1  # and stays so: what goes on is one result for each
        error: BaseException | None = None
        while (following := driver.following) is not None and not (
            following.blocks or following.epoch is not None or (wire := following.wires[0]).waiting
        ):
            driver.epoch = epoch
            driver.values, driver.lineages = values, lineages
            try:
                if is_alone:  # PERF: documents that come one by one make most chunks of a live feed
                    call = driver.call
                    result = call(values[0])
                    results, goes_on = [result], type(result) is Packet
                else:
                    results = driver.results
                    goes_on = driver.process_all(values) or are_packets(results)
            except BaseException as raised:
                if is_no_failure(raised):
                    raise
                results, error, goes_on = driver.results, raised, False
            if driver.sent_from or not goes_on:
                driver.results = results
                driver.finish_chunk(error)
                driver.end_turn()
                break
            if driver.naming is not None:
                driver.naming.returned(results, values, lineages)
                driver.naming.forget()
            # the pin on the epoch passes to the following filter
            driver.epoch = None
            if broken:
                self.resting.succeed(driver)
            if driver.attempts:
                driver.failing.forget_successes(epoch)
            if not is_alone:
                driver.results = []
            # PERF: counts as if by the wire, and time as by `Core.begin_turn`
            wire.total += count
            if wire.taps:
                wire.show(results)
            driver.meter.seconds += (now_s := clock()) - core.since_s
            core.since_s = now_s
            core.running = driver = following
            values = results
        else:
            driver.epoch, driver.chunk = epoch, lineages
            if driver.is_remembered and self.core.reruns:
                values, lineages = without_committed(driver.name, epoch, values, lineages)
            if driver.is_publisher and driver.inheriting is not None:
                values, lineages = driver.inheriting.without_missing(driver.failing.dead_letter, epoch, values, lineages)
            if values:
                driver.work_on(values, lineages)
            driver.end_turn()
        if driver is not self:
            self.note_waiting()

    def work_on(self, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Process one chunk; afterwards everything that came of it is on the wires or accounted for."""
        self.values, self.lineages = values, lineages
        try:
            self.process_all(values)
        except BaseException as error:
            if is_no_failure(error):
                raise
            self.finish_chunk(error)
        else:
            self.finish_chunk()

    def process_all(self, values: list[Any]) -> bool:
        """Add the results of packets to those that are there; True if each returned the very packet it was given."""
        call, results = self.call, self.results
        are_same = True
        for value in values:
            result = call(value)
            results.append(result)  # PERF: the interpreter knows this of a list, and calls a bound method kept beside it
            if result is not value:
                are_same = False
        return are_same

    def finish_chunk(self, error: BaseException | None = None) -> None:
        """Emit, commit and account for a chunk; with ``error``, first work on what comes after the packet that raised it.

        Where that says that a service cannot be reached, it goes back to the wire with what comes after it.
        """
        results, values, lineages = self.results, self.values, self.lineages
        failed = self.lost
        waiting: tuple[list[Any], Sequence[Lineage]] = ([], ())
        unreachable: BaseException | None = None
        while error is not None:
            at = len(results)
            is_unreachable = self.failing.is_unreachable(error)
            if is_unreachable and self._unsend(at):
                unreachable, waiting = error, self.left_over(values[at:], lineages[at:])
                values, lineages = values[:at], lineages[:at]
                self.lineages = lineages
                break
            self.failing.failed(values[at], lineages[at], charged(error) if is_unreachable else error)
            results.append(None)
            failed.append(at)
            try:
                self.process_all(values[at + 1 :])
                error = None
            except BaseException as another:
                if is_no_failure(another):
                    raise
                error = another
        out = self.outs.get("out")
        if out is not None:
            if results and not self.sent_from and are_packets(results):
                if self.naming is not None:
                    self.naming.returned(results, values, lineages)
                self.emit(out, self._pinned(), results, lineages)
            else:
                self._emit_in_order(out)
                if self.drops:
                    self._note_drops([i for i, result in enumerate(results) if result is None], failed)
        else:
            if results.count(None) < len(results):
                self._check_unrun(failed)
            if self.drops:
                self._note_drops(range(len(results)), failed)
        if self.kept:
            if out is None:
                self.note_kept_at(range(len(results)))
            self.kept.clear()
        if self.sent_from:
            self._flush_ports()
            self.sent_from.clear()
            self.gone_at = -1
        if self.naming is not None:
            self.naming.forget()
        self.results, self.values, self.lineages, self.emitted, self.lost = [], [], (), 0, []
        if self.is_publisher:
            if failed or unreachable is not None:
                self._publish_rest(values, lineages, failed, waiting, unreachable)
            elif values and (left := self._commit(values, lineages)) is not None:
                self.failing.rest(*left)
        else:
            if self.broken and len(values) > len(failed):
                self.resting.succeed(self)
            if unreachable is not None:
                self.failing.rest(*waiting, unreachable)
        if self.attempts:
            self.failing.forget_successes(self._pinned())

    def left_over(self, values: list[Any], lineages: Sequence[Lineage]) -> tuple[list[Any], Sequence[Lineage]]:
        """Packets that go back to the wire when the first of these cannot be worked on now."""
        return values, lineages

    def _note_drops(self, positions: Sequence[int], failed: list[int]) -> None:
        """Of the packets at ``positions`` nothing was returned: those over which nothing was sent either are dropped."""
        others = self.sent_from.union(failed)
        lineages = self.lineages
        if others or len(positions) < len(lineages):
            lineages = [lineages[i] for i in positions if i not in others]
        if lineages:
            self.note_dropped(self._pinned(), lineages)

    def position(self) -> int:
        return len(self.results)

    def in_hand(self) -> Sequence[Lineage]:
        if self.is_publisher or self.holding is not None:
            # the first is all there is where the chunk was handed on, the other where it is worked on packet by packet
            return [*self.lineages, *self.chunk]
        # what comes before has gone on already, but for what waits to be sent together
        return [*self.lineages[self.emitted :], *(lineage for out in self.outs.values() for lineage in out.lineages)]

    def current(self) -> Any:
        at = len(self.results)
        return self.values[at] if at < len(self.values) else None

    def upcoming(self, count: int) -> Sequence[Any]:
        return self.values[len(self.results) + 1 :][:count]

    # -- publishing -------------------------------------------------------------------------------------

    def _publish_rest(
        self,
        values: list[Any],
        lineages: Sequence[Lineage],
        failed: list[int],
        waiting: tuple[list[Any], Sequence[Lineage]],
        unreachable: BaseException | None,
    ) -> None:
        """Commit what did not fail; what does not get through goes back, before ``waiting``, the rest of the chunk."""
        good = [i for i in range(len(values)) if i not in set(failed)]
        values, lineages = [values[i] for i in good], [lineages[i] for i in good]
        if not values:
            if unreachable is not None:
                self.failing.rest(*waiting, unreachable)
            return
        self.put_back(*waiting)  # first: what waits is not completed by the commit
        left = self._commit(values, lineages)
        if left is not None and not waiting[0]:
            self.failing.rest(*left)
        elif left is not None:
            values, lineages, error = left
            self.put_back(values, lineages)
            self.failing.rest_over(values[0], len(values) + len(waiting[0]), error)
        elif unreachable is not None:
            self.failing.rest_over(waiting[0][0], len(waiting[0]), unreachable)

    def _commit(self, values: list[Any], lineages: Sequence[Lineage]) -> _Left | None:
        """Commit packets; returns those that cannot be had through, with the reason."""
        try:
            self.publish(lineages)
        except BaseException as error:
            if is_no_failure(error):
                raise
            if self.failing.is_unreachable(error):
                return values, lineages, error
            if len(values) == 1 or isinstance(error, Retry):
                for value, lineage in zip(values, lineages, strict=True):
                    self.failing.failed(value, lineage, error)
                return None
            return self._commit_apart(values, lineages)
        return None

    def _commit_apart(self, values: list[Any], lineages: Sequence[Lineage]) -> _Left | None:
        """One packet must not fail its neighbours: do the work again, one by one."""
        try:
            for i, (value, lineage) in enumerate(zip(values, lineages, strict=True)):
                self.unaccounted = self._pinned(), lineages[i + 1 :]
                unreachable = self._one(value, lineage)
                if unreachable is not None:
                    return values[i:], lineages[i:], unreachable
        finally:
            self.unaccounted = None
        return None

    def _one(self, value: Any, lineage: Lineage) -> BaseException | None:
        self.core.turns += 1
        try:
            self.component.process(value)
            self.publish((lineage,))
        except BaseException as error:
            if is_no_failure(error):
                raise
            if self.failing.is_unreachable(error):
                return error
            self.failing.failed(value, lineage, error)
        return None

    def failed_step(self, error: BaseException) -> None:
        """Something outside the component's methods raised, our own bug: what was in hand goes to the dead letters."""
        if not is_no_failure(error):
            self.component.log.error("turn failed", exc_info=error)
        if self.epoch is None:
            return
        unfinished, self.values = [*self.unfinished()], []
        for epoch, value, lineage in unfinished:
            self.failing.dead_letter(epoch, value, lineage, "internal", shown(error, self.core.secrets.redact), error)
        for out in self.outs.values():
            out.values, out.lineages = [], []
        self.results, self.lineages, self.sent, self.emitted, self.lost = [], (), [], 0, []
        self.sent_from.clear()
        self.end_turn()

    def unfinished(self) -> Iterator[tuple[Epoch, Any, Lineage]]:
        """The packets of the turn that are not accounted for."""
        at = len(self.results)
        for value, lineage in zip(self.values[at:], self.lineages[at:], strict=False):
            yield self._pinned(), value, lineage

    # -- holding ----------------------------------------------------------------------------------------

    def flush(self) -> None:
        holding = self.holding
        assert holding is not None
        if not holding.held:
            holding.release()
            return
        # nothing is pinned here: whatever is sent travels in a derived epoch of all that is held
        self.epoch = next(iter(holding.held))
        self.epoch.acquire()
        lineages: list[Lineage] = [()]
        self.results, self.lineages, self.chunk, self.emitted = [], lineages, (), 0
        try:
            for result in packets_of(self.component.flush(), "flush"):
                fault = fault_of(result, hook="flush")
                if fault is not None:
                    raise fault
                self.results.append(result)
                lineages.append(())
            out = self.outs.get("out")
            if out is not None:
                self._emit_in_order(out)
            self._flush_ports()
        except BaseException as error:
            if is_no_failure(error):
                raise
            self.sent.clear()
            holding.fail(error)
        else:
            holding.release()
        self.results, self.lineages = [], ()
        self.sent_from.clear()
        self.end_turn()
