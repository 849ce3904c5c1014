"""Breaker: a publisher rests while its destination cannot be reached."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from pypes.core.raised import Raised
from pypes.errors import Unreachable

if TYPE_CHECKING:
    from pypes.runtime.scheduler.hub import Scheduler
    from pypes.runtime.scheduler.tasklet import Tasklet

#: What a publisher raises if nothing is wrong with the packet.
UNREACHABLE = (Unreachable, ConnectionError, TimeoutError)

REST_FIRST_S, REST_MOST_S = 0.5, 30.0


class Breakers:
    """The publishers whose destination could not be reached when it was last tried.

    Such a publisher has its packets back on its wire, in their order, and does not run for a while: half a second at first, twice
    as long after each failure, up to 30 s, with jitter. Then it tries with what waits. Until it succeeds its wires grow up to
    their byte cap before whoever sends there is parked, so that other branches go on.
    """

    def __init__(self, hub: Scheduler, rng: random.Random) -> None:
        self._hub = hub
        self._rng = rng
        self.open: dict[Tasklet, Breaker] = {}

    def is_resting(self, task: Tasklet) -> bool:
        breaker = self.open.get(task)
        return breaker is not None and breaker.until is not None

    def fail(self, task: Tasklet, error: BaseException) -> None:
        """A publisher could not reach its destination: have it rest."""
        hub = self._hub
        reason = Raised.of(error, hub.secrets.redact).reason
        breaker = self.open.get(task)
        is_new = breaker is None
        if breaker is None:
            breaker = self.open[task] = Breaker(hub.clock(), hub.wall_clock())
        rest_s = min(REST_MOST_S, REST_FIRST_S * 2.0 ** min(breaker.failures, 16)) * self._rng.uniform(0.5, 1.0)
        breaker.failures += 1
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

    def succeed(self, task: Tasklet) -> None:
        """A publisher has committed something."""
        hub = self._hub
        breaker = self.open.pop(task, None)
        if breaker is None:
            return
        seconds = round(hub.clock() - breaker.since_s, 2)
        task.component.log.info("destination is reached again", extra={"reason": breaker.reason, "seconds": seconds})
        for pype in task.pypes:
            hub.jams.restore(pype)

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
    """One publisher's, open since ``since`` (seconds since the epoch); ``until`` is the clock time at which its rest ends."""

    __slots__ = ("failures", "reason", "since", "since_s", "until")

    def __init__(self, since_s: float, since: float) -> None:
        self.since_s = since_s
        self.since = since
        self.failures = 0
        self.reason = ""
        self.until: float | None = None
