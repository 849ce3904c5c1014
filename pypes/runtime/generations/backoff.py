"""Back-off: the wait before a child that died is started again."""

from __future__ import annotations

FIRST_S = 0.1
LONGEST_S = 10.0
#: A child that ran for as long is healthy: its next death starts from nothing.
HEALTHY_S = 10.0


class Backoff:
    """Delays of one child: none after the first death, then 0.1 s doubling up to 10 s while it keeps dying young."""

    def __init__(self) -> None:
        self.deaths = 0

    def delay_s(self, lived_s: float) -> float:
        """The delay after a death at the age of ``lived_s``."""
        if lived_s >= HEALTHY_S:
            self.deaths = 0
        self.deaths += 1
        return 0.0 if self.deaths == 1 else min(FIRST_S * 2.0 ** (self.deaths - 2), LONGEST_S)

    def forgive(self) -> None:
        """Count from nothing at the next death: the cause of the last ones is known and will not be met again."""
        self.deaths = 0
