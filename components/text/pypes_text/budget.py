"""Budget: how much of a service may be used in a minute, kept together by all processes that use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from pypes.component import Changes
from pypes.component.store import Store

_KEY: Final = "budget"
#: A service is not left alone for longer, whatever it says.
_LONGEST_PAUSE_S: Final = 3600.0


class Budget:
    """Requests and tokens of a minute, as two buckets that fill evenly; 0 is no bound. Its methods block.

    The state is an entry of a filter's store, so that all instances of a node share one budget, and a pause that the service asks
    for. ``clock`` gives the seconds since 1970: processes must agree on it.
    """

    def __init__(self, store: Store, clock: Callable[[], float], *, requests: int = 0, tokens: int = 0) -> None:
        self._store = store
        self._clock = clock
        self._bounds = {"requests": requests, "tokens": tokens}

    def take(self, tokens: int) -> float:
        """Take a request of so many tokens; returns 0, or the seconds after which to ask again, and nothing is taken.

        What is more than the budget of a minute is given when nothing of that has been used.
        """
        wait_s = 0.0

        def decide(state: dict[str, float], now: float) -> None:
            nonlocal wait_s
            wait_s = max(0.0, min(state["pause"] - now, _LONGEST_PAUSE_S))
            wanted = {"requests": 1, "tokens": tokens}
            for name, bound in self._bounds.items():
                if bound:
                    wait_s = max(wait_s, (min(wanted[name], bound) - state[name]) * 60 / bound)
            if not wait_s:
                for name, n in wanted.items():
                    state[name] -= n

        self._change(decide)
        return wait_s

    def settle(self, tokens: int) -> None:
        """Account for tokens beyond those that were taken, fewer if negative."""
        if tokens and self._bounds["tokens"]:

            def decide(state: dict[str, float], now: float) -> None:
                state["tokens"] -= tokens

            self._change(decide)

    def pause(self, seconds: float) -> None:
        """Let nobody ask for so long, as the service wishes."""

        def decide(state: dict[str, float], now: float) -> None:
            state["pause"] = max(state["pause"], now + min(seconds, _LONGEST_PAUSE_S))

        self._change(decide)

    def _change(self, decide: Callable[[dict[str, float], float], None]) -> None:
        def change(found: Mapping[str, bytes]) -> Changes:
            now = self._clock()
            state = self._read(found.get(_KEY))
            passed_s = max(0.0, now - state["time"])  # the clock may have been set back
            for name, bound in self._bounds.items():
                state[name] = min(bound, state[name] + passed_s * bound / 60)
            state["time"] = now
            decide(state, now)
            return Changes({_KEY: json.dumps(state).encode()})

        self._store.change([_KEY], change)

    def _read(self, data: bytes | None) -> dict[str, float]:
        full = {"time": 0.0, "pause": 0.0, **{name: float(bound) for name, bound in self._bounds.items()}}
        try:
            found = json.loads(data or b"{}")
            return {name: float(found.get(name, value)) for name, value in full.items()}
        except (ValueError, TypeError, AttributeError):  # something else wrote it
            return full
