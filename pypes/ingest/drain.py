"""How fast a queue drains: deliveries and bytes acknowledged per second, of late."""

from __future__ import annotations

import math

#: What was acknowledged so many seconds ago counts for 1/e of what is acknowledged now.
_MEMORY_S = 10.0
#: Acknowledgements are counted for so long before they become a rate, in seconds.
_STEP_S = 0.5

MIN_RETRY_S = 1.0
MAX_RETRY_S = 30.0


class DrainRate:
    """An exponentially weighted rate. ``now`` is in seconds and may stand still or go back, as a clock does."""

    __slots__ = ("_bytes", "_bytes_s", "_deliveries", "_deliveries_s", "_since", "_weight")

    def __init__(self, now: float) -> None:
        self._since = now
        self._deliveries = 0
        self._bytes = 0
        self._deliveries_s = 0.0
        self._bytes_s = 0.0
        # how much of the average is measured: a young one must not be taken for slow
        self._weight = 0.0

    def add(self, size: int, now: float) -> None:
        """A delivery of ``size`` bytes was acknowledged."""
        self._deliveries += 1
        self._bytes += size
        if not 0 <= now - self._since < _STEP_S:
            self._fold(now)

    def _fold(self, now: float) -> None:
        passed = now - self._since
        if passed < 0:
            self._since = now
        if passed < _STEP_S:
            return
        fade = math.exp(-passed / _MEMORY_S)
        self._deliveries_s = fade * self._deliveries_s + (1 - fade) * self._deliveries / passed
        self._bytes_s = fade * self._bytes_s + (1 - fade) * self._bytes / passed
        self._weight = fade * self._weight + (1 - fade)
        self._deliveries = self._bytes = 0
        self._since = now

    def rates(self, now: float) -> tuple[float, float]:
        """Deliveries and bytes per second."""
        self._fold(now)
        weight = self._weight or 1.0
        return self._deliveries_s / weight, self._bytes_s / weight

    def retry_after_s(self, deliveries: int, size: int, now: float) -> float:
        """Time until so many deliveries and bytes have drained, as far as can be told; :data:`MAX_RETRY_S` while nothing does."""
        deliveries_s, bytes_s = self.rates(now)
        wait_s = MIN_RETRY_S
        for amount, rate in ((deliveries, deliveries_s), (size, bytes_s)):
            if amount > 0:
                wait_s = max(wait_s, amount / rate if rate > amount / MAX_RETRY_S else MAX_RETRY_S)
        return wait_s
