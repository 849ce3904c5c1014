"""Budget: a bound on calls in a minute and in a day, which all instances of a filter share through its store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

MINUTE_S: Final = 60
DAY_S: Final = 86_400
_KEY: Final = "budget"


class BudgetSpent(Exception):
    """Nothing more may be asked for ``wait_s`` seconds."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Budget:
    """Counts what was taken in the present minute and day; the count is one entry of a store. 0 is no bound."""

    def __init__(self, per_minute: int, per_day: int) -> None:
        self._bounds = {MINUTE_S: per_minute, DAY_S: per_day}
        #: The entries that :meth:`take` needs.
        self.keys = (_KEY,) if per_minute or per_day else ()

    def take(self, entries: Mapping[str, bytes], now_s: float, n: int = 1) -> dict[str, bytes]:
        """The entries from now on, after ``n`` were taken. Raises :class:`BudgetSpent`, and then nothing is taken."""
        if not self.keys:
            return {}
        known: dict[str, list[int]] = json.loads(entries.get(_KEY, b"{}"))
        for period_s, most in self._bounds.items():
            number = int(now_s // period_s)
            began, taken = known.get(str(period_s), (number, 0))
            taken = (taken if began == number else 0) + n
            if most and taken > most:
                name = "minute" if period_s == MINUTE_S else "day"
                raise BudgetSpent(f"the budget of {most} in a {name} is spent (per_{name})", (number + 1) * period_s - now_s)
            known[str(period_s)] = [number, taken]
        return {_KEY: json.dumps(known).encode()}
