"""Failing: what happens to a packet over which a component raised."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit

from pypes.component import ERROR_PORT, Component
from pypes.core.ports import Origin, Pype
from pypes.core.raised import Raised, is_interruption
from pypes.core.shown import Clean, trace_of
from pypes.core.unreachable import is_unreachable
from pypes.packet import Packet
from pypes.runtime.scheduler.breaker import PATIENCE_S, charged
from pypes.runtime.scheduler.dead import as_json, named
from pypes.runtime.scheduler.epoch import Epoch, Failure, flatten
from pypes.runtime.scheduler.outport import OutPort

if TYPE_CHECKING:
    from pypes.runtime.scheduler.hub import Scheduler

RETRY_FIRST_S, RETRY_MOST_S = 0.1, 60.0


class Ended(GreenletExit):
    """A filter's greenlet is ended where it is parked; ``GreenletExit`` itself may be raised by a component like any other."""


def is_no_failure(error: BaseException) -> bool:
    """True for what goes through a component and is not its doing: its greenlet is ended, or the user interrupts the program."""
    return isinstance(error, Ended) or is_interruption(error)


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


class Attempt:
    """A packet that asked to be tried again."""

    __slots__ = ("epoch", "origin", "since_s", "tries", "value", "waiting")

    def __init__(self, value: Any, epoch: Epoch, origin: Origin, since_s: float) -> None:
        self.value = value
        self.epoch = epoch
        self.origin = origin
        self.tries = 1
        #: Clock time of the first try.
        self.since_s = since_s
        #: True until it is due and back on a wire.
        self.waiting = True


class Failing:
    """The part of a tasklet that accounts for packets that failed: tried again, sent to the error port, or dead-lettered."""

    __slots__ = ("blocks", "epoch")

    hub: Scheduler
    name: str
    component: Component
    epoch: Epoch | None
    bit: int
    blocks: int
    inputs: dict[str, list[Pype]]
    pypes: list[Pype]
    outs: dict[str, OutPort]
    is_publisher: bool
    rests: bool
    max_attempts: int | None
    attempts: dict[int, Attempt]

    def put_back(self, values: list[Any], origins: Sequence[Origin]) -> None:
        raise NotImplementedError

    def emit(self, out: OutPort, epoch: Epoch, values: list[Any], origins: Sequence[Origin]) -> None:
        raise NotImplementedError

    def is_unreachable(self, error: BaseException | None) -> bool:
        """True for what a component raised over a service, or a destination, rather than a packet."""
        return error is not None and self.rests and is_unreachable(error)

    def is_suspect(self, value: Any) -> bool:
        """True for a packet of which the next one is to tell whether it alone cannot reach the service."""
        return not self.is_publisher and (id(value) in self.attempts or self.hub.resting.is_suspect(self, value))

    def rest(self, values: list[Any], origins: Sequence[Origin], error: BaseException) -> None:
        """The service cannot be reached: keep packets of this turn until it can."""
        if len(values) == 1 and self.is_suspect(values[0]) and self._step_aside(values, origins, error):
            return
        self.put_back(values, origins)
        self.hub.resting.fail(self, error, values[0])

    def _step_aside(self, values: list[Any], origins: Sequence[Origin], error: BaseException) -> bool:
        """Have a suspected packet wait until one of another epoch was tried; False if there is none, or this is that one."""
        pype, epoch, breaker = self.pypes[0], self.epoch, self.hub.resting.open.get(self)
        assert epoch is not None
        if breaker is None or breaker.aside is not None:
            return False
        if len(self.pypes) > 1 or not pype.waiting or epoch in pype.waiting:
            return False
        pype.put(epoch, values, origins)
        epoch.pending += 1
        breaker.aside = epoch, error
        return True

    def come_back(self, epoch: Epoch) -> None:
        """The one that was tried instead could not reach the service either: the suspected packet is first again."""
        pype = self.pypes[0]
        chunk = pype.waiting.pop(epoch, None)
        if chunk is not None:
            pype.waiting = {epoch: chunk, **pype.waiting}

    def stay_aside(self, epoch: Epoch, error: BaseException) -> None:
        """The one that was tried instead got through: the suspected packet is tried again by itself."""
        chunk = self.pypes[0].take(epoch)
        if chunk is None:
            return
        own, self.epoch = self.epoch, epoch
        self.failed(chunk[0][0], chunk[1][0], charged(error))
        if len(chunk[0]) > 1:  # more of its epoch has come since
            self.put_back(chunk[0][1:], chunk[1][1:])
        self.epoch = own
        epoch.pending -= 1
        if not epoch.pending:
            self.hub.finish(epoch)

    def failed(self, value: Any, origin: Origin, error: BaseException, port: str | None = None) -> None:
        """A component raised over one packet: retry it, send it to the error port, or dead-letter it."""
        assert self.epoch is not None
        raised = Raised.of(error, self.hub.secrets.redact)
        if raised.delay_s is not None:
            attempt = self.attempts.get(id(value))
            if attempt is None:
                attempt = self.attempts[id(value)] = Attempt(value, self.epoch, origin, self.hub.clock())
            else:
                attempt.tries += 1
            most = self.component.max_attempts if self.max_attempts is None else self.max_attempts
            is_early = raised.steers == "Unreachable" and self.rests and self.hub.clock() - attempt.since_s < PATIENCE_S
            if attempt.tries < most or is_early:
                attempt.waiting = True
                self._try_again(attempt, origin, raised.delay_s, port)
                return
            del self.attempts[id(value)]
            self.dead_letter(self.epoch, value, origin, raised.code, raised.reason, error, attempt.tries)
        else:
            self.dead_letter(self.epoch, value, origin, raised.code, self._given(value, raised), error)

    def _given(self, value: Any, raised: Raised) -> str:
        """The reason; where the component was given no packet, with where that came from: it may not have expected it."""
        if isinstance(value, Packet) or raised.steers != "":
            return raised.reason
        wires = ", ".join(pype.label for pype in self.pypes)
        return f"{raised.reason} (what came to it is no packet but a {type(value).__name__}: {wires})"

    def _try_again(self, attempt: Attempt, origin: Origin, delay_s: float, port: str | None) -> None:
        """Put a packet back on its wire after a back-off that doubles with every try, with jitter."""
        hub = self.hub
        backoff = min(RETRY_MOST_S, RETRY_FIRST_S * 2.0 ** min(attempt.tries - 1, 16)) * hub.rng.uniform(0.5, 1.0)
        pype = self.inputs[port][0] if port in self.inputs else self.pypes[0]
        attempt.epoch.pending += 1
        attempt.origin = origin

        def due() -> None:
            attempt.waiting = False
            if not pype.put(attempt.epoch, [attempt.value], [origin]):
                attempt.epoch.pending -= 1  # it joined a chunk that is counted already
            hub.waiting |= self.bit

        hub.timers.after(max(delay_s, backoff), due)

    def dead_letter(
        self,
        epoch: Epoch,
        value: Any,
        origin: Origin,
        code: str,
        reason: str,
        error: BaseException | None = None,
        attempts: int = 1,
    ) -> None:
        """Hand a packet to the wired ``error`` port, or else keep it with the epoch for the dead letters."""
        secrets = self.hub.secrets
        reason = secrets.redact(reason)
        if self.is_publisher:
            epoch.refuse(self.name, (origin,))
        out = self.outs.get(ERROR_PORT)
        if out is not None and (value is not None or origin != ()):  # a source that is triggered has nothing
            if isinstance(value, Packet):
                value.set_meta("error", {"filter": self.name, "code": code, "error": reason})
            self.emit(out, epoch, [value], [origin])
            return
        documents = flatten((origin,))
        if epoch.has_many_like(documents, self.name, code):
            # PERF: a million of them are counted; a traceback takes half a millisecond
            epoch.fail(Failure(documents, self.name, "", code, "", "", b"", attempts, 0.0, False))
            return
        trace = _told(error, secrets.redact) if error is not None else ""
        name = type(self.component).__name__
        now = self.hub.wall_clock()
        names = named(value, secrets)
        packet, is_whole = as_json(value, secrets)
        epoch.fail(Failure(documents, self.name, name, code, reason, trace, packet, attempts, now, is_whole, None, names))

    def settle_attempts(self, epoch: Epoch) -> None:
        """Forget the attempts of packets that got through in this turn (those not yet due keep theirs)."""
        settled = [key for key, attempt in self.attempts.items() if not attempt.waiting and attempt.epoch is epoch]
        if settled and self in self.hub.broken:
            back = {id(value) for pype in self.pypes if epoch in pype.waiting for value in pype.waiting[epoch][0]}
            settled = [key for key in settled if key not in back]
        for key in settled:
            del self.attempts[key]
