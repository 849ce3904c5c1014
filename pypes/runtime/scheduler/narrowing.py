"""Narrowing: finds the packets that a publisher can never take, which a commit of several packets cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from pypes.runtime.scheduler.attempt import Attempt
from pypes.runtime.scheduler.breaker import MOST_ASIDE, Breakers
from pypes.runtime.scheduler.core import Filter
from pypes.runtime.scheduler.lineage import Lineage

#: Most packets that step aside until one gets through; each of them costs a rest.
MOST_APART: Final = 256


class Retrying(Protocol):
    """Takes packets off their wire and puts them back, or gives them up."""

    @property
    def most_attempts(self) -> int: ...
    def back_off_s(self, tries: int) -> float: ...
    def set_aside(self, value: Any, lineage: Lineage) -> Attempt: ...
    def come_back(self, attempt: Attempt) -> None: ...
    def lose(self, attempt: Attempt, error: BaseException, tries: int) -> None: ...


class Doubt:
    """A packet with which alone a publisher failed. ``is_proven``: others got through, so the destination is there."""

    __slots__ = ("error", "is_proven", "since_s", "tries", "value")

    def __init__(self, value: Any, since_s: float, error: BaseException) -> None:
        self.value = value
        self.since_s = since_s
        self.error = error
        self.tries = 0
        self.is_proven = False


class Narrowing:
    """Tries the packets of a publisher one by one, with a commit for each, once it has rested too long over the same ones.

    That begins when the first of them has failed for ``unreachable_s``. A packet that fails alone steps aside, and after a rest
    the next one is tried. As soon as one gets through, those aside are *proven*: they come back, are tried alone again, with
    back-off, and given up after ``max_attempts`` tries and a minute. The others go on together.

    If nothing gets through, the destination is away: all are back in their order, but for the first. That one is given up, as at
    other filters, since it may be the one that cannot be taken; the others have ``unreachable_s`` from then on. Where only a few
    are left, and none of them gets through, as many are proven as there were commits before.

    At a join no packet steps aside; a commit before it is all the proof there is, and good for one packet.
    """

    def __init__(self, filter: Filter, retrying: Retrying, resting: Breakers) -> None:
        self._filter = filter
        self._clock = filter.core.clock
        self._retrying = retrying
        self._resting = resting
        #: The first packet of those that failed together, since when it is that one, and how often they have failed.
        self._first: Any = None
        self._first_s = 0.0
        self._failures = 0
        self._doubts: dict[int, Doubt] = {}
        self._aside: list[Attempt] = []
        #: Number of commits that got through and have proven nothing yet.
        self._credit = 0
        #: The packet that failed in this turn.
        self._failed: Any = None

    @property
    def _is_active(self) -> bool:
        """True while packets are tried one by one, or some are doubted."""
        return bool(self._doubts) or self._filter.alone > 0 or self._filter.lone is not None

    def _is_over(self, first: Any) -> bool:
        """True if the filter has rested over these packets for too long."""
        if not self._is_active and first is not self._first:
            self._restart(first)
        return self._is_long

    @property
    def _is_long(self) -> bool:
        return self._clock() - self._first_s >= self._filter.core.limits.unreachable_s

    def _restart(self, first: Any) -> None:
        """Count the time from now on."""
        self._first, self._first_s, self._failures = first, self._clock(), 0

    # -- what did not get through -----------------------------------------------------------------------------

    def rest(self, values: list[Any], lineages: Sequence[Lineage], error: BaseException) -> None:
        """Keep packets of this turn; one that failed alone not for ever."""
        is_over = self._is_over(values[0])
        if len(values) > 1 or not (is_over or self._is_active):
            self._filter.put_back(values, lineages)
            self.keep(values[0], len(values), error)
            return
        doubt = self._doubts.get(id(values[0]))
        if doubt is None:
            doubt = self._doubts[id(values[0])] = Doubt(values[0], self._clock(), error)
        doubt.tries += 1
        doubt.error = error
        self._failed = values[0]
        attempt = self._retrying.set_aside(values[0], lineages[0])
        if doubt.is_proven:
            self._try_again(attempt, doubt)
            return
        self._aside.append(attempt)
        if self._filter.is_join or len(self._aside) >= MOST_APART or not any(wire.waiting for wire in self._filter.wires):
            self._end_pass(is_over=is_over)
        self._resting.fail(self._filter, error)

    def keep(self, first: Any, count: int, error: BaseException) -> None:
        """Rest over packets that failed together and are back in front on their wire, of which this one is the first."""
        if self._is_over(first) or self._is_active:
            self._filter.alone += count
        self._failures += 1
        self._resting.fail(self._filter, error)

    def end_turn(self) -> None:
        """A turn is over: where nothing is left to be tried, nothing got through that would prove anything of those aside."""
        if self._aside and not any(wire.waiting for wire in self._filter.wires):
            error = self._doubts[id(self._aside[-1].value)].error
            self._end_pass(is_over=self._is_long)
            self._resting.fail(self._filter, error)

    def _try_again(self, attempt: Attempt, doubt: Doubt) -> None:
        """Have a packet wait for its next try while others go on, or give it up."""
        if doubt.tries >= self._retrying.most_attempts and self._clock() - doubt.since_s >= self._resting.patience_s:
            self._give_up(attempt)
            self._resting.succeed(self._filter)  # others got through
        elif self._filter.is_join:  # what comes back to a join between its turns would be in the midst of another document
            self._bring_back(attempt)
            self._resting.fail(self._filter, doubt.error)
        else:
            self._filter.core.timers.after(self._retrying.back_off_s(doubt.tries), lambda: self._bring_back(attempt))

    def _end_pass(self, *, is_over: bool) -> None:
        """Nothing got through after those aside, and nothing is left to be tried."""
        aside, self._aside = self._aside, []
        # more than a few in a row look like an outage that has just begun, and so do two at a join
        proven = aside[: self._credit] if len(aside) <= MOST_ASIDE else []
        if proven:
            self._credit = 0 if self._filter.is_join else self._credit - len(proven)
        for attempt in proven:
            self._doubts[id(attempt.value)].is_proven = True
        if not proven and is_over:
            self._give_up(aside.pop(0))
        self._bring_back(*aside)
        if not proven:
            self._filter.alone = 0
            self._doubts = {key: doubt for key, doubt in self._doubts.items() if doubt.is_proven}
            self._restart(None)

    def _bring_back(self, *aside: Attempt) -> None:
        """Put packets in front on their wire again, to be tried alone."""
        for attempt in reversed(aside):
            if self._filter.attempts.get(id(attempt.value)) is attempt:
                self._retrying.come_back(attempt)
                self._filter.alone += 1
            else:  # its epoch was ended by force meanwhile
                self._doubts.pop(id(attempt.value), None)

    def _give_up(self, attempt: Attempt) -> None:
        doubt = self._doubts.pop(id(attempt.value))
        self._retrying.lose(attempt, doubt.error, self._failures + doubt.tries)

    # -- what did ---------------------------------------------------------------------------------------------

    def got_through(self) -> None:
        """A commit of packets has succeeded."""
        self._credit += 1
        self._first_s = self._clock()
        if not any(wire.packets for wire in self._filter.wires):
            self._filter.alone = 0
        for doubt in self._doubts.values():
            doubt.is_proven = True
        aside, self._aside = self._aside, []
        self._bring_back(*aside)
        self._leave()

    def end_alone(self, value: Any) -> None:
        """The turn of a packet that was tried alone is over."""
        if self._failed is not value:
            self._doubts.pop(id(value), None)
        self._failed = None
        self._leave()

    def _leave(self) -> None:
        """Go over to taking packets together again, if nothing is in doubt."""
        if not self._is_active:
            self._filter.narrowing = None
