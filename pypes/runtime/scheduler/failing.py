"""Failing: what happens to a packet over which a component raised."""

from __future__ import annotations

import random
import traceback
from collections.abc import Sequence
from typing import Any

from pypes.component import ERROR_PORT
from pypes.core.raised import Raised
from pypes.core.shown import Clean, trace_of
from pypes.core.unreachable import is_unreachable
from pypes.packet import Packet
from pypes.runtime.scheduler.attempt import Attempt
from pypes.runtime.scheduler.breaker import UNKNOWN, Breakers, charged
from pypes.runtime.scheduler.core import Filter
from pypes.runtime.scheduler.dead import as_json, named
from pypes.runtime.scheduler.epoch import Epoch, Failure
from pypes.runtime.scheduler.lineage import Lineage, flatten
from pypes.runtime.scheduler.narrowing import Narrowing

RETRY_FIRST_S, RETRY_MOST_S = 0.1, 60.0


def backoff_s(tries: int, rng: random.Random) -> float:
    """The wait after so many tries, in seconds: it doubles with every one, with jitter."""
    return min(RETRY_MOST_S, RETRY_FIRST_S * 2.0 ** min(tries - 1, 16)) * rng.uniform(0.5, 1.0)


def _told(error: BaseException, clean: Clean) -> str:
    """The traceback as text. What the frames in it hold is let go: it may be all the memory there is."""
    text = trace_of(error, clean)
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is None or id(link) in seen:  # a component may have closed the chain to a ring
            continue
        seen.add(id(link))
        traceback.clear_frames(link.__traceback__)
        links += (link.__cause__, link.__context__)
        if isinstance(link, BaseExceptionGroup):
            links += link.exceptions
    return text


class Failing:
    """Accounts for the packets of one filter that failed: tried again, sent to the error port, or dead-lettered."""

    __slots__ = ("_core", "_filter", "_resting")

    def __init__(self, filter: Filter, resting: Breakers) -> None:
        self._core = filter.core
        self._filter = filter
        self._resting = resting

    def is_unreachable(self, error: BaseException | None) -> bool:
        """True for what a component raised over a service, or a destination, rather than a packet."""
        return error is not None and self._filter.rests and is_unreachable(error)

    def is_suspect(self, value: Any) -> bool:
        """True for a packet of which the next one is to tell whether it alone cannot reach the service."""
        return id(value) in self._filter.attempts or self._resting.is_suspect(self._filter, value)

    def rest(self, values: list[Any], lineages: Sequence[Lineage], error: BaseException) -> None:
        """The service cannot be reached: keep packets of this turn until it can, the first of them not for ever."""
        if self._filter.epoch is not None and self._filter.epoch.traces:
            self._note_try(lineages[0], Raised.of(charged(error), self._core.secrets.redact), 0)
        if self._filter.is_publisher:
            self._narrowing.rest(values, lineages, error)
            return
        resting, first = self._resting, values[0]
        if tries := resting.tries_of(self._filter, first):
            self.give_up(first, lineages[0], error, tries)
            first, values, lineages = UNKNOWN, values[1:], lineages[1:]
        elif self._steps_aside(values, lineages, error):
            values, lineages = values[1:], lineages[1:]
            self._filter.put_back(values, lineages)
            return
        self._filter.put_back(values, lineages)
        resting.fail(self._filter, error, first)

    def rest_over(self, first: Any, count: int, error: BaseException) -> None:
        """The destination cannot be reached: have a publisher rest over packets that are back on its wire, from the first on."""
        self._narrowing.keep(first, count, error)

    @property
    def _narrowing(self) -> Narrowing:
        found = self._filter.narrowing
        if found is None:
            found = self._filter.narrowing = Narrowing(self._filter, self, self._resting)
        assert isinstance(found, Narrowing)
        return found

    def give_up(self, value: Any, lineage: Lineage, error: BaseException, tries: int) -> None:
        """A packet was the first for too long of those that could not reach the service."""
        assert self._filter.epoch is not None
        self._filter.attempts.pop(id(value), None)
        self._resting.open[self._filter].failures = 1  # another packet is first, to which no time was given yet
        raised = Raised.of(charged(error), self._core.secrets.redact)
        self.dead_letter(self._filter.epoch, value, lineage, raised.code, raised.reason, error, tries)

    def _steps_aside(self, values: list[Any], lineages: Sequence[Lineage], error: BaseException) -> bool:
        """Have the first of these wait until the next one was tried, if it is suspected and there is a next one."""
        resting, first = self._resting, values[0]
        if self._filter.is_join or not self.is_suspect(first) or not resting.may_step_aside(self._filter):
            return False
        if len(values) == 1 and not any(wire.waiting for wire in self._filter.wires):
            return False
        resting.step_aside(self._filter, self.set_aside(first, lineages[0]), error, self)
        return True

    def set_aside(self, value: Any, lineage: Lineage) -> Attempt:
        """Keep a packet of this turn off its wire until it comes back."""
        assert self._filter.epoch is not None
        attempt = self._filter.attempts.get(id(value))
        if attempt is None:
            attempt = self._filter.attempts[id(value)] = Attempt(value, self._filter.epoch, lineage, self._core.clock(), 0)
        attempt.waiting = True
        self._filter.epoch.acquire()
        return attempt

    def come_back(self, attempt: Attempt) -> None:
        """None of those that were tried instead could reach the service either: the suspected packet is in front again."""
        attempt.waiting = False
        if not attempt.tries:
            del self._filter.attempts[id(attempt.value)]
        self._filter.give_back(self._filter.wires[0], attempt.epoch, [attempt.value], [attempt.lineage])
        attempt.epoch.release()

    def lose(self, attempt: Attempt, error: BaseException, tries: int) -> None:
        """Give up a packet that was set aside."""
        filter, epoch, lineage = self._filter, attempt.epoch, attempt.lineage
        del filter.attempts[id(attempt.value)]
        raised = Raised.of(charged(error), self._core.secrets.redact)
        self.dead_letter(epoch, attempt.value, lineage, raised.code, raised.reason, error, tries)
        if filter.listener is not None:
            filter.listener.despair(epoch, lineage)
        epoch.release()

    def back_off_s(self, tries: int) -> float:
        return backoff_s(tries, self._core.rng)

    def stay_aside(self, attempt: Attempt, error: BaseException) -> None:
        """The one that was tried instead got through: the suspected packet is tried again by itself."""
        own, self._filter.epoch = self._filter.epoch, attempt.epoch
        attempt.waiting = False
        self.failed(attempt.value, attempt.lineage, charged(error))
        self._filter.epoch = own
        attempt.epoch.release()

    def failed(self, value: Any, lineage: Lineage, error: BaseException, port: str | None = None) -> None:
        """A component raised over one packet: retry it, send it to the error port, or dead-letter it."""
        assert self._filter.epoch is not None
        raised = Raised.of(error, self._core.secrets.redact)
        if raised.delay_s is not None:
            attempt = self._filter.attempts.get(id(value))
            if attempt is None:
                attempt = self._filter.attempts[id(value)] = Attempt(value, self._filter.epoch, lineage, self._core.clock())
            else:
                attempt.tries += 1
            age_s = self._core.clock() - attempt.since_s
            is_early = raised.steers == "Unreachable" and self._filter.rests and age_s < self._resting.patience_s
            if attempt.tries < self.most_attempts or is_early:
                attempt.waiting = True
                self._note_try(lineage, raised, attempt.tries)
                self._try_again(attempt, lineage, raised.delay_s, port)
                return
            del self._filter.attempts[id(value)]
            self.dead_letter(self._filter.epoch, value, lineage, raised.code, raised.reason, error, attempt.tries)
        else:
            self.dead_letter(self._filter.epoch, value, lineage, raised.code, self._given(value, raised), error)

    def _note_try(self, lineage: Lineage, raised: Raised, tries: int) -> None:
        epoch = self._filter.epoch
        assert epoch is not None
        for trace in epoch.traces:
            trace.tried(epoch, self._filter.name, lineage, raised.code, raised.reason, tries)

    def _given(self, value: Any, raised: Raised) -> str:
        """The reason; where the component was given no packet, with where that came from: it may not have expected it."""
        if isinstance(value, Packet) or raised.steers != "":
            return raised.reason
        wires = ", ".join(wire.label for wire in self._filter.wires)
        return f"{raised.reason} (the input was no packet but a {type(value).__name__}: {wires})"

    def _try_again(self, attempt: Attempt, lineage: Lineage, delay_s: float, port: str | None) -> None:
        """Put a packet back on its wire after a back-off that doubles with every try, with jitter."""
        core = self._core
        backoff = backoff_s(attempt.tries, core.rng)
        wire = self._filter.inputs[port][0] if port in self._filter.inputs else self._filter.wires[0]
        attempt.epoch.acquire()
        attempt.lineage = lineage
        meter = self._filter.meter
        meter.retries += 1
        meter.err(core.wall_clock())
        meter.hold_up(core.clock())

        def due() -> None:
            meter.let_on(core.clock())
            attempt.waiting = False
            wire.hand_over(attempt.epoch, [attempt.value], [lineage])

        core.timers.after(max(delay_s, backoff), due)

    def dead_letter(
        self,
        epoch: Epoch,
        value: Any,
        lineage: Lineage,
        code: str,
        reason: str,
        error: BaseException | None = None,
        attempts: int = 1,
    ) -> None:
        """Hand a packet to the wired ``error`` port, or else keep it with the epoch for the dead letters."""
        secrets = self._core.secrets
        reason = secrets.redact(reason)
        self._filter.meter.fail(self._core.wall_clock())
        if self._filter.is_publisher:
            epoch.refuse(self._filter.name, (lineage,))
        out = self._filter.outs.get(ERROR_PORT)
        if out is not None and (value is not None or lineage != ()):  # a source that is triggered has nothing
            if isinstance(value, Packet):
                value.set_meta("error", {"filter": self._filter.name, "code": code, "error": reason})
            for each in epoch.traces:
                each.refused(epoch, self._filter.name, lineage, code, reason, attempts)
            epoch.spoil((lineage,), self._filter.reach_beside_error)
            self._filter.fan_out(out, epoch, [value], [lineage])
            return
        documents, reach = flatten((lineage,)), self._filter.reach
        if epoch.has_many_like(documents, self._filter.name, code):
            # PERF: a million of them are counted; a traceback takes half a millisecond
            epoch.fail(Failure(documents, self._filter.name, "", code, "", "", b"", attempts, 0.0, False), reach)
            return
        trace = _told(error, secrets.redact) if error is not None else ""
        name = type(self._filter.component).__name__
        now = self._core.wall_clock()
        names = named(value, secrets)
        packet, is_whole = as_json(value, secrets)
        cause = (value, error) if self._core.keeps_causes and error is not None else None
        failure = Failure(
            documents, self._filter.name, name, code, reason, trace, packet, attempts, now, is_whole, None, names, cause
        )
        epoch.fail(failure, reach)

    def fail_document(self, epoch: Epoch, document: int, error: BaseException, attempts: int) -> None:
        """Dead-letter a document, of which there is no packet here, over which ``complete`` raised; or say so in the log only.

        The latter where a packet of it has failed here already: one of its letters is enough to run it again.
        """
        filter, clean = self._filter, self._core.secrets.redact
        raised = Raised.of(error, clean)
        if filter.name in (epoch.refused or ()) and document in epoch.refused[filter.name]:  # type: ignore[index]
            filter.component.log.error("complete failed", extra={"reason": raised.reason})
            return
        filter.meter.fail(self._core.wall_clock())
        if filter.is_publisher:
            epoch.refuse(filter.name, (document,))
        name, code = type(filter.component).__name__, raised.code if raised.steers else "component.complete"
        trace, now = _told(error, clean), self._core.wall_clock()
        epoch.fail(
            Failure((document,), filter.name, name, code, raised.reason, trace, b"", attempts, now, False), self._filter.reach
        )

    @property
    def most_attempts(self) -> int:
        """Attempts in all for what asks to be tried again."""
        own = self._filter.max_attempts
        return self._filter.component.max_attempts if own is None else own

    def forget_successes(self, epoch: Epoch) -> None:
        """Forget the attempts of packets that got through in this turn (those not yet due keep theirs)."""
        done = [key for key, attempt in self._filter.attempts.items() if not attempt.waiting and attempt.epoch is epoch]
        if done and (self._filter.lone is not None or self._filter in self._resting.open):
            back = {id(value) for wire in self._filter.wires if epoch in wire.waiting for value in wire.waiting[epoch][0]}
            done = [key for key in done if key not in back]
        for key in done:
            del self._filter.attempts[key]
