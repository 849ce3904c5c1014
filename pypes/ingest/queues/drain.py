"""Drain rate of a queue: deliveries and bytes acknowledged per second, recently."""

from __future__ import annotations

import math

#: Age in seconds at which an acknowledgement counts for 1/e of one that comes now.
_MEMORY_S = 10.0
#: Totals shown sooner than so many seconds after the last are not looked at.
_STEP_S = 0.5

MIN_RETRY_S = 1.0
MAX_RETRY_S = 30.0


class DrainRate:
    """An exponentially weighted rate, computed from totals at intervals. ``now`` is in seconds.

    PERF: nothing is done per acknowledgement; whoever leases shows the totals.
    """

    __slots__ = ("_bytes", "_bytes_s", "_deliveries", "_deliveries_s", "_since", "_weight")

    def __init__(self, now: float) -> None:
        self._since = now
        self._deliveries = 0
        self._bytes = 0
        self._deliveries_s = 0.0
        self._bytes_s = 0.0
        # how much of the average is measured: a young one must not be taken for slow
        self._weight = 0.0

    def show(self, deliveries: int, size: int, now: float) -> None:
        """So many deliveries and bytes were acknowledged in all up to now."""
        passed = now - self._since
        if 0 <= passed < _STEP_S:
            return
        self._since = now
        if passed > 0:
            fade = math.exp(-passed / _MEMORY_S)
            self._deliveries_s = fade * self._deliveries_s + (1 - fade) * (deliveries - self._deliveries) / passed
            self._bytes_s = fade * self._bytes_s + (1 - fade) * (size - self._bytes) / passed
            self._weight = fade * self._weight + (1 - fade)
        self._deliveries, self._bytes = deliveries, size

    @property
    def rates(self) -> tuple[float, float]:
        """Deliveries and bytes per second."""
        weight = self._weight or 1.0
        return self._deliveries_s / weight, self._bytes_s / weight

    def retry_after_s(self, deliveries: int, size: int) -> float:
        """Time until so many deliveries and bytes have drained, as far as can be told; :data:`MAX_RETRY_S` while nothing does.

        Of a drain that was hardly looked at yet nothing can be told: no long wait is promised for it.
        """
        longest_s = MIN_RETRY_S + (MAX_RETRY_S - MIN_RETRY_S) * self._weight
        deliveries_s, bytes_s = self.rates
        wait_s = MIN_RETRY_S
        for amount, rate in ((deliveries, deliveries_s), (size, bytes_s)):
            if amount > 0:
                wait_s = max(wait_s, amount / rate if rate > amount / MAX_RETRY_S else longest_s)
        return wait_s
