"""Budget: how much of a service may be used in a time, kept together by all instances of a filter in its store."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final, NamedTuple

MINUTE_S: Final = 60.0
DAY_S: Final = 86_400.0
_KEY: Final = "budget"
#: A service is not left alone for longer, whatever it says.
_LONGEST_PAUSE_S: Final = 3600.0


class Bound(NamedTuple):
    """Most of something in a period; 0 is no bound.

    With ``is_even``, what was used comes back little by little. Otherwise all of it comes back when the next period begins: the
    next minute or day, in UTC.
    """

    most: int
    period_s: float = MINUTE_S
    is_even: bool = True

    def regained(self, then_s: float, now_s: float) -> float:
        """As much as has come back since another time; all of what has no bound, so that it counts if it gets one."""
        passed = (now_s - then_s) / self.period_s if self.is_even else now_s // self.period_s - then_s // self.period_s
        return (self.most or math.inf) * passed if passed > 0 else 0.0

    def wait_s(self, missing: float, now_s: float) -> float:
        """The seconds until so much will have come back."""
        if missing <= 0:
            return 0.0
        if self.is_even:
            return missing * self.period_s / self.most
        return (now_s // self.period_s + math.ceil(missing / self.most)) * self.period_s - now_s


class Taken(NamedTuple):
    """Changes to the entries of a store; if ``wait_s`` is not 0, nothing was taken, and may be after so many seconds.

    ``bound`` is the name of the bound to wait for, empty for a pause.
    """

    entries: Mapping[str, bytes]
    wait_s: float = 0.0
    bound: str = ""


class Budget:
    """Named bounds, and a pause that the service asks for. It changes nothing itself: each method returns entries to write.

    Use them in ``store.change(budget.keys, …)``. ``now_s`` are seconds since 1970, on which processes must agree.
    """

    def __init__(self, bounds: Mapping[str, Bound]) -> None:
        self._bounds = dict(bounds)
        #: The entries that the methods need.
        self.keys: Final = (_KEY,)

    @property
    def is_bounded(self) -> bool:
        return any(bound.most for bound in self._bounds.values())

    def take(self, entries: Mapping[str, bytes], now_s: float, wanted: Mapping[str, int]) -> Taken:
        """Take of each bound as much as is wanted, or nothing at all.

        More than there is in a whole period is given when nothing of that has been used.
        """
        state = self._state(entries, now_s)
        longest = Taken({}, max(0.0, min(state["pause"] - now_s, _LONGEST_PAUSE_S)))
        for name, bound in self._bounds.items():
            wait_s = bound.wait_s(state[name] + min(wanted.get(name, 0), bound.most) - bound.most, now_s) if bound.most else 0.0
            if wait_s > longest.wait_s:
                longest = Taken({}, wait_s, name)
        return longest if longest.wait_s else Taken(self.settle(entries, now_s, wanted))

    def settle(self, entries: Mapping[str, bytes], now_s: float, more: Mapping[str, int]) -> dict[str, bytes]:
        """Account for what was used beyond what was taken, less if negative."""
        state = self._state(entries, now_s)
        for name in self._bounds:
            state[name] += more.get(name, 0)
        return _written(state)

    def pause(self, entries: Mapping[str, bytes], now_s: float, seconds: float) -> dict[str, bytes]:
        """Let nobody take anything for so long, as the service wishes."""
        state = self._state(entries, now_s)
        state["pause"] = max(state["pause"], now_s + min(seconds, _LONGEST_PAUSE_S))
        return _written(state)

    def _state(self, entries: Mapping[str, bytes], now_s: float) -> dict[str, float]:
        """The pause, and what is used of each bound by now."""
        state = {"time": 0.0, "pause": 0.0, **dict.fromkeys(self._bounds, 0.0)}
        try:
            found = json.loads(entries.get(_KEY, b"{}"))
            state = {name: float(found.get(name, value)) for name, value in state.items()}
        except (ValueError, TypeError, AttributeError):  # something else wrote it
            pass
        for name, bound in self._bounds.items():
            state[name] = max(0.0, state[name] - bound.regained(state["time"], now_s))
        return {**state, "time": now_s}


def _written(state: Mapping[str, float]) -> dict[str, bytes]:
    return {_KEY: json.dumps(state).encode()}
