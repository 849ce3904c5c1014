"""Breaker: a filter rests while a service that it needs cannot be reached."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from pypes.core.raised import Raised
from pypes.errors import Retry, Unreachable

if TYPE_CHECKING:
    from pypes.runtime.scheduler.epoch import Epoch
    from pypes.runtime.scheduler.failing import Failing
    from pypes.runtime.scheduler.hub import Scheduler

REST_FIRST_S, REST_MOST_S = 0.5, 30.0

#: A packet that alone cannot reach its service, while others can, is not given up before so many seconds have passed.
PATIENCE_S = 60.0


def charged(error: BaseException) -> Retry:
    """What a packet is tried again with that failed to reach a service which others reach."""
    if isinstance(error, Retry):
        return error
    retry = Unreachable(0.0, error)
    retry.__cause__ = error
    return retry


class Breakers:
    """The filters that could not reach their service, or destination, when they last tried.

    Such a filter has its packets back on its wire, in their order, and does not run for a while: half a second at first, twice
    as long after each failure, up to 30 s, with jitter. Then it tries with what waits. Until it succeeds its wires grow up to
    their byte cap before whoever sends there is parked, so that other branches go on.

    A packet that is the first to fail twice is *suspected*, except at publishers: the next one is tried before it. If that gets
    through, the suspected one alone cannot reach its service, and is tried again apart from the others (see :func:`charged`).
    """

    def __init__(self, hub: Scheduler, rng: random.Random) -> None:
        self._hub = hub
        self._rng = rng
        self.open: dict[Failing, Breaker] = {}

    def is_resting(self, task: Failing) -> bool:
        breaker = self.open.get(task)
        return breaker is not None and breaker.until is not None

    def is_suspect(self, task: Failing, value: Any) -> bool:
        """True for the packet that was the first not to get through when the filter tried last."""
        breaker = self.open.get(task)
        return breaker is not None and breaker.first is value

    def fail(self, task: Failing, error: BaseException, first: Any = None) -> None:
        """A filter could not reach its service: have it rest. ``first`` is the packet over which it noticed."""
        hub = self._hub
        reason = Raised.of(error, hub.secrets.redact).reason
        breaker = self.open.get(task)
        is_new = breaker is None
        if breaker is None:
            breaker = self.open[task] = Breaker(hub.clock(), hub.wall_clock())
        rest_s = min(REST_MOST_S, REST_FIRST_S * 2.0 ** min(breaker.failures, 16)) * self._rng.uniform(0.5, 1.0)
        breaker.failures += 1
        breaker.first = first
        if breaker.aside is not None:
            task.come_back(breaker.aside[0])
            breaker.first, breaker.aside = None, None
        breaker.reason = reason
        breaker.until = hub.clock() + rest_s

        def due() -> None:
            breaker.until = None

        hub.pause(task, rest_s, due)
        if is_new:
            task.component.log.warning(
                "destination cannot be reached, resting", extra={"reason": reason, "seconds": round(rest_s, 2)}
            )
            for pype in task.pypes:
                if pype.parked is not None and hub.jams.extend(pype):
                    hub.unpark(pype)

    def succeed(self, task: Failing) -> None:
        """A filter got through, a publisher with a commit."""
        hub = self._hub
        breaker = self.open.pop(task, None)
        if breaker is None:
            return
        seconds = round(hub.clock() - breaker.since_s, 2)
        task.component.log.info("destination is reached again", extra={"reason": breaker.reason, "seconds": seconds})
        for pype in task.pypes:
            hub.jams.restore(pype)
        if breaker.aside is not None:
            task.stay_aside(*breaker.aside)

    def states(self) -> dict[str, dict[str, Any]]:
        now = self._hub.clock()
        return {
            task.name: {
                "state": "trying" if breaker.until is None else "open",
                "since": breaker.since,
                "reason": breaker.reason,
                "next_s": 0.0 if breaker.until is None else max(0.0, breaker.until - now),
            }
            for task, breaker in list(self.open.items())
        }


class Breaker:
    """One filter's, open since ``since`` (seconds since the epoch); ``until`` is the clock time at which its rest ends."""

    __slots__ = ("aside", "failures", "first", "reason", "since", "since_s", "until")

    def __init__(self, since_s: float, since: float) -> None:
        self.since_s = since_s
        self.since = since
        self.failures = 0
        #: The packet that failed first when it was last tried, if that is known.
        self.first: Any = None
        #: The epoch of a suspected packet that waits for the one after it to be tried, and what it failed of.
        self.aside: tuple[Epoch, BaseException] | None = None
        self.reason = ""
        self.until: float | None = None
