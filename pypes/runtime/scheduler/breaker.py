"""Breaker: a filter rests while a service that it needs cannot be reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from pypes.core.raised import Raised
from pypes.errors import Retry, Unreachable
from pypes.runtime.scheduler.attempt import Attempt
from pypes.runtime.scheduler.core import Core, Filter
from pypes.runtime.scheduler.jams import Jams

REST_FIRST_S, REST_MOST_S = 0.5, 30.0

#: A packet that alone cannot reach its service, while others can, is not given up before so many seconds have passed, or the
#: limit ``unreachable_s`` if that is less. After each such time one packet more is tried beyond those that do not get through.
PATIENCE_S = 60.0
MOST_ASIDE = 16

#: Stands for the packet over which a filter noticed, where that is not known.
UNKNOWN: Final = object()


def charged(error: BaseException) -> Retry:
    """The retry for a packet that failed to reach a service which others reach."""
    if isinstance(error, Retry):
        return error
    retry = Unreachable(0.0, error)
    retry.__cause__ = error
    return retry


class Retries(Protocol):
    """Takes back the suspected packets of a filter."""

    def come_back(self, attempt: Attempt) -> None: ...
    def stay_aside(self, attempt: Attempt, error: BaseException) -> None: ...


class Breakers:
    """The filters that could not reach their service, or destination, when they last tried.

    Such a filter has its packets back on its wire, in their order, and does not run for a while: half a second at first, twice
    as long after each failure, up to 30 s, with jitter. Then it tries with what waits. Until it succeeds its wires grow up to
    their byte cap before whoever sends there is parked, so that other branches go on.

    A packet that is the first to fail twice is *suspected*, except at publishers and joins: it steps aside, and the next one is
    tried. If that gets through, the suspected one alone cannot reach its service, and is tried again apart from the others (see
    :func:`charged`). If not, it is first again; the longer the filter rests, the more packets step aside one after the other, so
    that several of this kind in a row do not hide behind each other. One that was the first to fail for as long as the limit
    ``unreachable_s``, with or without a next one, is given up.
    """

    def __init__(self, core: Core, jams: Jams) -> None:
        self._core = core
        self._jams = jams
        self.open: dict[Filter, Breaker] = {}
        #: Called when a filter has begun to rest, or need not any more; not for each time it tries in vain.
        self.on_change: Callable[[], None] = lambda: None

    def is_resting(self, filter: Filter) -> bool:
        breaker = self.open.get(filter)
        return breaker is not None and breaker.until is not None

    @property
    def patience_s(self) -> float:
        return max(1.0, min(PATIENCE_S, self._core.limits.unreachable_s))

    def is_suspect(self, filter: Filter, value: Any) -> bool:
        """True for the packet that was the first not to get through when the filter tried last, and the one after it."""
        breaker = self.open.get(filter)
        return breaker is not None and (breaker.first is value or bool(breaker.aside))

    def tries_of(self, filter: Filter, value: Any) -> int:
        """The number of times that a packet was the first to fail, if that has lasted too long; else 0."""
        breaker = self.open.get(filter)
        if breaker is None or breaker.first is not value or breaker.aside:
            return 0
        return breaker.failures + 1 if self._core.clock() - breaker.first_s >= self._core.limits.unreachable_s else 0

    def may_step_aside(self, filter: Filter) -> bool:
        """True unless as many packets stand aside as may at a time."""
        breaker = self.open.get(filter)
        if breaker is None:
            return True
        most = 1 + int((self._core.clock() - breaker.since_s) / self.patience_s)
        return len(breaker.aside) < min(most, MOST_ASIDE)

    def step_aside(self, filter: Filter, attempt: Attempt, error: BaseException, retries: Retries) -> None:
        """Have a packet wait until the one after it was tried; ``retries`` takes it back then."""
        self._of(filter).aside.append((attempt, error, retries))

    def _of(self, filter: Filter) -> Breaker:
        breaker = self.open.get(filter)
        if breaker is None:
            breaker = self.open[filter] = Breaker(self._core.clock(), self._core.wall_clock())
            for wire in filter.wires:
                wire.is_shut = True
        return breaker

    def fail(self, filter: Filter, error: BaseException, first: Any = UNKNOWN) -> None:
        """A filter could not reach its service: have it rest. ``first`` is the packet over which it noticed."""
        core = self._core
        reason = Raised.of(error, core.secrets.redact).reason
        breaker = self._of(filter)
        is_new = not breaker.failures
        rest_s = min(REST_MOST_S, REST_FIRST_S * 2.0 ** min(breaker.failures, 16)) * self._core.rng.uniform(0.5, 1.0)
        breaker.failures += 1
        filter.meter.err(core.wall_clock())
        aside, breaker.aside = breaker.aside, []
        for attempt, _, retries in reversed(aside):
            retries.come_back(attempt)
            first = attempt.value
        if first is not breaker.first:
            breaker.first, breaker.first_s = first, core.clock()
        breaker.reason = reason
        breaker.until = core.clock() + rest_s

        def due() -> None:
            breaker.until = None
            self._let_on(filter)

        core.pause(filter, rest_s, due)
        if is_new:
            filter.component.log.warning(
                "destination cannot be reached, the filter rests", extra={"reason": reason, "seconds": round(rest_s, 2)}
            )
            for wire in filter.wires:
                if wire.parked is not None and self._jams.extend(wire):
                    wire.unpark()
            self.on_change()

    def end_turn(self, filter: Filter) -> None:
        """A filter has ended a turn: where packets stand aside and nothing is left to be tried, none of it has told anything."""
        breaker = self.open.get(filter)
        if breaker is None:
            return
        if breaker.aside:
            if not any(wire.waiting for wire in filter.wires):
                self.fail(filter, breaker.aside[0][1])
        elif breaker.until is None:
            self._let_on(filter)

    def _let_on(self, filter: Filter) -> None:
        """Let senders go on where what was tried has failed, or was given up: what tells more must come from them."""
        for wire in filter.wires:
            if wire.parked is not None and not wire.is_full():
                wire.unpark()

    def succeed(self, filter: Filter) -> None:
        """A filter got through, a publisher with a commit."""
        core = self._core
        breaker = self.open.pop(filter, None)
        if breaker is None:
            return
        filter.meter.tell()
        for wire in filter.wires:
            wire.is_shut = False
            if breaker.failures:
                self._jams.restore(wire)
            elif wire.parked is not None:
                wire.make_room()
        if breaker.failures:
            seconds = round(core.clock() - breaker.since_s, 2)
            filter.component.log.info("destination can be reached again", extra={"reason": breaker.reason, "seconds": seconds})
            self.on_change()
        for attempt, error, retries in breaker.aside:
            retries.stay_aside(attempt, error)

    def reasons(self) -> dict[str, tuple[float, str]]:
        """By filter that rests, since when (seconds since the epoch) and why."""
        return {filter.name: (breaker.since, breaker.reason) for filter, breaker in self.open.items() if breaker.failures}

    def states(self) -> dict[str, dict[str, Any]]:
        now = self._core.clock()
        return {
            filter.name: {
                "state": "trying" if breaker.until is None else "open",
                "since": breaker.since,
                "reason": breaker.reason,
                "next_s": 0.0 if breaker.until is None else max(0.0, breaker.until - now),
            }
            for filter, breaker in list(self.open.items())
        }


class Breaker:
    """One filter's, open since ``since`` (seconds since the epoch); ``until`` is the clock time at which its rest ends."""

    __slots__ = ("aside", "failures", "first", "first_s", "reason", "since", "since_s", "until")

    def __init__(self, since_s: float, since: float) -> None:
        self.since_s = since_s
        self.since = since
        self.failures = 0
        #: The packet that failed first when it was last tried, if that is known, and since when it is that one.
        self.first: Any = UNKNOWN
        self.first_s = since_s
        #: Suspected packets that wait for the one after them to be tried, and what they failed of.
        self.aside: list[tuple[Attempt, BaseException, Retries]] = []
        self.reason = ""
        self.until: float | None = None
