"""Accounts: what a client may still use of the budgets of its token.

Each ingest worker has an account for a token, and all take from the same numbers (:mod:`pypes.access.spending`). Of a large
budget a worker takes a hundredth of a second at a time and spends that by itself. So the budget holds for the node as a whole,
however unevenly connections lie over the workers: in any time, no more passes than the burst, what has come back since, and what
each worker had taken before. Another worker may have that much less for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pypes.access.budget import KINDS, Budget
from pypes.access.spending import Spending
from pypes.errors import OverBudget

#: Seconds' worth of a budget that may be used at once. ``Retry-After`` has whole seconds: a client that keeps to it gets all.
BURST_S: Final = 2.0

#: Seconds' worth that a worker takes at a time, if it is so many units at least.
LEASE_S: Final = 0.01
LEAST_LEASE: Final = 10.0

#: Refusals of a token in a second that a worker answers at once; others wait, so that who does not wait cannot busy the worker.
PROMPT: Final = 10
HOLD_S: Final = 0.5

#: Seconds' worth by which rounding may make what is there too little.
_TINY_S: Final = 1e-6

#: Places of budgets.
_REQUESTS, _BYTES, _DOCUMENTS = range(len(KINDS))


class Bucket:
    """One budget as a worker has it: ``rate`` units in a second, the number in place ``at`` of ``cells``."""

    __slots__ = ("_at", "_cells", "_lease_s", "left", "rate")

    def __init__(self, rate: float, cells: memoryview[float], at: int) -> None:
        self.rate = rate
        self._cells = cells
        self._at = at
        self._lease_s = LEASE_S if rate * LEASE_S >= LEAST_LEASE else 0.0
        #: Units that were taken in advance and are not spent.
        self.left = 0.0

    def wait_s(self, units: float, now: float) -> float:
        """Seconds after which units can be had, 0 if that is now. More than a burst can be had when nothing is in use."""
        there_s = BURST_S - max(0.0, self._cells[self._at] - now)
        lacking_s = min((units - self.left) / self.rate, BURST_S) - there_s
        return lacking_s if lacking_s > _TINY_S else 0.0

    def take(self, units: float, now: float) -> None:
        """Take units, and some to spend later; what is not there is owed."""
        back_at = max(self._cells[self._at], now) + (units - self.left) / self.rate
        ahead_s = max(0.0, min(self._lease_s, now + BURST_S - back_at))
        self._cells[self._at] = back_at + ahead_s
        self.left = ahead_s * self.rate


class Account:
    """The account of one token in this process, whose numbers are at ``place``; without a budget nothing is asked of it.

    ``name`` is that of the token. ``is_one_of_many``: others must get room beside it (:meth:`part`).
    """

    __slots__ = (
        *("_budget", "_buckets", "_cells", "_clock", "_name", "_refused", "_second"),
        *("is_charged", "is_one_of_many", "under_way"),
    )

    def __init__(
        self,
        name: str = "",
        spending: Spending | None = None,
        place: int = 0,
        budget: Budget | None = None,
        *,
        is_one_of_many: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._cells = None if spending is None else spending.cells(place)
        self._clock = clock
        #: Requests that are under way, of those that may take a while.
        self.under_way = 0
        self.is_one_of_many = is_one_of_many
        self._second = 0
        self._refused = 0
        self._budget = Budget()
        self._buckets: list[tuple[int, Bucket]] = []
        #: True if it has a budget.
        self.is_charged = False
        self._go_by(budget or Budget())

    def change(self, budget: Budget) -> None:
        """Go by another budget from now on. What is owed for long, for a large body, is forgiven where the number is another."""
        if self._cells is not None:
            latest = self._clock() + BURST_S
            for at, kind in enumerate(KINDS):
                if getattr(budget, kind) != getattr(self._budget, kind):
                    self._cells[at] = min(self._cells[at], latest)
        self._go_by(budget)

    def _go_by(self, budget: Budget) -> None:
        known = {(at, bucket.rate): bucket for at, bucket in self._buckets}
        if self._cells is not None:
            numbers = [(at, number) for at, kind in enumerate(KINDS) if (number := getattr(budget, kind))]
            self._buckets = [(at, known.get((at, number)) or Bucket(number, self._cells, at)) for at, number in numbers]
        self._budget = budget
        self.is_charged = bool(self._buckets)

    def part(self, whole: int) -> int:
        """As much as the client may have of what all clients of a worker share."""
        return max(1, whole // 2) if self.is_one_of_many else whole

    def is_crowded(self, whole: int) -> bool:
        """True if as many requests are under way as its part of so many."""
        return self.under_way >= self.part(whole)

    def too_many(self) -> OverBudget:
        """The refusal of one more request while so many are under way."""
        return self.over_part(f"{self.under_way} requests of the token {self._name!r} are under way", "token.connections")

    def over_part(self, what: str, code: str) -> OverBudget:
        """The refusal of what would be more than the part of one client."""
        return OverBudget(
            f"{what}, as many as one token may have in an ingest worker; end some, or come back later",
            code=code,
            where=self._name,
            limit=code.partition(".")[2],
        )

    def charge(self, size: int, documents: int = 0) -> OverBudget | None:
        """Take a request with a body of ``size`` bytes, or return the refusal if that is over a budget, and take nothing."""
        return self._take((1, size, documents))

    def charge_more(self, size: int, before: int) -> OverBudget | None:
        """As :meth:`charge`, for more of a body whose length was not announced; so many bytes came ``before``."""
        over = self._take((0, size, 0))
        if over is not None:
            # all of it comes again
            waits = [bucket.wait_s(before + size, self._clock()) for at, bucket in self._buckets if at == _BYTES]
            over.retry_after_s = max(over.retry_after_s, *waits)
            over.message += f"; without Content-Length it may have {BURST_S * (self._budget.bytes_per_s or 0):,.0f} bytes at most"
        return over

    def owe(self, documents: int) -> None:
        """Take the documents that were found in a body, whether they are there or not; one was charged with its request."""
        if documents > 1 and self.is_charged:
            now = self._clock()
            for at, bucket in self._buckets:
                if at == _DOCUMENTS:
                    bucket.take(documents - 1, now)

    def _take(self, units: tuple[int, int, int]) -> OverBudget | None:
        buckets = self._buckets
        for at, bucket in buckets:
            if units[at] > bucket.left:
                break
        else:  # PERF: as it is for nearly all requests under a large budget
            for at, bucket in buckets:
                bucket.left -= units[at]
            return None
        now = self._clock()
        wait_s, over = max((bucket.wait_s(units[at], now) if units[at] else 0.0, at) for at, bucket in buckets)
        if wait_s:
            return self._refusal(over, wait_s, now)
        for at, bucket in buckets:
            if units[at]:
                bucket.take(units[at], now)
        return None

    def _refusal(self, at: int, wait_s: float, now: float) -> OverBudget:
        if int(now) != self._second:
            self._second, self._refused = int(now), 0
        self._refused += 1
        kind, what = list(KINDS.items())[at]
        who = f"the token {self._name!r} is" if self._name else "the clients of this node are"
        number = f"{getattr(self._budget, kind):,.15g}"
        return OverBudget(
            f"{who} over the budget of {number} {what} a second; nothing of this request was kept: send it again after the time "
            "in Retry-After",
            retry_after_s=wait_s,
            where=self._name,
            limit=kind,
            hold_s=0.0 if self._refused <= PROMPT else HOLD_S,
        )
